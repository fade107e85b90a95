"""What a running router is told: scenario rows against a HAProxy in miniature, and the properties of all moves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.network import runtime
from deployer.core.network.runtime import (
    LINGER_SECONDS,
    TCP_DRAIN_SECONDS,
    StatRow,
    marked,
    moves,
    read_servers,
    read_stats,
)
from deployer.core.network.values import RouterConfig, Server
from tests.core.network.hunt import hunted
from tests.core.network.proxy import Proxy, config, started

param = pytest.param
WEB, DB, PROBE = "svc.shop.web.80", "svc.shop.db.5432", "probe.http.1"


def server(name: str, port: int = 8080, *words: str) -> Server:
    return marked(Server(f"shop.{name}", f"10.208.16.2:{port}", words, f"uid-{name}"))


def test_new_servers_open_before_old_ones_drain() -> None:
    proxy = started(config({WEB: [server("old")]}))
    proxy.busy[WEB, "shop.old"] = 1
    new = marked(Server("shop.new", "10.208.16.3:80", ("check", "inter", "1s")))
    mark = new.arguments[-1]
    found = moves(config({WEB: [new]}), proxy.look({"uid-old": "shop.old", "uid-none": "shop.none"}))
    assert found.commands == (
        f"add server {WEB}/shop.new 10.208.16.3:80 check inter 1s agent-addr {mark}",
        f"enable health {WEB}/shop.new",
        f"enable server {WEB}/shop.new",
        f"set server {WEB}/shop.old state drain",
    )
    assert found.waiting == (f"{WEB}/shop.old",)
    assert found.wake_at == proxy.now + 1
    assert found.left == {"uid-none"}


def test_a_server_goes_once_its_streams_have_ended_or_after_five_seconds() -> None:
    gone = (f"set server {WEB}/shop.old state maint", f"del server {WEB}/shop.old")
    desired = config({WEB: []})
    proxy = started(config({WEB: [server("old")]}))
    proxy.busy[WEB, "shop.old"] = 1
    proxy.send(moves(desired, proxy.look()).commands)
    proxy.pass_time(4)
    waits = moves(desired, proxy.look({"uid-old": "shop.old"}))
    assert (waits.commands, waits.waiting) == ((), (f"{WEB}/shop.old",))
    assert waits.left == {"uid-old"}
    proxy.busy.clear()
    assert moves(desired, proxy.look()).commands == gone
    proxy.busy[WEB, "shop.old"] = 1
    proxy.pass_time(1)
    assert moves(desired, proxy.look()).commands == gone
    proxy.idle.add((WEB, "shop.old"))
    proxy.send(gone)
    assert moves(desired, proxy.look()).commands == gone[1:], "connections were still being closed"
    proxy.send(gone[1:])
    assert moves(desired, proxy.look()).wake_at is None


def test_nobody_waits_for_a_probe() -> None:
    proxy = started(config({PROBE: [server("old")]}))
    proxy.busy[PROBE, "shop.old"] = 1
    found = moves(config({PROBE: []}), proxy.look())
    assert [command.split()[-1] for command in found.commands] == ["maint", f"{PROBE}/shop.old"]
    assert (found.waiting, found.lingering) == ((), ())


def test_tcp_connections_stay_open_and_hold_nobody_up() -> None:
    """A pod is told to stop at once; what is connected to it is its own to end, within its grace period."""
    desired = config({DB: []})
    proxy = started(config({DB: [server("old")]}), {DB: "tcp"})
    proxy.busy[DB, "shop.old"] = 1
    proxy.send(moves(desired, proxy.look()).commands)
    proxy.pass_time(60)
    found = moves(desired, proxy.look({"uid-old": "shop.old"}))
    assert (found.commands, found.waiting, found.lingering) == ((), (), (f"{DB}/shop.old",))
    assert found.left == {"uid-old"}
    assert found.wake_at == proxy.now + LINGER_SECONDS
    proxy.busy.clear()
    proxy.send(moves(desired, proxy.look()).commands)
    assert (proxy.lost, proxy.servers[DB]) == (0, {})


def test_what_was_closed_by_hand_is_opened_and_a_weight_is_set_in_place() -> None:
    proxy = started(config({WEB: [server("a"), server("b", 8080, "check"), server("c")]}))
    proxy.send([f"set server {WEB}/shop.a state drain", f"set server {WEB}/shop.b state maint"])
    desired = config({WEB: [server("a"), server("b", 8080, "check"), server("c", 8080, "weight", "5")]})
    assert moves(desired, proxy.look()).commands == (
        f"set server {WEB}/shop.a state ready",
        f"enable health {WEB}/shop.b",
        f"set server {WEB}/shop.b state ready",
        f"set server {WEB}/shop.c weight 5",
    )


@pytest.mark.parametrize(
    "changed",
    [
        param(server("a", 9090), id="another port"),
        param(server("a", 8080, "sni", "str(other)"), id="words that cannot be read back"),
    ],
)
def test_the_only_server_is_made_anew_behind_a_stand_in(changed: Server) -> None:
    proxy = started(config({WEB: [server("a")]}))
    desired = config({WEB: [changed]})
    first = moves(desired, proxy.look())
    assert [command.split()[0:3] for command in first.commands] == [
        ["add", "server", f"{WEB}/shop.a_next"],
        ["enable", "server", f"{WEB}/shop.a_next"],
        ["set", "server", f"{WEB}/shop.a"],
    ]
    assert converge(proxy, desired) <= 6
    assert list(proxy.servers[WEB]) == ["shop.a"]


def test_others_cover_for_a_server_that_is_made_anew() -> None:
    proxy = started(config({WEB: [server("a"), server("b")]}))
    found = moves(config({WEB: [server("a"), server("b", 9090)]}), proxy.look())
    assert found.commands == (f"set server {WEB}/shop.b state drain",)


def test_what_is_not_a_pod_and_not_ours_is_let_be() -> None:
    proxy = started(config({WEB: [Server("external", "198.51.100.7:443")], "mesh": [Server("s", "0.0.0.0:0")]}))
    assert moves(config({WEB: []}), proxy.look()) == runtime.Moves()


def test_the_servers_of_a_running_haproxy() -> None:
    found = read_servers(STATE)
    assert found["p"]["shop.a"] == runtime.LiveServer("p", "shop.a", "127.0.0.1:44417", 0, 7, 4, "1.2.3.4")
    assert found["b"]["st"].address == "[2001:db8::1]:80"
    assert found["b"]["by-name"].address == "web.test:80"
    assert not found["b"]["st"].is_open
    assert found["b"]["by-name"].in_maintenance
    assert read_servers("1\n# be_id be_name\n\n") == {}


def test_the_rows_of_the_statistics() -> None:
    names = "# pxname,svname,qcur,scur,status,weight,chkfail,type,check_status,check_code,last_chk,mode,hrsp_5xx,-"
    rows = read_stats(f'{names}\nb,shop.a,0,3,UP,1,2,2,L7STS,503,"a ""b"", c",http,4,\nb,BACKEND,,,UP,,,1,,,,,,\n\n')
    assert rows[0] == StatRow("b", "shop.a", "UP", scur=3, weight=1, chkfail=2, check_status="L7STS", check_code=503,
                              last_chk='a "b", c', mode="http", hrsp_5xx=4)  # fmt: skip
    assert (rows[1].type, rows[1].scur) == (1, 0)
    assert read_stats("") == []


NAMES = st.sampled_from("abcd")
SERVERS = st.lists(
    st.builds(lambda name, port, words: server(name, port, *words), NAMES, st.sampled_from([80, 81]),
              st.sampled_from([(), ("check",), ("weight", "3"), ("sni", "str(x)")])),
    unique_by=lambda one: one.name, max_size=3,
)  # fmt: skip
CONFIGS = st.builds(lambda web, db, probe: config({WEB: web, DB: db, PROBE: probe}), SERVERS, SERVERS, SERVERS)
BUSY = st.dictionaries(st.tuples(st.sampled_from([WEB, DB]), NAMES.map("shop.{}".format)), st.just(1))
STEPS = st.lists(st.integers(0, 5), max_size=6)


@given(CONFIGS, CONFIGS, BUSY, STEPS)
def test_moves_converge_wherever_they_are_broken_off(
    before: RouterConfig, desired: RouterConfig, busy: Any, steps: list[int]
) -> None:
    proxy = started(before, {DB: "tcp"})
    proxy.busy, proxy.idle = dict(busy), set(busy)
    for count in steps:
        proxy.send(moves(desired, proxy.look()).commands[:count])
    assert converge(proxy, desired) <= 20
    wanted = started(desired).servers
    for backend, servers in wanted.items():
        live = proxy.servers.get(backend, {})
        assert {name: (one.address, one.weight, one.mark, one.admin) for name, one in live.items()} == {
            name: (one.address, one.weight, one.mark, 0) for name, one in servers.items()
        }


@given(CONFIGS, CONFIGS, STEPS)
def test_a_backend_that_keeps_servers_is_never_without_an_open_one(
    before: RouterConfig, desired: RouterConfig, steps: list[int]
) -> None:
    proxy = started(before)
    for count in [*steps, *[99] * 12]:
        for command in moves(desired, proxy.look()).commands[:count]:
            proxy.send([command])
            for backend in (WEB, DB):
                if before.servers[backend] and desired.servers[backend]:
                    assert any(one.is_open for one in proxy.servers[backend].values()), command
        proxy.pass_time(1)


@given(CONFIGS, CONFIGS)
def test_no_http_stream_is_cut_before_five_seconds(before: RouterConfig, desired: RouterConfig) -> None:
    proxy = started(before)
    proxy.busy = {(WEB, one.name): 1 for one in before.servers[WEB]}
    for _ in range(5):
        proxy.send(moves(desired, proxy.look()).commands)
        assert proxy.lost == 0
        proxy.pass_time(1)


def converge(proxy: Proxy, desired: RouterConfig) -> int:
    """Looks until nothing is left to do. A second passes in between, and streams do not end by themselves."""
    for count in range(40):
        found = moves(desired, proxy.look())
        if found.wake_at is None:
            return count
        proxy.send(found.commands)
        proxy.pass_time(1 if found.commands or found.waiting else TCP_DRAIN_SECONDS)
    raise AssertionError(f"does not converge: {found}")


@pytest.mark.parametrize(
    ("name", "broken", "broken_property", "drawn"),
    [
        param("_differs", lambda desired, observed: desired.address != observed.address,
              test_moves_converge_wherever_they_are_broken_off, (CONFIGS, CONFIGS, BUSY, STEPS), id="marks unread"),
        param("_keep", lambda *_: [],
              test_moves_converge_wherever_they_are_broken_off, (CONFIGS, CONFIGS, BUSY, STEPS), id="left closed"),
        param("_stand_in", lambda *_: [],
              test_a_backend_that_keeps_servers_is_never_without_an_open_one, (CONFIGS, CONFIGS, STEPS), id="a gap"),
        param("HTTP_DRAIN_SECONDS", 4,
              test_no_http_stream_is_cut_before_five_seconds, (CONFIGS, CONFIGS), id="impatient"),
    ],
)  # fmt: skip
def test_each_property_can_fail(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Any, broken_property: Any, drawn: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(runtime, name, broken)
    with pytest.raises(AssertionError):
        hunted(broken_property, *drawn)


STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result \
srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id \
srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 b 1 st 2001:db8::1 2 8 1 1 5 1 0 2 0 0 0 0 - 80 - 0 0 - - 0
3 b 2 by-name 198.51.100.7 2 1 1 1 5 1 0 2 0 0 0 0 web.test 80 - 0 0 - - 0
4 p 3 shop.a 127.0.0.1 0 0 7 1 4 17 2 0 6 0 0 1 - 44417 - 0 0 - 1.2.3.4 0


"""
