"""Waiting for something in the database, and saying how it goes: `rollout status`, `sync --wait`, `node drain`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from time import thread_time

POLL_SECONDS = 0.05
SHARE = 0.1
"""Of a processor, at most, for looking: where it is scarce, what is waited for needs it more."""
NO_WORKER_SECONDS = 10.0
NO_WORKER = (
    "no worker has answered for {seconds:.0f} s: is Pierhead running (`manage.py up`) on this database? Waiting goes on"
)


class Patience:
    """Looks every 50 ms, or as often as SHARE allows, until the time is up. `timeout_seconds` 0 waits for ever."""

    def __init__(self, timeout_seconds: float) -> None:
        self.started_at = time.monotonic()
        self.timeout_seconds = timeout_seconds

    @property
    def waited_seconds(self) -> float:
        return time.monotonic() - self.started_at

    def looks(self) -> Iterator[None]:
        """Yields before each look; ends when the time is up. There is always one look."""
        while True:
            began = thread_time()
            yield
            if self.timeout_seconds and self.waited_seconds >= self.timeout_seconds:
                return
            time.sleep(max(POLL_SECONDS, (thread_time() - began) * (1 / SHARE - 1)))


class Told:
    """Says a sentence when it is another one than before."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._last = ""

    def __call__(self, sentence: str) -> None:
        if sentence and sentence != self._last:
            self._last = sentence
            self._say(sentence)
