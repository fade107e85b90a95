"""Many routers asked at the same time: one that hangs keeps nobody waiting, and is not asked twice at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from deployer.loops.router_looks import Look, RouterLooks
from deployer.ports import EngineError

WITHIN_SECONDS = 0.3


class Line:
    def __init__(self, name: str, routers: Routers) -> None:
        self.name, self.routers = name, routers

    def ask(self, commands: Sequence[str]) -> list[str]:
        self.routers.asked.append(self.name)
        if self.name in self.routers.hanging:
            self.routers.goes_on.wait(30)
        if self.name in self.routers.away:
            raise EngineError("RouterUnreachable", f"router at {self.name}: no answer")
        return [f"{self.name}: {command}" for command in commands]

    def close(self) -> None:
        self.routers.closed.append(self.name)


class Routers:
    def __init__(self) -> None:
        self.opened: list[str] = []
        self.asked: list[str] = []
        self.closed: list[str] = []
        self.hanging: set[str] = set()
        self.away: set[str] = set()
        self.goes_on = threading.Event()

    def open(self, uid: str) -> Line:
        if uid == "nobody":
            raise EngineError("RouterUnreachable", "the node is not on record any more")
        self.opened.append(uid)
        return Line(uid, self)


@pytest.fixture
def routers() -> Routers:
    return Routers()


@pytest.fixture
def looks(routers: Routers) -> Iterator[RouterLooks]:
    with ThreadPoolExecutor(8) as pool:
        yield RouterLooks(routers.open, pool, WITHIN_SECONDS)
        routers.goes_on.set()


def test_each_is_asked_over_a_line_that_stays_open(looks: RouterLooks, routers: Routers) -> None:
    for _ in range(2):
        assert looks.ask(["a", "b"], ["x", "y"]) == {"a": Look(("a: x", "a: y")), "b": Look(("b: x", "b: y"))}
    assert (sorted(routers.opened), routers.closed) == (["a", "b"], [])
    looks.keep_only(["b"])
    assert routers.closed == ["a"]


def test_one_that_hangs_keeps_nobody_waiting(looks: RouterLooks, routers: Routers) -> None:
    routers.hanging.add("a")
    for words in (f"no answer within {WITHIN_SECONDS} s", "it is still busy with the question before"):
        found = looks.ask(["a", "b"], ["x"])
        assert found["b"] == Look(("b: x",))
        assert found["a"].failure in (words, f"no answer within {WITHIN_SECONDS} s")
    assert routers.asked.count("a") == 1, "nobody queues up behind a question that hangs"
    routers.hanging.clear()
    routers.goes_on.set()
    while looks.ask(["a"], ["x"])["a"] != Look(("a: x",)):
        pass


def test_a_line_that_failed_is_opened_anew(looks: RouterLooks, routers: Routers) -> None:
    routers.away.add("a")
    assert looks.ask(["a"], ["x"])["a"] == Look(failure="router at a: no answer")
    assert routers.closed == ["a"]
    routers.away.clear()
    assert looks.ask(["a"], ["x"])["a"] == Look(("a: x",))
    assert routers.opened == ["a", "a"]
    assert looks.ask(["nobody"], ["x"])["nobody"] == Look(failure="the node is not on record any more")
