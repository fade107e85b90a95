"""Wake-ups that come due within the second: a hint at their time, rather than with the dispatcher's next round.

As with hints, the row is the truth. An alarm that goes down with its process costs the dispatcher's second, one that
rings for a key that is not due any more finds nothing to claim. What comes due later is not kept here: the dispatcher
looks a second ahead.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable

AHEAD_SECONDS = 1.1
"""A round of the dispatcher, and a little: what is due later is found by the next one."""


class Alarms:
    """`ring(loop, key)` is called at the time that was set, in a thread of its own; `now` is the clock on the wall."""

    def __init__(self, ring: Callable[[str, str], None], now: Callable[[], float]) -> None:
        self._ring, self._now = ring, now
        self._set: list[tuple[float, str, str]] = []
        self._known: set[tuple[float, str, str]] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def set(self, loop: str, key: str, at: float) -> None:
        """From any thread. What is due already rings in this one; the same time of the same key is kept once."""
        alarm, left = (at, loop, key), at - self._now()
        if left <= 0:
            self._ring(loop, key)
        if not 0 < left <= AHEAD_SECONDS:
            return
        with self._changed:
            if alarm in self._known:
                return
            self._known.add(alarm)
            heapq.heappush(self._set, alarm)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
                self._thread.start()
            elif self._set[0] == alarm:
                self._changed.notify()

    def due(self) -> list[tuple[str, str]]:
        """What is to ring now, taken off."""
        now, found = self._now(), []
        with self._changed:
            while self._set and self._set[0][0] <= now:
                alarm = heapq.heappop(self._set)
                self._known.discard(alarm)
                found.append(alarm[1:])
        return found

    def _run(self) -> None:
        while True:
            for loop, key in self.due():
                self._ring(loop, key)
            with self._changed:
                left = self._set[0][0] - self._now() if self._set else None
                if left is None or left > 0:
                    # A clock that was set back makes nobody wait for longer.
                    self._changed.wait(None if left is None else min(left, AHEAD_SECONDS))
