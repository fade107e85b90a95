"""The watch process at one node: which wake-ups come of events and of what probes find, and how often is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

import pytest

from deployer.adapters.clock import WallClock
from deployer.core.container import LABEL_COMPONENT, LABEL_POD_UID, EngineEvent
from deployer.loops.probe_watch import (
    AWAY_SECONDS,
    BUSY_SECONDS,
    HURRIED_SECONDS,
    IDLE_SECONDS,
    SAMPLE_SECONDS,
    USUAL_SECONDS,
    ProbeLook,
    ProbeWatch,
)
from deployer.loops.watch import NodeWatch
from deployer.ports import EngineError

DEADLINE_SECONDS = 4.5
HEAD = "# pxname,svname,status,chkfail,check_status,check_fall,lastchg,"


class Wakes:
    def __init__(self) -> None:
        self.woken: list[str] = []

    def wake(self, loop: str, key: str, at: float = 0.0, dirty: Iterable[str] = ()) -> None:
        self.woken.append(loop)


class Line:
    """A router that says what it is told to."""

    def __init__(self) -> None:
        self.rows: tuple[str, ...] = ()
        self.info, self.away, self.closed, self.asked = "Stopping: 0", False, 0, 0

    def ask(self, commands: Sequence[str]) -> list[str]:
        self.asked += 1
        if self.away:
            raise EngineError("RouterUnreachable", "router at a: no answer")
        stat = "\n".join([HEAD, *self.rows])
        return [
            "\n" + self.info if one == "show info" else stat if one.startswith("show stat") else "t" for one in commands
        ]

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def wakes() -> Wakes:
    return Wakes()


@pytest.fixture
def look(line: Line, wakes: Wakes) -> ProbeLook:
    return ProbeLook("n1", lambda: line, wakes)  # type: ignore[arg-type]


def pause(look: ProbeLook, now: float) -> float:
    look.look(now)
    return round(look.next_at - now, 3)


def test_a_change_wakes_once_and_is_followed_closely(look: ProbeLook, line: Line, wakes: Wakes) -> None:
    assert (pause(look, 100), wakes.woken) == (IDLE_SECONDS, [])
    line.rows = ("probe.http.1,p,UP,0,INI,3,",)
    assert (pause(look, 110), wakes.woken) == (BUSY_SECONDS, ["route"])
    assert pause(look, 120) == BUSY_SECONDS, "nothing is decided yet"
    line.rows = ("probe.http.1,p,UP,0,L7OK,3,",)
    assert (pause(look, 121), wakes.woken) == (BUSY_SECONDS, ["route"] * 2)
    assert (pause(look, 125), wakes.woken) == (USUAL_SECONDS, ["route"] * 2)
    line.rows = ("probe.http.1,p,UP 2/3,1,L7STS,3,",)
    look.look(126)
    line.rows = ("probe.http.1,p,UP 1/3,2,L7STS,3,",)
    look.look(127)
    assert wakes.woken == ["route"] * 3, "a failure that does not count yet is no news"
    line.rows = ()
    assert (pause(look, 130), wakes.woken) == (IDLE_SECONDS, ["route"] * 4)


def test_a_container_that_started_is_expected(look: ProbeLook) -> None:
    look.expected_until = 105
    assert (pause(look, 100), pause(look, 106)) == (USUAL_SECONDS, IDLE_SECONDS)


def test_a_container_that_started_is_looked_at_closely_until_its_probes_pass(look: ProbeLook, line: Line) -> None:
    line.rows = ("probe.http.1,p,UP,0,L7OK,3,", "probe.http.1,q,DOWN,0,L4CON,3,")
    look.look(100)
    assert pause(look, 110) == USUAL_SECONDS, "one that has failed for long is not followed closely"
    look.expected_until = 125
    assert pause(look, 120) == BUSY_SECONDS
    assert pause(look, 126) == USUAL_SECONDS
    line.rows = ("probe.http.1,p,UP,0,L7OK,3,",)
    look.look(127)
    look.expected_until = 150
    assert pause(look, 140) == USUAL_SECONDS, "all pass"


def test_a_router_that_is_away_is_asked_less_and_less(look: ProbeLook, line: Line, wakes: Wakes) -> None:
    line.away = True
    assert [pause(look, now) for now in range(6)] == [2, 4, 8, 16, 30, 30]
    assert AWAY_SECONDS == (2.0, 30.0)
    assert (line.closed, wakes.woken) == (6, [])
    line.away = False
    assert pause(look, 100) == IDLE_SECONDS


def test_the_line_of_a_process_that_goes_is_left(look: ProbeLook, line: Line) -> None:
    look.look(100)
    line.info = "Stopping: 1"
    look.look(110)
    assert (line.closed, line.asked) == (1, 3)


def test_counters_are_handed_on(look: ProbeLook, line: Line) -> None:
    samples: list[tuple[str, float, str, str]] = []
    look.sample = lambda *what: samples.append(what)
    for now in (100.0, 105.0, 100 + SAMPLE_SECONDS):
        look.look(now)
    assert samples == [("n1", 100.0, HEAD, "t"), ("n1", 115.0, HEAD, "t")]


def test_what_the_router_sees_of_its_peers_is_handed_on_with_every_look(look: ProbeLook, line: Line) -> None:
    told: list[tuple[str, float, dict[str, bool | None]]] = []
    look.peers = lambda uid, now, views: told.append((uid, now, dict(views)))
    line.rows = ("probe.peers,peer.n2,UP,0,INI,2,0,",)
    look.look(100)
    line.rows = ("probe.peers,peer.n2,UP,0,L4OK,2,1,", "probe.peers,peer.n3,DOWN,2,L4CON,2,0,")
    look.look(105)
    line.away = True
    look.look(110)
    assert told == [("n1", 100, {"n2": None}), ("n1", 105, {"n2": True, "n3": False})]


def test_peers_that_come_and_go_wake_nobody(look: ProbeLook, line: Line, wakes: Wakes) -> None:
    for row in ("UP,0,L4OK,2,1,", "UP 1/2,1,L4CON,2,1,", "DOWN,2,L4CON,2,1,"):
        line.rows = (f"probe.peers,peer.n2,{row}",)
        assert (pause(look, 100), wakes.woken) == (IDLE_SECONDS, [])


def test_a_hurried_look_at_a_router_that_is_away_puts_off_no_other(look: ProbeLook, line: Line) -> None:
    line.away = True
    look.look(100)
    for _ in range(9):
        look.look(101, hurried=True)
    assert (look.next_at, line.asked) == (102, 10)
    assert pause(look, 102) == 4
    line.away = False
    look.look(103, hurried=True)
    assert look.next_at == 103 + IDLE_SECONDS


class Running:
    """The thread that looks at a router, with the clock on the wall."""

    def __init__(self, look: ProbeLook, line: Line) -> None:
        self.watch, self.line = ProbeWatch(look, WallClock()), line

    def __enter__(self) -> Running:
        self.watch.start()
        self.looked(1)
        return self

    def __exit__(self, *_: object) -> None:
        self.watch.stop()
        self.watch.join(DEADLINE_SECONDS)
        assert not self.watch.is_alive()

    def looked(self, times: int) -> None:
        until = time.monotonic() + DEADLINE_SECONDS
        while self.line.asked < times:
            assert time.monotonic() < until, f"looked {self.line.asked} times of {times}"
            threading.Event().wait(0.01)


def test_whoever_needs_to_know_has_it_looked_at_once(look: ProbeLook, line: Line) -> None:
    """Both pauses, an idle router's and that of one which has been away for long, are longer than the deadline."""
    look.failures, line.away = 10, True
    with Running(look, line) as running:
        running.watch.hurry()
        running.looked(2)
        line.away = False
        running.watch.hurry()
        running.looked(3)
        running.watch.hurry()
        running.looked(4)


