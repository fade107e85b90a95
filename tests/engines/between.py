"""A proxy in front of a host's engine, on the host: its answers come late, or some requests are refused.

    with between(host, late_seconds=2.5): ...
    with between(host, refused="/create"): ...       # with 500, whatever path holds the word

Connections to the engine's port that come over the network are led to it, those that are open are reset; the engine's
own socket is not touched. The rules live in the host's own network, so nothing is left behind when the host goes.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.engines.hosts import Host

ENGINE_PORT, PORT = 2376, 2377
_PIECE_BYTES = 65536
_MESSAGE = "write /var/lib/docker/containers: input/output error"


@contextlib.contextmanager
def between(host: Host, *, late_seconds: float = 0, refused: str = "") -> Iterator[None]:
    words = [sys.executable, "-I", "-S", __file__, host.ip, str(host.folder), str(late_seconds), refused]
    process = host.spawn(*words)
    try:
        _wait_until_listening(host.ip)
        _rules(host, "-A")
        yield
    finally:
        _rules(host, "-D")
        process.kill()
        process.wait(timeout=10)


def _rules(host: Host, change: str) -> None:
    """New connections go to the proxy; what still comes for the engine's own port is reset."""
    port = ("-p", "tcp", "--dport", str(ENGINE_PORT), "!", "-i", "lo")
    for rule in (
        ("-t", "nat", change, "PREROUTING", *port, "-j", "REDIRECT", "--to-ports", str(PORT)),
        (change, "INPUT", *port, "-j", "REJECT", "--reject-with", "tcp-reset"),
    ):
        command = ["ip", "netns", "exec", host.namespace, "iptables", "-w", *rule]
        subprocess.run(command, check=True, capture_output=True, timeout=20)


def _wait_until_listening(address: str, *, deadline_seconds: float = 20) -> None:
    until = time.monotonic() + deadline_seconds
    while True:
        try:
            socket.create_connection((address, PORT), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


# What runs on the host: the standard library alone


def main(address: str, folder: str, late: str, refused: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/cert", f"{folder}/key")
    context.load_verify_locations(f"{folder}/ca")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server((address, PORT), backlog=128) as listener:
        while True:
            client, _ = listener.accept()
            serve = (client, context, Path(folder, "docker.sock"), float(late), refused)
            threading.Thread(target=_serve, args=serve, daemon=True).start()


def _serve(raw: socket.socket, context: ssl.SSLContext, engine: Path, late_seconds: float, refused: str) -> None:
    """One connection, by one thread: a TLS connection must not be used by two."""
    with contextlib.suppress(OSError), raw, socket.socket(socket.AF_UNIX) as behind:
        raw.settimeout(30)
        client = context.wrap_socket(raw, server_side=True)
        behind.connect(str(engine))
        _Connection(client, behind, late_seconds, refused).run()


class _Connection:
    def __init__(self, client: ssl.SSLSocket, behind: socket.socket, late_seconds: float, refused: str) -> None:
        self.client, self.behind, self.late_seconds, self.refused = client, behind, late_seconds, refused.encode()
        self.asked = b""
        self.answers: deque[tuple[float, bytes]] = deque()

    def run(self) -> None:
        self.client.setblocking(False)
        open_ones = [self.client, self.behind]
        while True:
            wait = max(0.0, self.answers[0][0] - time.monotonic()) if self.answers else None
            ready, _, _ = select.select(open_ones, [], [], wait)
            if self.client in ready and not self._hear():
                return
            if self.behind in ready:
                piece = self.behind.recv(_PIECE_BYTES)
                self._answer(piece)
                if not piece:
                    open_ones.remove(self.behind)
            if not self._say():
                return

    def _hear(self) -> bool:
        """What the client asks is handed on, request by request. False: it has hung up."""
        try:
            while piece := self.client.recv(_PIECE_BYTES):
                self.asked += piece
            return False
        except ssl.SSLWantReadError:
            pass
        while request := self._whole_request():
            self.asked = self.asked[len(request) :]
            if self.refused and self.refused in request.split(b" ", 2)[1]:
                self._answer(_refusal())
            else:
                self.behind.sendall(request)
        return True

    def _whole_request(self) -> bytes:
        head, end, rest = self.asked.partition(b"\r\n\r\n")
        fields = dict(line.lower().partition(b":")[::2] for line in head.split(b"\r\n")[1:])
        length = int(fields.get(b"content-length", b"0"))
        return head + end + rest[:length] if end and len(rest) >= length else b""

    def _answer(self, piece: bytes) -> None:
        self.answers.append((time.monotonic() + self.late_seconds, piece))

    def _say(self) -> bool:
        """What is due. False: the engine has hung up."""
        while self.answers and self.answers[0][0] <= time.monotonic():
            _, piece = self.answers.popleft()
            if not piece:
                return False
            self.client.settimeout(30)
            self.client.sendall(piece)
            self.client.setblocking(False)
        return True


def _refusal() -> bytes:
    body = json.dumps({"message": _MESSAGE}).encode()
    head = f"HTTP/1.1 500 Internal Server Error\r\nApi-Version: 1.41\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


if __name__ == "__main__":
    main(*sys.argv[1:])
