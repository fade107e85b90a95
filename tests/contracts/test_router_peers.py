"""A router watches hosts that listen, refuse, are silent and come back: HAProxy, and the simulated one in its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.loopback import Router, needs_haproxy, scratch
from tests.contracts.towns import RealTown, SimulatedTown, Town

WATCHED = ("steady", "nobody", "silent", "falls", "closes")


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as found:
        yield found


@pytest.fixture(params=["simulated", "haproxy"])
def town(request: pytest.FixtureRequest, folder: Path) -> Town:
    if request.param == "haproxy":
        needs_haproxy()
    kind: type[RealTown | SimulatedTown] = RealTown if request.param == "haproxy" else SimulatedTown
    return kind(folder, (*WATCHED, "late", "never"), WATCHED)


def test_peers_are_seen_and_missed_and_nothing_is_made_up(town: Town) -> None:
    for name in ("steady", "silent", "falls", "closes", "late"):
        town.host(name).listen()
    town.host("silent").fall_silent()
    with town.running():
        town.comes_to(steady=True, nobody=False, silent=False, falls=True, closes=True)
        seen = town.seen[town.process]
        assert not {name for name in WATCHED if {True, False} <= seen[name]}
        town.host("falls").fall_silent()
        town.host("closes").refuse()
        town.host("silent").come_back()
        town.comes_to(steady=True, nobody=False, silent=True, falls=False, closes=False)
        town.host("falls").come_back()
        town.host("closes").listen()
        town.comes_to(falls=True, closes=True)

        town.becomes("steady", "closes", "late", "never")
        assert set(town.views()) == {"steady", "closes", "late", "never"}
        town.comes_to(late=True)
        assert True not in seen["never"] | seen["nobody"]

        town.host("closes").fall_silent()
        town.reload("steady", "closes", "late")
        town.eventually(lambda: town.views()["steady"] and len(town.seen) == 2, "another process answers")
        town.comes_to(steady=True, late=True)
        seen = town.seen[town.process]
        assert False not in seen["steady"] | seen["late"]
        assert True not in seen["closes"], "what was found before a reload is forgotten with it"


def test_haproxy_takes_addresses_of_any_kind(folder: Path) -> None:
    needs_haproxy()
    town = RealTown(folder, ("a", "b"), ())
    town.addresses["b"] = "2001:db8::1"
    found = town.config("a", "b")
    assert len(found.servers["probe.peers"]) == 2
    assert Router(folder, found).complaints() == ""
