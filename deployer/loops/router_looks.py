"""Many routers asked the same at the same time, none of which can keep the others waiting.

A line to each is kept open in this process. Who has not answered in time has not answered: its thread ends by the
line's own timeouts, and until then nobody else queues up behind it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field

from deployer.ports import EngineError, RouterLine

WITHIN_SECONDS = 2.0
"""For all routers together, connecting included."""


@dataclass(frozen=True, slots=True)
class Look:
    """`answers`: one to each command; () when the router did not answer, and then `failure` is a sentence."""

    answers: tuple[str, ...] = ()
    failure: str = ""


@dataclass
class _Way:
    line: RouterLine | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class RouterLooks:
    """`open_line` makes a line to a node's router; nothing is sent then, and it may raise EngineError."""

    def __init__(
        self, open_line: Callable[[str], RouterLine], pool: Executor, within_seconds: float = WITHIN_SECONDS
    ) -> None:
        self._open_line, self._pool, self._within_seconds = open_line, pool, within_seconds
        self._ways: dict[str, _Way] = {}
        self._lock = threading.Lock()

    def ask(self, nodes: Iterable[str], commands: Sequence[str]) -> Mapping[str, Look]:
        """By the nodes' uids. Never raises EngineError."""
        asked: dict[str, Future[Look]] = {
            uid: self._pool.submit(self._ask, self._way(uid), uid, commands) for uid in dict.fromkeys(nodes)
        }
        wait(asked.values(), timeout=self._within_seconds)
        return {uid: self._result(one) for uid, one in asked.items()}

    def keep_only(self, nodes: Iterable[str]) -> None:
        """Hang up on nodes that are gone."""
        there = set(nodes)
        with self._lock:
            gone = [self._ways.pop(uid) for uid in self._ways.keys() - there]
        for one in gone:
            if one.line is not None:
                one.line.close()

    def _way(self, uid: str) -> _Way:
        with self._lock:
            return self._ways.setdefault(uid, _Way())

    def _result(self, asked: Future[Look]) -> Look:
        if not asked.done():
            asked.cancel()
            return Look(failure=f"no answer within {self._within_seconds:g} s")
        return asked.result()

    def _ask(self, way: _Way, uid: str, commands: Sequence[str]) -> Look:
        if not way.lock.acquire(timeout=self._within_seconds):
            return Look(failure="it is still busy with the question before")
        try:
            if way.line is None:
                way.line = self._open_line(uid)
            return Look(tuple(way.line.ask(commands)))
        except EngineError as error:
            if way.line is not None:
                way.line.close()
            way.line = None  # the next one is opened by what the records say then
            return Look(failure=error.sentence)
        finally:
            way.lock.release()
