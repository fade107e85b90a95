"""A real HAProxy on unix sockets, pods that answer as they are told, and a client that keeps its connection."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from deployer.core.network import commands, runtime
from deployer.core.network.values import RouterConfig
from tests.environment import require

DEADLINE_SECONDS = 20
PREAMBLE = """
global
    stats socket {folder}/admin.sock level admin
    nbthread 2
    {lines}
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Pod

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.server.gate.wait(DEADLINE_SECONDS)
        self.send_response(self.server.code)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def handle(self) -> None:
        with suppress(OSError):  # the router closes connections, as it is told to
            super().handle()

    def log_message(self, *args: object) -> None:
        pass


class Pod(ThreadingHTTPServer):
    """Answers everything with `code`, while `gate` is open."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.code = 200
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.gate = threading.Event()
        self.gate.set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Client(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("router", timeout=DEADLINE_SECONDS)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_SECONDS)
        self.sock.connect(str(self.path))

    def ask(self, **headers: str) -> tuple[int, str]:
        self.request("GET", "/", headers=headers)
        answer = self.getresponse()
        return answer.status, answer.read().decode()


@dataclass
class Router:
    folder: Path
    process: subprocess.Popen[bytes]

    def send(self, line: str) -> str:
        with socket.socket(socket.AF_UNIX) as line_socket:
            line_socket.settimeout(DEADLINE_SECONDS)
            line_socket.connect(str(self.folder / "admin.sock"))
            line_socket.sendall(line.encode() + b"\n")
            return b"".join(iter(lambda: line_socket.recv(65536), b"")).decode()

    def look(self, pods: Mapping[str, str] | None = None) -> runtime.Live:
        servers, rows = self.send("show servers state"), self.send("show stat")
        return runtime.Live(
            runtime.read_servers(servers), tuple(runtime.read_stats(rows)), time.monotonic(), pods or {}
        )

    def converge(self, desired: RouterConfig, seconds: float = DEADLINE_SECONDS) -> None:
        def is_done() -> bool:
            found = runtime.moves(desired, self.look())
            for line in commands.batches(found.commands):
                self.send(line)
            return found.wake_at is None

        poll(is_done, "no moves are left", seconds)

    @property
    def client(self) -> Client:
        return Client(self.folder / "web.sock")

    def ask(self, **headers: str) -> tuple[int, str]:
        with closing(self.client) as client:
            return client.ask(**headers)


def poll(is_so: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    end = time.monotonic() + seconds
    waiting = threading.Event()
    while not is_so():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        waiting.wait(0.02)


@contextmanager
def router(folder: Path, text: str, lines: str = "") -> Iterator[Router]:
    require(shutil.which("haproxy"), "haproxy is missing: apt-get install haproxy")
    (folder / "haproxy.cfg").write_text(PREAMBLE.format(folder=folder, lines=lines) + text.format(folder=folder))
    command = ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]
    with (folder / "output").open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            poll((folder / "admin.sock").exists, "HAProxy has started")
            yield Router(folder, process)
        finally:
            process.terminate()
