"""fakeredis on a Unix socket; see control/broker.py for when and why."""

import contextlib
import queue
import select
import socket
import socketserver
from itertools import count
from pathlib import Path
from typing import Any

from fakeredis._clients._tcp_server import TCPFakeRequestHandler, TcpFakeServer

CHUNK_BYTES = 65536


class FakeBroker(TcpFakeServer):  # type: ignore[misc]
    """A Redis at the Unix socket `path`, in the memory of this process; one thread per connection."""

    address_family = socket.AF_UNIX
    request_queue_size = 128

    def __init__(self, path: Path) -> None:
        # The base class would bind before the handler could be replaced.
        super().__init__(str(path), bind_and_activate=False)
        self.RequestHandlerClass = Connection
        self.daemon_threads = True
        self._numbers = count(1)
        self.server_bind()
        self.server_activate()

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Clients of a Unix socket have no address, and the base class tells them apart by it."""
        connection, _ = self.socket.accept()
        return connection, ("unix", next(self._numbers))


class Connection(TCPFakeRequestHandler):  # type: ignore[misc]
    """One client: sleeps until it sends something, or another connection's thread pushes something to it."""

    def setup(self) -> None:
        super().setup()
        self.connection.setblocking(True)  # or a large reply to a slow reader would be cut off
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self.current_client.get_socket().responses = WakingQueue(self._waker)

    def handle(self) -> None:
        try:
            while self._answer() and self._listen():
                pass
        except OSError:
            pass  # the client is gone, or too broken to be told

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            pass  # a reply to a client that is gone cannot be flushed
        finally:
            self._woken.close()
            self._waker.close()

    def _answer(self) -> bool:
        while self.current_client.can_read():
            try:
                reply = self.current_client.read_response()
            except Exception as error:  # noqa: BLE001 - an error is a reply like any other
                reply = error
            self.writer.dump(reply)
        return True

    def _listen(self) -> bool:
        """Waits; passes on what the client sent. False when the client has hung up."""
        readable, _, _ = select.select([self.connection, self._woken], [], [])
        if self._woken in readable:
            self._woken.recv(CHUNK_BYTES)
        if self.connection in readable:
            received = self.connection.recv(CHUNK_BYTES)
            if not received:
                return False
            self.current_client.get_socket().sendall(received)
        return True


class WakingQueue(queue.Queue[Any]):
    """The replies that wait to be written; a reply that is put there from any thread wakes the connection."""

    def __init__(self, waker: socket.socket) -> None:
        super().__init__()
        self._waker = waker

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        with contextlib.suppress(OSError):  # full: it is awake already; closed: the client is gone
            self._waker.send(b"\0")
