"""Asks a web server for /healthz, once at a time, without waiting for it."""

import socket
import time

from control.wakeups import Wakeups

AGAIN_SECONDS = 0.2
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Probe:
    """`answered()` turns true once the server at `address` has answered 200."""

    def __init__(self, address: tuple[str, int], family: socket.AddressFamily, wakeups: Wakeups) -> None:
        self._address = address
        self._family = family
        self._wakeups = wakeups
        self._connection: socket.socket | None = None
        self._again_at = 0.0
        self._healthy = False

    def answered(self) -> bool:
        if not self._healthy and self._connection is None and time.monotonic() >= self._again_at:
            self._ask()
        return self._healthy

    def close(self) -> None:
        if self._connection is not None:
            self._wakeups.forget(self._connection.fileno())
            self._connection.close()
            self._connection = None

    def _ask(self) -> None:
        self._again_at = time.monotonic() + AGAIN_SECONDS
        connection = socket.socket(self._family)
        connection.settimeout(1.0)
        try:
            connection.connect(self._address)
            connection.sendall(REQUEST)
        except OSError:
            connection.close()
            return
        self._connection = connection
        self._wakeups.listen(connection.fileno(), self._hear)

    def _hear(self) -> None:
        try:
            answer = self._connection.recv(4096) if self._connection else b""
        except OSError:
            answer = b""
        self._healthy = answer.startswith(b"HTTP/1.1 200 ")
        self.close()
