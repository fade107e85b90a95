"""A new probe is tried at once, for as long as a pass looks at it, and then made as it was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.core.network.first_tries import first_tries
from deployer.core.network.probes import backends, unanswered
from deployer.core.network.runtime import Live, LiveServer, StatRow, marked, moves, word_after
from deployer.core.network.values import ContainerProbe, NetworkCheck, ProbeKind, ProbeResult, RouterConfig, Server
from tests.core.network.proxy import config, started
from tests.core.network.towns import cluster, pod

param = pytest.param
PROBE = "probe.http.1"


def wanted(kind: ProbeKind = "readiness", **check: int) -> tuple[RouterConfig, Server]:
    """The router of a node with one pod that has this probe."""
    probe = ContainerProbe("main", kind, NetworkCheck("http", 80, **check), "id", 90.0)
    town = cluster(pods=(pod("one", probes=(probe,)),))
    servers = {one.name: [marked(server) for server in one.servers] for one in backends(town)}
    return config(servers), servers[PROBE][0]


def test_a_new_probe_is_tried_at_once_and_then_made_as_it_was_asked_for() -> None:
    desired, server = wanted(period_seconds=10)
    proxy = started(config({PROBE: []}))
    tries = first_tries(desired, proxy.look(), {server.name})
    assert tries is not None
    assert tries.servers == {(PROBE, server.name)}
    told = moves(tries.config, proxy.look()).commands
    assert [command.split(" agent-addr")[0] for command in told] == [
        f"add server {PROBE}/{server.name} {server.address} check inter 10s downinter 40ms rise 1 fall 3",
        f"enable health {PROBE}/{server.name}",
        f"enable server {PROBE}/{server.name}",
    ]
    proxy.send(told)
    assert moves(tries.config, proxy.look()).commands == ()
    proxy.send(moves(desired, proxy.look()).commands)
    proxy.send(moves(desired, proxy.look()).commands)
    assert proxy.servers[PROBE][server.name].mark == word_after(server.arguments, "agent-addr")
    assert (moves(desired, proxy.look()).commands, proxy.refused) == ((), [])


@pytest.mark.parametrize(
    ("kind", "check", "found", "is_tried"),
    [
        param("readiness", {}, None, True, id="not there yet"),
        param("startup", {}, None, True, id="a startup probe as well"),
        param("liveness", {}, None, False, id="a liveness probe passes until it fails"),
        param("readiness", {"rise": 2}, None, False, id="one success would not do"),
        param("readiness", {}, "INI", True, id="read from the file, where its first check is a period away"),
        param("readiness", {}, "* L4CON", False, id="it has been made"),
    ],
)
def test_which_probes_are_tried(kind: ProbeKind, check: dict[str, int], found: str | None, is_tried: bool) -> None:
    desired, server = wanted(kind, **check)
    rows = () if found is None else (StatRow(PROBE, server.name, "UP 1/3", check_status=found),)
    there = {} if found is None else {PROBE: {server.name: LiveServer(PROBE, server.name, server.address)}}
    assert (first_tries(desired, Live(there, rows, 100.0), {server.name}) is not None) == is_tried


def test_what_is_known_is_not_tried() -> None:
    desired, server = wanted()
    assert first_tries(desired, Live({}, (), 100.0), set()) is None
    probe = ContainerProbe("main", "readiness", NetworkCheck("http", 80), "id", 90.0)
    one = pod("one", probes=(probe,))
    known = ProbeResult("main", "readiness", 90.0, passing=False)
    assert unanswered([one], {}) == unanswered([one], {one.uid: (replace(known, passing=None),)}) == {server.name}
    assert unanswered([one], {one.uid: (replace(known, started_at=80.0),)}) == {server.name}, "of another run"
    assert unanswered([one], {one.uid: (known,)}) == set()


@pytest.mark.parametrize(
    ("status", "found", "passed"),
    [("UP 1/3", "INI", False), ("UP", "L7OK", True), ("UP", "* L7OK", False), ("DOWN", "L7STS", False)],
)
def test_it_is_waited_for_until_all_have_passed(status: str, found: str, passed: bool) -> None:
    desired, server = wanted()
    tries = first_tries(desired, Live({}, (), 100.0), {server.name})
    assert tries is not None
    assert tries.have_passed([StatRow(PROBE, server.name, status, check_status=found)]) == passed
    assert not tries.have_passed([StatRow(PROBE, "another", "UP", check_status="L7OK")])
