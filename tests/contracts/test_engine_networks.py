"""What every engine promises of networks with addresses, and of containers that are changed while they run."""

from __future__ import annotations

import pytest

from deployer.core.container import LABEL_COMPONENT, ContainerSpec, FileEntry, Mount, Subnet, VolumeSpec
from deployer.ports import EngineError
from tests.contracts.bench import IMAGE, Bench, reason_of, shell, spec


def subnet(number: int) -> Subnet:
    """The addresses of a pod network, as the core cuts them: the lower half is for pods."""
    start = 16 * number
    return Subnet(f"10.211.{start}.0/20", f"10.211.{start}.0/21", f"10.211.{start}.1")


def addresses(bench: Bench, name: str) -> dict[str, str]:
    return dict(bench.detail(name).networks)


# Networks with addresses


def test_pods_get_their_addresses_from_the_lower_half(bench: Bench) -> None:
    for _ in range(2):
        bench.engine.ensure_network("pods", {}, subnet(1))
    bench.run("one", network="pods")
    bench.run("two", network="pods")
    found = [bench.detail(name).ip for name in ("one", "two")]
    assert len({*found}) == 2 and "10.211.16.1" not in found
    assert all(16 <= int(ip.split(".")[2]) < 24 and ip.startswith("10.211.") for ip in found)
    assert addresses(bench, "one") == {"pods": found[0]}


def test_networks_that_overlap_are_refused_with_what_to_do(bench: Bench) -> None:
    bench.engine.ensure_network("first", {}, subnet(1))
    with pytest.raises(EngineError) as caught:
        bench.engine.ensure_network("second", {}, Subnet("10.211.24.0/21", "10.211.24.0/22", "10.211.24.1"))
    assert caught.value.reason == "AddressesTaken"
    for word in ("second", "10.211.24.0/21", "first", "10.211.16.0/20", "PIERHEAD_POD_RANGE"):
        assert word in caught.value.sentence, word
    assert bench.engine.networks() == ["first"]


def test_a_network_with_other_addresses_is_made_anew_when_nobody_is_on_it(bench: Bench) -> None:
    bench.engine.ensure_network("pods", {})
    bench.engine.ensure_network("pods", {}, subnet(1))
    bench.engine.ensure_network("pods", {})
    bench.run("one", network="pods", address="10.211.24.9")
    with pytest.raises(
        EngineError, match=r"pods .*10\.211\.32\.0/20.*10\.211\.16\.0/20.*one.*PIERHEAD_POD_RANGE"
    ) as caught:
        bench.engine.ensure_network("pods", {}, subnet(2))
    assert caught.value.reason == "AddressesTaken"
    bench.engine.stop("one", 0)
    assert reason_of(bench.engine.ensure_network, "pods", {}, subnet(2)) == "AddressesTaken"
    bench.engine.remove("one")
    bench.engine.ensure_network("pods", {}, subnet(2))
    bench.run("two", network="pods", address="10.211.40.9")
    assert addresses(bench, "two") == {"pods": "10.211.40.9"}


def test_a_network_of_others_is_not_made_anew(bench: Bench) -> None:
    bench.other.ensure_network("theirs", {})
    assert reason_of(bench.engine.ensure_network, "theirs", {}, subnet(1)) == "NameConflict"


# Being on several networks


@pytest.fixture
def router(bench: Bench) -> str:
    """As the router's network is: on one network from the start, labelled, with a fixed address."""
    bench.engine.ensure_network("00-mesh", {}, subnet(0))
    bench.engine.ensure_network("shop", {}, subnet(1))
    labels = {LABEL_COMPONENT: "router-net"}
    wanted = ContainerSpec(
        "router-net", IMAGE, labels, command=("sleep", "60"), network="00-mesh", address="10.211.8.1"
    )
    bench.engine.create(wanted)
    bench.engine.start("router-net")
    return "router-net"


def test_a_component_is_listed_like_a_pods_container(bench: Bench, router: str) -> None:
    (seen,) = bench.engine.containers()
    assert (seen.name, seen.labels[LABEL_COMPONENT], seen.state) == (router, "router-net", "running")


def test_a_container_is_put_on_more_networks_and_taken_off(bench: Bench, router: str) -> None:
    for _ in range(2):
        bench.engine.attach(router, "shop", "10.211.24.1")
        assert addresses(bench, router) == {"00-mesh": "10.211.8.1", "shop": "10.211.24.1"}
    assert reason_of(bench.engine.remove_network, "shop") == "NetworkInUse"
    bench.engine.attach(router, "shop", "10.211.24.2")
    assert addresses(bench, router)["shop"] == "10.211.24.2"
    for _ in range(2):
        bench.engine.detach(router, "shop")
        assert addresses(bench, router) == {"00-mesh": "10.211.8.1"}
    bench.engine.remove_network("shop")
    bench.engine.detach(router, "shop")


