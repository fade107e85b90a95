"""Usage of one node, watched: every 15 s its containers are listed and each is asked what it uses.

It decides nothing: what a look tells is handed on as rows. Losing it costs figures, not truth. A host that hangs holds
its own thread and nobody else's: a look ends within LOOK_SECONDS, well before the next one is due, and the engine's
breaker lets no more than two questions wait. Of several watch processes the one that leads looks.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deployer.core.usage import Look, Row, Subject, due_at, in_turn, look, members, slot_of
from deployer.ports import Clock, Engine, EngineError

log = logging.getLogger("pierhead.watch")
LOOK_SECONDS = 12.0
SHORTEST_SECONDS = 0.05
Record = Callable[[Mapping[Subject, Row]], object]


@dataclass
class UsageLook:
    """What is remembered of one node between two looks. `containers`: how many were asked for at the last one."""

    uid: str
    engine: Engine
    record: Record
    clock: Clock
    last: Look | None = None
    containers: int = 0
    turn: int = 0
    failed: bool = False

    def look(self, offset_seconds: float = 0.0) -> None:
        """Ask for all, hand on what follows. Never raises EngineError."""
        try:
            self._look(offset_seconds)
        except EngineError as error:
            if not self.failed:
                log.info("what pods of node %s use is not seen: %s", self.uid, error.sentence)
            self.failed = True
        else:
            self.failed = False

    def forget(self) -> None:
        """Somebody else looks."""
        self.last, self.containers = None, 0

    def _look(self, offset_seconds: float) -> None:
        began_at = self.clock.now()
        slot = slot_of(began_at, offset_seconds)
        if self.last is not None and self.last.slot == slot:
            return
        running = members(self.uid, self.engine.containers())
        asked = in_turn(running, self.turn)
        self.containers = len(asked)
        took = max(0.0, self.clock.now() - began_at)
        read = self.engine.usage(asked, max(0.0, LOOK_SECONDS - took))
        self.turn += max(1, len(read)) if len(read) < len(asked) else 0
        self.last, rows = look(self.last, slot, self.uid, running, read)
        if rows:
            self.record(rows)


class UsageWatch(threading.Thread):
    """Looks at one node until `stopped` is set. A daemon: it may sit in a blocking read.

    `period`: after how many seconds to look again. `is_leader`: whether it is up to this process.
    """

    def __init__(self, look: UsageLook, clock: Clock, period: Callable[[], int], is_leader: Callable[[], bool]) -> None:
        super().__init__(name=f"usage-{look.uid[:8]}", daemon=True)
        self.stopped = threading.Event()
        self._look, self._clock, self._period, self._is_leader = look, clock, period, is_leader

    def run(self) -> None:
        while True:
            period = self._period()
            offset = spread(self._look.uid) * period
            now = self._clock.now()
            if self.stopped.wait(max(SHORTEST_SECONDS, due_at(now, period, offset) - now)):
                return
            try:
                self.turn(offset)
            except Exception:
                log.exception("looking at what node %s uses failed; it is done again", self._look.uid)

    def turn(self, offset_seconds: float) -> None:
        if self._is_leader():
            self._look.look(offset_seconds)
        else:
            self._look.forget()


def spread(uid: str) -> float:
    """0 to 1, the same for a node at all times: its part of the period, so that not all are looked at at once."""
    return zlib.crc32(uid.encode()) / 2**32
