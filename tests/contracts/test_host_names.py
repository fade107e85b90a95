"""Names of hosts, asked of this machine's own resolver."""

from deployer.adapters.host_names import HostNames


def test_an_address_is_itself_and_a_name_is_looked_up() -> None:
    names = HostNames()
    assert [names.address(one) for one in ("", "192.0.2.7", "::1")] == ["", "192.0.2.7", "::1"]
    assert names.address("localhost") == "127.0.0.1"


def test_a_name_that_nobody_knows_stays_so_that_it_can_be_told() -> None:
    assert HostNames().address("nobody.invalid") == "nobody.invalid"