def test_addresses_last_over_a_restart(bench: Bench, router: str) -> None:
    bench.engine.stop(router, 0)
    assert addresses(bench, router) == {"00-mesh": "10.211.8.1"}
    bench.engine.attach(router, "shop", "10.211.24.1")
    assert addresses(bench, router) == {"00-mesh": "10.211.8.1", "shop": "10.211.24.1"}
    bench.engine.start(router)
    assert addresses(bench, router) == {"00-mesh": "10.211.8.1", "shop": "10.211.24.1"}


def test_an_address_that_another_has_is_refused_by_name(bench: Bench, router: str) -> None:
    bench.run("web-1", network="shop", address="10.211.24.1")
    with pytest.raises(EngineError, match=r"attach router-net to network shop at 10\.211\.24\.1.*web-1") as caught:
        bench.engine.attach(router, "shop", "10.211.24.1")
    assert caught.value.reason == "AddressesTaken"
    bench.engine.remove("web-1")
    bench.engine.attach(router, "shop", "10.211.24.1")
    assert addresses(bench, router)["shop"] == "10.211.24.1"


def test_only_ours_are_attached(bench: Bench, router: str) -> None:
    bench.other.ensure_network("theirs", {}, subnet(2))
    bench.other.create(spec("their-app", network="theirs"))
    assert reason_of(bench.engine.attach, router, "theirs", "10.211.40.1") == "NetworkMissing"
    assert reason_of(bench.engine.attach, router, "nowhere", "10.211.40.1") == "NetworkMissing"
    assert reason_of(bench.engine.attach, "their-app", "shop", "10.211.24.1") == "NoSuchContainer"
    assert reason_of(bench.engine.attach, "nobody", "shop", "10.211.24.1") == "NoSuchContainer"
    bench.engine.detach("their-app", "theirs")
    bench.engine.detach("nobody", "shop")
    seen = bench.other.inspect("their-app")
    assert seen and seen.detail and [*seen.detail.networks] == ["theirs"]


# Files and commands


def test_files_are_put_into_what_runs_and_what_does_not(bench: Bench) -> None:
    def read(path: str) -> str:
        return bench.engine.execute("holds", ["cat", path], 5).output

    bench.engine.ensure_volume(VolumeSpec("held", {}))
    bench.engine.create(spec("holds", mounts=(Mount("held", "/held"),)))
    bench.engine.put_files(
        "holds", "/held", [FileEntry("maps", is_folder=True, mode=0o755), FileEntry("maps/a", b"1\n")]
    )
    bench.engine.put_files("holds", "/tmp", [FileEntry("b", b"2\n")])
    bench.engine.start("holds")
    assert (read("/held/maps/a"), read("/tmp/b")) == ("1\n", "2\n")
    bench.engine.put_files("holds", "/held/maps", [FileEntry("c", b"3\n"), FileEntry("a", b"one\n")])
    bench.engine.put_files("holds", "/held", [])
    assert (read("/held/maps/a"), read("/held/maps/c"), read("/tmp/b")) == ("one\n", "3\n", "2\n")
    bench.run("shares", mounts=(Mount("held", "/elsewhere"),))
    assert bench.engine.execute("shares", ["cat", "/elsewhere/maps/c"], 5).output == "3\n"


def test_files_of_others_stay(bench: Bench) -> None:
    bench.other.create(spec("theirs"))
    for name in ("theirs", "nobody"):
        assert reason_of(bench.engine.put_files, name, "/tmp", [FileEntry("x", b"")]) == "NoSuchContainer"


ROUTE = ("ip", "route", "replace", "local", "10.211.24.0/21", "dev", "lo")


def test_a_container_that_may_administer_its_network_may_set_a_route(bench: Bench) -> None:
    """As a container does that joins the network of another."""
    bench.engine.ensure_network("shop", {}, subnet(1))
    bench.run("owner", network="shop", cap_drop=("ALL",))
    bench.run("joined", network="container:owner", cap_drop=("ALL",), cap_add=("NET_ADMIN",))
    done = bench.engine.execute("joined", ROUTE, 5)
    assert (done.exit_code, done.output) == (0, "")


def test_a_signal_is_sent_by_a_command(bench: Bench) -> None:
    bench.run("signalled", *shell("trap '' USR2; sleep 60"))
    assert bench.engine.execute("signalled", ["kill", "-USR2", "1"], 5).exit_code == 0
    assert bench.state("signalled") == "running"


def test_names_limits_and_folders_of_a_real_container(bench: Bench) -> None:
    if bench.engine.info().version == "simulated":
        return  # its containers have no file system of their own
    bench.engine.ensure_network("shop", {}, subnet(1))
    bench.run("limited", network="shop", dns=("10.211.24.1",), dns_search=("shop.svc.test",), open_files=4321)
    assert bench.engine.execute("limited", shell("ulimit -n"), 5).output == "4321\n"
    assert "shop.svc.test" in bench.engine.execute("limited", ["cat", "/etc/resolv.conf"], 5).output
    assert bench.engine.execute("limited", shell("ip route add local 10.9.0.0/24 dev lo"), 5).exit_code != 0
    assert reason_of(bench.engine.put_files, "limited", "/nowhere", [FileEntry("x", b"")]) == "FolderMissing"
