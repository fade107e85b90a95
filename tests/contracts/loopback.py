"""A node's router on loopback: the configuration in a folder of its own, a command line, and pods to lead to.

Paths of the router's container become paths of the folder; nothing else of the configuration is touched, unless a test
says so. 127.64.0.0/12 as pod range makes every virtual address one of this machine.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

from deployer.core.network.maps import map_text
from deployer.core.network.preamble import PEER, RUN_FOLDER
from deployer.core.network.values import FOLDER, RouterConfig, Server
from tests.environment import require
from tests.ports import free_port

LOCAL_RANGE = "127.64.0.0/12"
PATIENCE_SECONDS = 30.0
Answer = TypeVar("Answer")


def needs_haproxy() -> None:
    require(shutil.which("haproxy"), "haproxy is missing: apt-get install haproxy")


def eventually(look: Callable[[], Answer], fits: Callable[[Answer], object] = bool) -> Answer:
    """The first answer that fits, asked for again until the deadline; then the last one, in the failure."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = look()
        if fits(answer):
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {PATIENCE_SECONDS} s"
        threading.Event().wait(0.02)


class Router:
    """A folder with a configuration in it. `changes`: text of the configuration that is to be other text."""

    def __init__(self, folder: Path, config: RouterConfig, changes: Mapping[str, str] | None = None) -> None:
        self.folder, self.config = folder, config
        self._changes = {PEER: f"127.0.0.1:{free_port()}", **(changes or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._run = folder / "run"
        self._run.mkdir(parents=True, exist_ok=True)
        self.write(config)

    def write(self, config: RouterConfig) -> None:
        self.config = config
        shutil.rmtree(self.folder / "home", ignore_errors=True)
        files = {**config.files, **{name: map_text(entries).encode() for name, entries in config.maps.items()}}
        for name, data in {**files, "haproxy.cfg": config.text.encode()}.items():
            path = self.folder / "home" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.here(data.decode()))

    def here(self, text: str) -> str:
        for old, new in self._changes.items():
            text = text.replace(old, new)
        return text.replace(RUN_FOLDER, str(self._run)).replace(f"{FOLDER}/", f"{self.folder}/home/")

    def complaints(self) -> str:
        """What `haproxy -c` says besides that all is well."""
        done = subprocess.run(
            ["haproxy", "-c", "-f", str(self.folder / "home/haproxy.cfg")], capture_output=True, text=True, timeout=30
        )
        said = (done.stdout + done.stderr).replace("Configuration file is valid", "").strip()
        return said or ("" if done.returncode == 0 else f"exit code {done.returncode}")

    @contextmanager
    def running(self) -> Iterator[Router]:
        command = ["haproxy", "-W", "-db", "-f", str(self.folder / "home/haproxy.cfg")]
        with (self.folder / "output").open("w") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            self._wait()
            yield self
        finally:
            self._process.terminate()
            self._process.wait(PATIENCE_SECONDS)

    def reload(self, config: RouterConfig) -> None:
        assert self._process is not None
        self.write(config)
        os.kill(self._process.pid, signal.SIGUSR2)
        self._wait()

    def ask(self, command: str) -> str:
        """One command of HAProxy's own command line."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE_SECONDS)
            line.connect(str(self._run / "admin.sock"))
            line.sendall(f"{command}\n".encode())
            return read_all(line)

    def add(self, backend: str, server: Server) -> str:
        """As a server is added while HAProxy runs; what it says against it, "" if it took everything."""
        name = f"{backend}/{server.name}"
        words = self.here(" ".join((name, server.address, *server.arguments)))
        said = self.ask(f"add server {words}").replace("New server registered.", "")
        health = f"enable health {name}; " if server.is_checked else ""
        return (said + self.ask(f"{health}enable server {name}")).strip()

    def remove(self, backend: str, server: Server) -> str:
        name = f"{backend}/{server.name}"
        self.ask(f"disable server {name}")
        return eventually(lambda: self.ask(f"del server {name}").strip(), lambda said: "Server deleted." in said)

    def states(self, backend: str) -> Mapping[str, str]:
        """Server -> UP, DOWN, "no check" and so on."""
        rows = [line.split(",") for line in self.ask("show stat").splitlines() if line]
        return {row[1]: row[17] for row in rows if row[0] == backend and row[1] != "BACKEND"}

    def _wait(self) -> None:
        def runs() -> str:
            try:
                return self.ask("get var proc.structure")
            except OSError as error:
                return f"{error}: {(self.folder / 'output').read_text()}"

        eventually(runs, lambda said: self.config.structure in said)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder with a name short enough for a socket in it."""
    folder = Path(tempfile.mkdtemp(prefix="ph-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Pod(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A check that only connects is no error."""


@contextmanager
def pod(address: str, name: str, statuses: dict[str, int] | None = None, *, port: int = 0) -> Iterator[int]:
    """A web server that answers with its name and the headers it was sent; gives its port. Statuses by path.

    "/wait/20" is answered after 20 ms.
    """
    known = {} if statuses is None else statuses

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.startswith("/wait/"):
                threading.Event().wait(float(self.path.removeprefix("/wait/")) / 1000)
            body = "\n".join([name, self.path, *(f"{key}: {value}" for key, value in self.headers.items())]).encode()
            self.send_response(known.get(self.path, 200))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Nobody reads it."""

    server = _Pod((address, port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def get(address: str, port: int, path: str = "/", *, source: str = "") -> tuple[int, str]:
    """Status and body of one request over a connection of its own; (0, reason) if none was answered."""
    line = http.client.HTTPConnection(
        address, port, timeout=PATIENCE_SECONDS, source_address=(source, 0) if source else None
    )
    try:
        line.request("GET", path)
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, type(error).__name__
    finally:
        line.close()


def over_tcp(address: str, port: int, text: str) -> str:
    """What is answered to `text`, until the other side closes."""
    with socket.create_connection((address, port), PATIENCE_SECONDS) as line:
        line.sendall(text.encode())
        return read_all(line)


def over_tls(port: int, name: str, context: ssl.SSLContext, text: str) -> str:
    """What is answered to `text` over TLS to this name; the error's name if nothing is."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=name) as line,
        ):
            line.sendall(text.encode())
            return read_all(line)
    except OSError as error:
        return type(error).__name__


def read_all(line: socket.socket) -> str:
    parts = []
    while part := line.recv(65536):
        parts.append(part)
    return b"".join(parts).decode()
