"""The conversation with an engine, against servers that are not quite one."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.docker import open_engine
from deployer.adapters.docker_address import EngineAddress
from deployer.adapters.docker_logs import lines_of
from deployer.core.container import ContainerSpec
from deployer.ports import Engine, EngineError, EngineUnreachable
from tests.contracts.bench import reason_of

Answer = tuple[int, Any]


class Server(ThreadingHTTPServer):
    """Answers by path (without the version); remembers what was asked."""

    daemon_threads = True
    request_queue_size = 50

    def __init__(self, answers: dict[str, Answer], version: str | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.version = answers, version
        self.asked: list[str] = []
        self.dropped: list[str] = []
        self.connections = 0
        self.answers_per_connection = 1000
        """After so many it takes a request and hangs up, as an engine does that is restarted."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1
        self.left = self.server.answers_per_connection

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.left -= 1
        if self.left < 0:
            self.server.dropped.append(path)
            self.close_connection = True
            return
        self.server.asked.append(path)
        if path == "/_ping":
            self.send(200, "OK")
            return
        self.send(*self.server.answers[path.split("/", 2)[2]])

    do_GET = do_POST = do_DELETE = do_PUT = answer

    def send(self, status: int, value: Any) -> None:
        data = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        if self.server.version:
            self.send_header("Api-Version", self.server.version)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def serving(answers: dict[str, Answer] | None = None, version: str | None = "1.41") -> Iterator[tuple[Server, Engine]]:
    server = Server(answers or {}, version)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = EngineAddress(f"tcp://127.0.0.1:{server.server_address[1]}")
    engine = open_engine(address, "c1", run_dir=Path("/nonexistent"), timeout_seconds=2)
    try:
        yield server, engine
    finally:
        engine.close()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("offered", "spoken"),
    [("1.40", "v1.40"), ("1.41", "v1.41"), ("1.44", "v1.44"), ("1.52", "v1.44"), ("2.0", "v1.44")],
)
def test_the_newest_version_that_both_know_is_spoken(offered: str, spoken: str) -> None:
    with serving({"containers/json": (200, [])}, offered) as (server, engine):
        assert engine.containers() == engine.containers() == []
        assert server.asked == ["/_ping", f"/{spoken}/containers/json", f"/{spoken}/containers/json"]
        assert server.connections == 1


@pytest.mark.parametrize(("version", "reason"), [("1.39", "TooOld"), (None, "NotDocker"), ("yes", "NotDocker")])
def test_what_cannot_be_used_is_refused(version: str | None, reason: str) -> None:
    with serving(version=version) as (_, engine):
        assert reason_of(engine.ping) == reason
        assert reason_of(engine.containers) == reason


def test_the_engines_failure_is_told_from_silence() -> None:
    with serving({"containers/json": (500, {"message": "database is broken"})}) as (_, engine):
        with pytest.raises(EngineError, match="cannot list containers: database is broken") as caught:
            engine.containers()
        assert caught.value.reason == "EngineFailed" and not isinstance(caught.value, EngineUnreachable)


def test_a_connection_gone_stale_costs_nothing() -> None:
    with serving({"containers/json": (200, [])}) as (server, engine):
        server.answers_per_connection = 1
        for _ in range(3):
            assert engine.containers() == []
        assert len(server.dropped) == 3


def test_a_command_is_never_run_twice() -> None:
    ours = {"Labels": {"pierhead.io/cluster": "c1"}, "Image": "x"}
    found = {"Id": "abc", "Name": "/web", "State": {"Status": "running"}, "Config": ours}
    answers: dict[str, Answer] = {"containers/web/json": (200, found), "containers/abc/exec": (201, {"Id": "e1"})}
    with serving(answers) as (server, engine):
        server.answers_per_connection = 3  # ping, inspection, exec; its start meets a connection that hangs up
        with pytest.raises(EngineUnreachable, match="cannot run a command in web: the connection broke"):
            engine.execute("web", ["pay"], 1)
        assert server.dropped == ["/v1.41/exec/e1/start"] and "/v1.41/exec/e1/start" not in server.asked


def test_a_server_that_says_nothing_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = EngineAddress(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        engine = open_engine(address, "c1", run_dir=Path("/nonexistent"), timeout_seconds=0.1)
        with pytest.raises(EngineUnreachable, match=r"no answer within 0\.1 s"):
            engine.ping()


def test_a_container_that_was_paused_by_hand_is_resumed_by_a_start() -> None:
    ours = {"Labels": {"pierhead.io/cluster": "c1"}, "Image": "x"}
    known = {"Id": "abc", "Name": "/web", "State": {"Status": "paused"}, "Config": ours}
    said = (409, {"message": "cannot start a paused container, try unpause instead"})
    answers: dict[str, Answer] = {
        "containers/web/json": (200, known), "containers/abc/start": said, "containers/abc/unpause": (204, None),
    }  # fmt: skip
    with serving(answers) as (server, engine):
        engine.start("web")
        assert server.asked[-2:] == ["/v1.41/containers/abc/start", "/v1.41/containers/abc/unpause"]


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.inspect("../volumes"),
        lambda engine: engine.remove("a/../../images/x"),
        lambda engine: engine.start("a?force=1"),
        lambda engine: engine.create(ContainerSpec("a b", "x", {})),
        lambda engine: engine.remove_volume(".."),
        lambda engine: engine.ensure_network("a/b", {}),
        lambda engine: engine.image("../containers/x"),
        lambda engine: engine.image("x/../../containers"),
        lambda engine: engine.pull("-x"),
        lambda engine: engine.remove_image("x#y"),
    ],
)
def test_no_name_leaves_its_place_in_a_path(call: Callable[[Engine], object]) -> None:
    with serving() as (server, engine):
        assert reason_of(call, engine) in ("InvalidName", "InvalidImageName")
        assert server.asked in ([], ["/_ping"])


def test_a_terminal_that_prints_no_line_end_fills_no_memory() -> None:
    parts = list(lines_of([b"one\ntwo\n", *[b"x" * 10_000] * 20]))
    assert parts[:2] == [b"one\n", b"two\n"] and max(map(len, parts)) < 80_000
    assert b"".join(parts[2:]) == b"x" * 200_000
