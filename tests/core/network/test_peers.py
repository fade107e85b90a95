"""Whom a router watches, and what it tells of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployer.core.network import probes, runtime
from deployer.core.network.endpoints import node_label
from deployer.core.network.peers import WATCHED, peer_checks, peer_views, watched
from deployer.core.network.probe_times import probe_states
from deployer.core.network.runtime import PEERS, moves, read_stats
from deployer.core.network.values import RoutedNode, Server
from tests.core.network.proxy import config as servers_alone
from tests.core.network.proxy import started
from tests.core.network.sketch import cluster, config, pods
from tests.core.network.test_injection import HOSTILE

HEAD = "# pxname,svname,scur,status,weight,chkfail,chkdown,lastchg,check_status,check_rise,check_fall,mode,"


def node(uid: str, address: str = "192.0.2.1", **more: bool) -> RoutedNode:
    return RoutedNode(uid, f"name of {uid}", address, **more)  # type: ignore[arg-type]


def town(count: int) -> list[RoutedNode]:
    """In the order of the ring."""
    return sorted((node(f"uid-{number}") for number in range(count)), key=lambda one: node_label(one.uid))


def uids(them: Iterable[RoutedNode]) -> list[str]:
    return [one.uid for one in them]


def assignments(nodes: Sequence[RoutedNode]) -> dict[str, set[str]]:
    return {one.uid: set(uids(watched(one, nodes))) for one in nodes}


def test_the_next_ones_on_the_ring_are_watched() -> None:
    a, b, c, d, e, f, g = town(7)
    assert uids(watched(d, [a, b, c, d, e, f])) == uids([e, f, a, b, c])
    assert uids(watched(d, [g, f, e, d, c, b, a])) == uids([e, f, g, a, b])
    assert uids(watched(g, [a, b, c])) == uids([a, b, c])
    assert watched(a, [a]) == watched(a, []) == ()


@pytest.mark.parametrize("address", ["", "host.test", "fe80::1%eth0", "192.0.2.300", HOSTILE])
def test_a_node_that_nobody_reaches_is_not_watched(address: str) -> None:
    a, b, c = town(3)
    assert uids(watched(a, [a, replace(b, mesh_address=address), c])) == [c.uid]
    assert uids(watched(replace(a, mesh_address=address), [a, b, c])) == uids([b, c]), "but it watches others"


def test_a_node_that_is_unknown_or_dead_stays_watched() -> None:
    a, b = town(2)
    assert uids(watched(a, [a, replace(b, reachable=False)])) == [b.uid]


SOME_NODES = st.lists(st.text(max_size=8), unique=True, max_size=20).map(lambda found: [node(uid) for uid in found])


@given(SOME_NODES)
def test_everybody_is_watched_by_as_many(nodes: list[RoutedNode]) -> None:
    most = min(WATCHED, len(nodes) - 1)
    found = assignments(nodes)
    assert all(len(them) == most and uid not in them for uid, them in found.items())
    watchers = Counter(one for them in found.values() for one in them)
    assert all(watchers[one.uid] == most for one in nodes)


@given(SOME_NODES.filter(bool))
@example(town(7))
def test_one_that_joins_or_leaves_changes_few_assignments(nodes: list[RoutedNode]) -> None:
    joins, others = nodes[0], nodes[1:]
    before, after = assignments(others), assignments(nodes)
    changed = [uid for uid, them in before.items() if after[uid] != them]
    assert len(changed) <= WATCHED
    for uid in changed:
        assert after[uid] - before[uid] == {joins.uid}
        assert len(before[uid] - after[uid]) <= 1


@given(st.randoms(), SOME_NODES)
def test_the_order_of_the_records_does_not_matter(random: object, nodes: list[RoutedNode]) -> None:
    mixed = list(nodes)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert [watched(one, nodes) for one in nodes] == [watched(one, mixed) for one in nodes]


def test_a_peer_is_a_server_that_is_only_connected_to() -> None:
    (section,) = peer_checks(cluster(nodes=(node("x", "192.0.2.9"), node("y", "2001:db8::1")), mesh_port=9443)).sections
    assert section.head == "backend probe.peers from tcp"
    assert section.lines == ("mode tcp", "balance random", "timeout connect 1s", "timeout check 1s")
    words = ("check", "inter", "1s", "fastinter", "300ms", "downinter", "1s", "rise", "1", "fall", "2")
    found = {one.name: one for one in section.servers or ()}
    assert found == {
        f"peer.{node_label('x')}": Server(f"peer.{node_label('x')}", "192.0.2.9:9443", words),
        f"peer.{node_label('y')}": Server(f"peer.{node_label('y')}", "[2001:db8::1]:9443", words),
    }


def test_peers_come_and_go_without_a_reload() -> None:
    alone, few, many = (config(nodes=tuple(town(count))) for count in (0, 2, 9))
    assert alone.structure == few.structure == many.structure
    assert [len(one.servers[PEERS]) for one in (alone, few, many)] == [0, 2, WATCHED]
    assert f"\nbackend {PEERS} from tcp\n" in alone.text


def test_peers_come_and_go_at_once_and_one_whose_address_changes_has_no_stand_in() -> None:
    def one(name: str, address: str) -> Server:
        return runtime.marked(Server(f"peer.{name}", address, ("check",)))

    proxy = started(servers_alone({PEERS: [one("a", "192.0.2.1:8443")]}), {PEERS: "tcp"})
    moved = servers_alone({PEERS: [one("a", "192.0.2.2:8443")]})
    commands = moves(moved, proxy.look()).commands
    assert [one.split()[0] for one in commands] == ["set", "del"]
    proxy.send(commands)
    proxy.send(moves(moved, proxy.look()).commands)
    assert {name: one.address for name, one in proxy.servers[PEERS].items()} == {"peer.a": "192.0.2.2:8443"}
    assert moves(moved, proxy.look()).wake_at is None


@given(st.text(), st.text())
@example(HOSTILE, HOSTILE)
def test_neither_a_uid_nor_a_name_becomes_a_word(uid: str, name: str) -> None:
    found = config(nodes=(RoutedNode(uid, name, "192.0.2.9", {name: name}),))
    (server,) = found.servers[PEERS]
    assert re.fullmatch(r"peer\.n[0-9a-f]{12}", server.name)
    assert [line for line in found.text.splitlines() if " peer." in line] == [
        f"    server {server.name} 192.0.2.9:8443 {' '.join(server.arguments)}"
    ]


VIEWS = [
    ("just added, or after a reload", "UP 1/2", "INI", 0, 0, None),
    ("its first check is under way", "UP 1/2", "* INI", 0, 0, None),
    ("found up", "UP", "L4OK", 0, 0, True),
    ("found up, asked again", "UP", "* L4OK", 0, 9, True),
    ("failed once", "UP 1/2", "L4TOUT", 1, 9, True),
    ("failed twice", "DOWN", "L4TOUT", 2, 0, False),
    ("failed twice, asked again", "DOWN", "* L4CON", 3, 60, False),
    ("failed at the first time", "DOWN", "L4TOUT", 1, 0, None),
    ("failed at the first time, asked again", "DOWN", "* L4TOUT", 1, 2, None),
    ("failed from the first time on", "DOWN", "L4TOUT", 1, 3, False),
    ("the router has no socket to ask with", "UP", "SOCKERR", 0, 9, None),
    ("in maintenance", "MAINT", "L4OK", 0, 9, None),
    ("in maintenance, not asked", "MAINT", "", 0, 9, None),
    ("told to take no more", "DRAIN", "L4OK", 0, 9, None),
    ("in a word of a later HAProxy", "LIMBO", "L4OK", 0, 9, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "found", "failures", "changed", "expected"), [row[1:] for row in VIEWS], ids=[row[0] for row in VIEWS]
)
def test_views(status: str, found: str, failures: int, changed: int, expected: bool | None) -> None:
    stat = rows(peer("n1", status, found, failures, changed))
    assert dict(peer_views(stat)) == {"n1": expected}


def rows(*lines: str) -> str:
    return "\n".join([HEAD, *lines])


def peer(label: str, status: str = "UP", found: str = "L4OK", failures: int = 0, changed: int = 0) -> str:
    return f"probe.peers,peer.{label},0,{status},1,{failures},0,{changed},{found},1,2,tcp,"


def test_other_rows_are_no_peers_and_peers_no_probes() -> None:
    others = (
        "probe.tcp.1,shop.web-1.web.liveness.0,0,UP,1,0,0,0,L4OK,1,2,tcp,",
        "probe.peersx,peer.n3,0,UP,1,0,0,0,L4OK,1,2,tcp,",
        "svc.shop.web.80,peer.n4,0,UP,1,0,0,0,L4OK,1,2,tcp,",
        "probe.peers,BACKEND,0,UP,1,0,0,0,,,,tcp,",
    )
    stat = rows(others[0], peer("n1"), peer("n2", "DOWN", "L4CON", 2), *others[1:])
    assert dict(peer_views(stat)) == {"n1": True, "n2": False}
    assert set(probe_states(stat)) == {"shop.web-1.web.liveness.0", "peer.n3"}
    assert probes.results(pods("web", "a:R"), read_stats(stat), {}) == {}


@pytest.mark.parametrize("text", ["", "Unknown command", HEAD, HEAD.replace("chkfail", "x") + "\n" + peer("n1")])
def test_what_is_no_statistic_tells_of_nobody(text: str) -> None:
    assert dict(peer_views(text)) == {}
