"""A connection to an engine that is no longer HTTP: the engine has handed it over, and bytes go both ways.

Docker calls it hijacking. The request is sent and the head of the answer is read here, on a connection that belongs to
no pool, because HTTP libraries read ahead of what they were asked for and give the connection back when they think
that the answer has ended. One thread may read while others write: a TLS connection must not be used by two at a time,
so nobody holds it while waiting.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass

_PIECE_BYTES = 65536
_LONGEST_HEAD_BYTES = 65536
_NOT_YET = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError, InterruptedError)


@dataclass(frozen=True, slots=True)
class Handed:
    """What was answered. `rest`: what has come behind the head already."""

    status: int
    rest: bytes

    @property
    def message(self) -> str:
        try:
            return str(json.loads(self.rest)["message"])
        except (ValueError, KeyError, TypeError):
            return self.rest.decode(errors="replace")


def ask(sock: socket.socket, host: str, path: str, body: bytes) -> Handed:
    """Ask for the connection; `sock` has a timeout. Raises OSError, TimeoutError included."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    )
    sock.sendall(head.encode("ascii") + body)
    answer, rest = _head(sock)
    status = int(answer.split(" ", 2)[1])
    if status < 400:
        return Handed(status, rest)
    return Handed(status, _body(sock, answer, rest))


def _head(sock: socket.socket) -> tuple[str, bytes]:
    found = b""
    while b"\r\n\r\n" not in found:
        piece = sock.recv(_PIECE_BYTES)
        if not piece or len(found) > _LONGEST_HEAD_BYTES:
            raise ConnectionResetError("the engine hung up within its answer")
        found += piece
    head, _, rest = found.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.") or not head.split(b" ", 2)[1:2] or not head.split(b" ", 2)[1].isdigit():
        raise ConnectionResetError("what was answered is not HTTP")
    return head.decode("latin-1"), rest


def _body(sock: socket.socket, head: str, rest: bytes) -> bytes:
    """Of an error: as long as the head says, or until the engine hangs up."""
    fields = dict(line.lower().partition(":")[::2] for line in head.split("\r\n")[1:])
    told = fields.get("content-length", "").strip()
    length = int(told) if told.isdigit() else _LONGEST_HEAD_BYTES
    while len(rest) < min(length, _LONGEST_HEAD_BYTES) and (piece := sock.recv(_PIECE_BYTES)):
        rest += piece
    return rest


class Line:
    """Closed by `close`, or by `shutdown`, which only ends what waits. Both may be called from any thread, twice."""

    def __init__(self, sock: socket.socket, first: bytes, timeout_seconds: float) -> None:
        """`first` was read already. A write that cannot be sent within `timeout_seconds` fails; a read waits."""
        sock.setblocking(False)
        self._sock, self._first, self._timeout_seconds = sock, first, timeout_seconds
        self._using, self._reading, self._writing = threading.Lock(), threading.Lock(), threading.Lock()
        self._closed = False

    def read(self) -> bytes:
        """What has come, waiting for something; b"" when nothing more will. Raises OSError when it broke."""
        with self._reading:
            first, self._first = self._first, b""
            while not first and not self._closed:
                try:
                    with self._using:
                        return self._sock.recv(_PIECE_BYTES)
                except _NOT_YET:
                    self._wait(select.POLLIN, None)
                except OSError:
                    if not self._closed:
                        raise
            return first

    def write(self, data: bytes) -> None:
        """All of it, or OSError."""
        until = time.monotonic() + self._timeout_seconds
        rest = memoryview(data)
        with self._writing:
            while rest:
                try:
                    with self._using:
                        rest = rest[self._sock.send(rest) :]
                except _NOT_YET:
                    self._wait(select.POLLOUT, until)

    @property
    def is_closed(self) -> bool:
        return self._closed

    def end_reading(self) -> None:
        """A read that waits ends; what is written still goes out."""
        self._closed = True
        self._shut(socket.SHUT_RD)

    def shutdown(self) -> None:
        self._closed = True
        self._shut(socket.SHUT_RDWR)

    def close(self) -> None:
        self.shutdown()
        with self._reading, self._writing:
            self._sock.close()

    def _shut(self, how: int) -> None:
        with contextlib.suppress(OSError):  # not connected any more
            socket.socket.shutdown(self._sock, how)  # beneath TLS, which would refuse to be used from then on

    def _wait(self, what: int, until: float | None) -> None:
        """Until the connection is ready or gone. Raises TimeoutError."""
        poll = select.poll()
        poll.register(self._sock, what)
        left = None if until is None else max(0.0, until - time.monotonic()) * 1000
        if not poll.poll(left):
            raise TimeoutError(f"nothing could be sent for {self._timeout_seconds:g} s")
