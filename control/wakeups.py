"""What wakes the supervisor: signals, and whatever can be read from. Between two of them it sleeps."""

import selectors
import signal
import socket
from collections.abc import Callable
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Wakeups:
    """One selector, and a socket pair through which signals reach it (signal.set_wakeup_fd)."""

    def __init__(self) -> None:
        self.stop_requests = 0
        self._selector = selectors.DefaultSelector()
        self._heard, self._told = socket.socketpair()
        self._heard.setblocking(False)
        self._told.setblocking(False)

    def hear_signals(self) -> None:
        """From now on a request to stop is counted, and the end of a child wakes `wait`."""
        signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, self._count)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only a signal with a handler is written to the socket
        self.listen(self._heard.fileno(), lambda: self._heard.recv(4096))

    def listen(self, descriptor: int, answer: Callable[[], object]) -> None:
        """Calls `answer` whenever `descriptor` can be read."""
        self._selector.register(descriptor, selectors.EVENT_READ, answer)

    def forget(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)

    def wait(self, timeout_seconds: float | None) -> None:
        """Sleeps until something can be read or a signal comes, and answers it."""
        for key, _ in self._selector.select(timeout_seconds):
            key.data()

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_requests += 1