def test_however_often_it_is_hurried_it_looks_a_few_times_a_second(look: ProbeLook, line: Line) -> None:
    with Running(look, line) as running:
        began_at = time.monotonic()
        while line.asked < 4:
            running.watch.hurry()
            assert time.monotonic() < began_at + DEADLINE_SECONDS
        assert time.monotonic() - began_at >= 3 * HURRIED_SECONDS - 0.05


EVENTS = [
    ("a pod's container dies", "die", LABEL_POD_UID, ["converge"]),
    ("a container of the router dies", "die", LABEL_COMPONENT, ["route"]),
    ("it is removed", "destroy", LABEL_COMPONENT, ["route"]),
    ("its first start is our own", "start", LABEL_COMPONENT, []),
]


@pytest.mark.parametrize(("action", "label", "woken"), [row[1:] for row in EVENTS], ids=[row[0] for row in EVENTS])
def test_events(action: str, label: str, woken: list[str], wakes: Wakes) -> None:
    started: list[bool] = []
    watch = NodeWatch("n1", Host([EngineEvent(action, "c1", {label: "x"}, 5.0)]), wakes, lambda: started.append(True))  # type: ignore[arg-type]
    watch._window(1.0)
    assert wakes.woken == woken
    assert bool(started) == (action == "start")


class Host:
    def __init__(self, events: list[EngineEvent]) -> None:
        self._events = events

    def events(self, since: float, until: float) -> list[EngineEvent]:
        return self._events
