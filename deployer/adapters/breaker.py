"""A circuit breaker for one engine: after failures in a row it is not asked again for a while.

A host that accepts connections and answers nothing costs each caller a whole timeout. Once it is open, a call fails at
once; when its pause is over, one caller tries (`ping`, a second at most) and the others go on failing until that one
has an answer. Any answer closes it, be it a refusal: who says no is there.

Guarantees: with CALLS failures behind it, an engine holds one thread for a second in LONGEST_SECONDS, however many
pods want something of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

CALLS = 2
FIRST_SECONDS, LONGEST_SECONDS = 1.0, 10.0


@dataclass
class Breaker:
    """`monotonic` is a clock that is never set. Thread-safe; nothing here waits."""

    monotonic: Callable[[], float]
    failures: int = 0
    reopens_at: float = 0.0
    said: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_open(self) -> bool:
        return self.failures >= CALLS

    def may_try(self) -> bool:
        """Of an open one: whether the pause is over; then the caller is the one who tries."""
        with self._lock:
            if self.monotonic() < self.reopens_at:
                return False
            self.reopens_at = self.monotonic() + self._pause()
            return True

    def refusal(self) -> str:
        """Why nothing is sent: continues a host's name in a sentence."""
        left = max(0.0, self.reopens_at - self.monotonic())
        return f"is not asked for {left:.0f} s: {self.failures} calls in a row had no answer (the last: {self.said})"

    def answered(self) -> None:
        if self.failures:
            with self._lock:
                self.failures, self.reopens_at, self.said = 0, 0.0, ""

    def failed(self, sentence: str) -> None:
        with self._lock:
            self.failures, self.said = self.failures + 1, sentence
            if self.failures >= CALLS:
                self.reopens_at = self.monotonic() + self._pause()

    def _pause(self) -> float:
        """1 s after CALLS failures, then 2, 4, 8, and 10 from then on."""
        return float(min(FIRST_SECONDS * 2 ** min(max(0, self.failures - CALLS), 10), LONGEST_SECONDS))
