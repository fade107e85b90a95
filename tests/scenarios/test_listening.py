"""Between two pings of a silent host: whose words are asked for, when they decide, and what they do not decide.

A ping of host b takes its whole second to time out; the clock moves only while the pings are waited for.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from deployer.core.heartbeat import Pulse
from deployer.core.survival.guards import Verdict
from deployer.core.survival.judge import Host
from deployer.core.survival.states import CUT_OFF, DEAD, READY, UNKNOWN
from deployer.loops.heartbeat import LISTEN_SECONDS, Beating, Heartbeats

BEGIN = 1000.0


class Town:
    """Hosts a, b, c; b has lost power. `says`: seconds since then -> who says then whether it sees b."""

    def __init__(self, says: Mapping[float, Mapping[str, bool]]) -> None:
        self.now, self.says = BEGIN, says
        self.hosts = {name: Host(name, name, Pulse()) for name in "abc"}
        self.written: list[tuple[float, str, str]] = []
        self.hurried: list[tuple[float, str]] = []
        self.heart = Heartbeats(self, self, self, Clock(self), self.hurry, self.wait, ticked_at=BEGIN)  # type: ignore[arg-type]
        self.heart.beating = {name: Beating(name, Pulse(answered_at=BEGIN, answering_since=1.0)) for name in "abc"}  # type: ignore[arg-type]
        for name in "ac":
            self.heart.heard(name, BEGIN, {"b": True})

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            pause = self.heart.tick(list(self.hosts.values()))
            self.now += pause

    def since(self) -> float:
        return round(self.now - BEGIN, 3)

    # The ways to the hosts and to their routers

    def submit(self, _ping: Callable[..., str], engine: Any) -> Future[str]:
        answer: Future[str] = Future()
        if engine != "b":
            answer.set_result("")
        return answer

    def wait(self, pings: Sequence[Future[str]], timeout: float) -> Any:
        found = concurrent.futures.wait(pings, 0)
        if found.not_done:
            self.now += timeout
        for at, words in self.says.items():
            if self.now - timeout < BEGIN + at <= self.now:
                for name, sees in words.items():
                    self.heart.heard(name, self.now, {"b": sees})
        return found

    def hurry(self, uid: str) -> None:
        self.hurried.append((self.since(), uid))

    # The records

    def changed(self, found: Sequence[tuple[Host, Verdict]], _wake: Any, _now: float) -> None:
        for before, verdict in found:
            if self.hosts[before.uid].state == before.state:
                self.written.append((self.since(), before.uid, verdict.state))
                evicting = {"state": verdict.state, "evicting_at": verdict.evicting_at, "witnesses": verdict.witnesses}
                self.hosts[before.uid] = replace(before, pulse=Pulse(), **evicting)

    def seen(self, _nodes: object, _now: float) -> None: ...
    def wake(self, *_: object) -> None: ...
    def hold(self, *_: object) -> bool:
        return True

    def fenced(self, _lease: object) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


@dataclass
class Clock:
    town: Town

    def now(self) -> float:
        return self.town.now


def test_words_that_come_while_a_ping_is_under_way_decide_at_once() -> None:
    town = Town({2.95: {"a": False}, 3.6: {"c": False}})
    town.tick(3)
    assert (town.since(), town.written) == (3.3, [(3.2, "b", UNKNOWN)]), "c still saw it when the third one was missed"
    town.tick()
    assert town.written[1:] == [(3.8, "b", DEAD)]


def test_peers_are_asked_often_from_the_third_ping_on_until_all_is_clear() -> None:
    town = Town({2.95: {"a": False, "c": False}})
    town.tick(2)
    assert town.hurried == []
    town.tick()
    assert [at for at, uid in town.hurried if uid == "a"] == [2.2 + LISTEN_SECONDS * n for n in range(4)]
    assert {uid for _, uid in town.hurried} == {"a", "c"}
    assert town.written == [(3.2, "b", DEAD)]
    asked = len(town.hurried)
    town.tick(3)
    assert len(town.hurried) == asked


def test_two_missed_pings_and_all_the_peers_words_are_no_death() -> None:
    town = Town({1.5: {"a": False, "c": False}, 2.5: {"a": False, "c": False}})
    town.tick(2)
    assert town.hosts["b"].state == READY
    town.tick()
    assert [at for at, _, state in town.written if state == DEAD] == [3.2]


def test_one_peer_that_sees_it_decides_the_other_way() -> None:
    town = Town({3.6: {"a": True, "c": False}})
    town.tick(5)
    assert [state for _, _, state in town.written] == [UNKNOWN, CUT_OFF]
