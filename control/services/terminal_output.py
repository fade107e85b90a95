"""What a terminal printed, on its way to the one page that shows it.

The program waits while more than AHEAD characters are not sent yet, so that one that prints without end fills no
memory. What was sent is kept for a while: a page whose connection broke goes on behind the last number that it saw.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

AHEAD = 128 * 1024
KEPT = 256 * 1024
TOGETHER = 64 * 1024
LOST = "\r\n[some lines were lost on the way]\r\n"
Wake = Callable[[], None]


@dataclass(frozen=True, slots=True)
class News:
    """`number` is of the last piece of `text`. `ended`: why nothing more will come, "" while something may."""

    number: int
    text: str
    began: bool
    ended: str


class Output:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pieces: deque[tuple[int, str]] = deque()
        self._last = self._sent = self._held = self._unsent = 0
        self._began, self._released, self._ended = False, False, ""
        self._wake: Wake | None = None
        self.left_at: float | None = None
        """Since when no page listens; None while one does. Set by whoever opens it, and by `leave`."""

    # The terminal's side

    def begin(self) -> None:
        with self._changed:
            self._began = True
        self._tell()

    def put(self, text: str) -> None:
        """Waits while the page is slow, until `release`."""
        with self._changed:
            self._changed.wait_for(lambda: self._unsent < AHEAD or self._released)
            self._last += 1
            self._pieces.append((self._last, text))
            self._held, self._unsent = self._held + len(text), self._unsent + len(text)
        self._tell()

    def release(self) -> None:
        """Nobody waits for the page from now on."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def end(self, why: str) -> None:
        with self._changed:
            self._ended = why
        self._tell()

    # The page's side

    def join(self, wake: Wake) -> None:
        """A page listens; one that listened before does not any more."""
        before, self._wake, self.left_at = self._wake, wake, None
        if before is not None:
            before()

    def is_heard_by(self, wake: Wake) -> bool:
        return self._wake is wake

    def leave(self, wake: Wake, now: float) -> None:
        if self._wake is wake:
            self._wake, self.left_at = None, now

    def behind(self, number: int) -> News:
        """What comes behind this piece, about TOGETHER characters at most."""
        with self._changed:
            texts, size, last = [], 0, number
            for at, text in self._pieces:
                if at > number and size < TOGETHER:
                    texts.append(text if at == last + 1 else LOST + text)
                    size, last = size + len(text), at
            return News(last, "".join(texts), self._began, self._ended if last >= self._last else "")

    def sent(self, number: int) -> None:
        with self._changed:
            self._unsent -= sum(len(text) for at, text in self._pieces if self._sent < at <= number)
            self._sent = max(self._sent, number)
            while self._pieces and self._held > KEPT and self._pieces[0][0] <= self._sent:
                self._held -= len(self._pieces.popleft()[1])
            self._changed.notify_all()

    def _tell(self) -> None:
        wake = self._wake
        if wake is not None:
            wake()
