"""Prometheus: Debian's as the real thing, and one of ours that answers as its documentation says, or does not."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from deployer.adapters import prometheus
from deployer.adapters.prometheus import PrometheusProvider
from deployer.core.canary.values import Prometheus
from deployer.ports import ProviderError
from tests.contracts.mesh_certificates import MeshAuthority
from tests.environment import require
from tests.ports import free_port

TOKEN = "Bearer t0p-secret-token"
SECRET = {"Authorization": TOKEN}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("prometheus")
    require(program, "prometheus is missing: apt-get install prometheus")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "prometheus.yml").write_text("global: {}\n")
    command = [
        str(program), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_ready(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(port: int) -> None:
    """It listens before it answers queries."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5):
            return
        threading.Event().wait(0.05)
    raise AssertionError("Prometheus was not ready within 60 s")


@dataclass
class Ours:
    """Answers as it is told to, whoever asks for what."""

    address: str = ""
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)
    waits: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)

    def gives(self, kind: str, result: Any) -> None:
        self.body = json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()

    def question(self, query: str = "up", **words: Any) -> Prometheus:
        return Prometheus(self.address, query, **words)

    def handle(self, asked: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(asked.path)
        words = parts.query or asked.rfile.read(int(asked.headers.get("Content-Length", 0))).decode()
        found = {name: values[0] for name, values in parse_qs(words).items()}
        self.asked.append((asked.command, parts.path, found, {k.lower(): v for k, v in asked.headers.items()}))
        if self.waits.is_set():
            self.goes_on.wait(30)
        if self.silent.is_set() or self.waits.is_set():
            return
        asked.send_response(self.status)
        for name, value in {"Content-Length": str(len(self.body)), **self.headers}.items():
            asked.send_header(name, value)
        asked.end_headers()
        asked.wfile.write(self.body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever does not trust the certificate hangs up."""


def served(state: Ours, context: ssl.SSLContext | None = None) -> Iterator[Ours]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.handle(self)

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    state.address = f"http{'s' if context else ''}://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ours() -> Iterator[Ours]:
    yield from served(Ours())


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Ours]:
    """With TLS, by an authority that nobody here knows."""
    pair = MeshAuthority().issue("localhost", "localhost")
    (tmp_path / "both.pem").write_text(pair.pem + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    yield from served(Ours(), context)


def ask(question: Prometheus, secrets: dict[str, str] | None = None, *, seconds: float = 10, local: bool = True) -> Any:
    return PrometheusProvider(allow_local=local).measure(question, secrets or {}, seconds)


def refused(action: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        action()
    assert "s3cret" not in caught.value.sentence
    assert TOKEN not in caught.value.sentence
    assert TOKEN.split()[1] not in caught.value.sentence
    return caught.value


def test_the_real_one(real: str) -> None:
    assert ask(Prometheus(real, "vector(0.25)")) == (0.25,)
    assert ask(Prometheus(real, "scalar(vector(2))")) == 2.0
    assert ask(Prometheus(real, "nothing_like_it")) == ()
    assert ask(Prometheus(real, 'label_replace(vector(1), "a", "b", "", "") or vector(2)')) == (1.0, 2.0)
    (found,) = ask(Prometheus(real, "vector(0) / 0"))
    assert math.isnan(found)
    assert ask(Prometheus(real, "1 / 0")) == math.inf
    assert ask(Prometheus(real, f"vector(1) + {'0 + ' * 1000} 0")) == (1.0,), "a long one is posted"
    found = refused(lambda: ask(Prometheus(real, "sum(")))
    assert (found.reason, "the query failed: bad_data: " in found.sentence) == ("QueryFailed", True)
    found = refused(lambda: ask(Prometheus(real, '"words"')))
    assert found.sentence == f"{real}: the query gives a string: it must give a vector or a scalar"


def test_a_vector_is_its_numbers_in_order(ours: Ours) -> None:
    ours.gives("vector", [{"metric": {"a": "b"}, "value": [1.5, text]} for text in ("0.5", "NaN", "+Inf", "-Inf", "3")])
    half, nothing, most, least, three = ask(ours.question('sum(rate(x{code=~"5.."}[1m]))'))
    assert (half, most, least, three) == (0.5, math.inf, -math.inf, 3.0)
    assert math.isnan(nothing)
    method, path, words, headers = ours.asked[0]
    assert (method, path) == ("GET", "/api/v1/query")
    assert words == {"query": 'sum(rate(x{code=~"5.."}[1m]))', "timeout": "10s"}
    assert headers["host"] == ours.address.removeprefix("http://")


def test_an_empty_vector_and_a_scalar(ours: Ours) -> None:
    ours.gives("vector", [])
    assert ask(ours.question()) == ()
    ours.gives("scalar", [1435781451.781, "1"])
    assert ask(ours.question()) == 1.0


def test_a_path_before_the_api_and_a_long_query(ours: Ours) -> None:
    ours.gives("scalar", [1, "1"])
    question = ours.question("x" * 5000)
    assert ask(replace(question, address=f"{ours.address}/metrics/prometheus/")) == 1.0
    method, path, words, _ = ours.asked[0]
    assert (method, path, len(words["query"])) == ("POST", "/metrics/prometheus/api/v1/query", 5000)


def test_headers_of_the_manifest_and_of_a_secret(ours: Ours) -> None:
    ours.gives("scalar", [1, "1"])
    ask(ours.question(headers=(("X-Scope-OrgID", "shop"),)), SECRET)
    headers = ours.asked[0][3]
    assert (headers["x-scope-orgid"], headers["authorization"]) == ("shop", TOKEN)


def test_what_it_says_against_a_query(ours: Ours) -> None:
    said = f"parse error: {TOKEN} {'x' * 5000}"
    ours.status, ours.body = 400, json.dumps({"status": "error", "errorType": "bad_data", "error": said}).encode()
    found = refused(lambda: ask(ours.question(), SECRET))
    assert found.reason == "QueryFailed"
    assert found.sentence.startswith(f"{ours.address}: the query failed: bad_data: parse error: *** xxx")
    assert len(found.sentence) < 500


@pytest.mark.parametrize(
    ("status", "body", "reason", "sentence"),
    [
        (302, b"", "BadAnswer", "it redirects, which is not followed: give the address that it leads to"),
        (401, b"", "BadAnswer", "it answers with status 401, and not as Prometheus does: is this its address?"),
        (200, b"<html>", "BadAnswer", "it answers with status 200, and not as Prometheus does: is this its address?"),
        (200, b"[" * 100_000, "BadAnswer", "is this its address?"),
        (200, b'{"status": "success"}', "BadAnswer", "the query gives a unknown: it must give a vector or a scalar"),
        (200, b'{"status": "success", "data": {"resultType": "matrix", "result": []}}', "BadAnswer", "gives a matrix"),
        (200, b'{"status": "success", "data": {"resultType": "scalar", "result": [1, 2]}}', "BadAnswer", "no number"),
        (200, b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "x"]}}', "BadAnswer", "no number"),
        (200, b'{"status": "success", "data": {"resultType": "vector", "result": [{}]}}', "BadAnswer", "no number"),
        (200, b'{"status": "success", "data": {"resultType": "vector", "result": 7}}', "BadAnswer", "no number"),
        (200, b" " * (2 << 20), "TooLarge", "it answers with more than 1 MiB: let the query give one number"),
    ],
)
def test_what_a_strange_one_answers(ours: Ours, status: int, body: bytes, reason: str, sentence: str) -> None:
    ours.status, ours.body, ours.headers = status, body, {"Location": "http://127.0.0.1:1/"}
    found = refused(lambda: ask(ours.question(), SECRET))
    assert (found.reason, sentence in found.sentence) == (reason, True), found.sentence
    assert found.sentence.startswith(f"{ours.address}: ")
    assert len(ours.asked) == 1


def test_one_that_hangs_up_or_says_nothing(ours: Ours) -> None:
    ours.silent.set()
    found = refused(lambda: ask(ours.question()))
    assert found.reason == "Unreachable"
    assert "it does not answer (ProtocolError)" in found.sentence
    found = refused(lambda: ask(Prometheus(f"http://localhost:{free_port()}", "up")))
    assert "it does not answer (NewConnectionError): check its address, and that it runs" in found.sentence


def test_one_that_drips_is_left_in_time(ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(prometheus.time, "monotonic", lambda: now[0])
    ours.gives("vector", [])
    body, read = ours.body, prometheus._Question._body

    def late(self: Any, found: Any) -> bytes:
        now[0] = 11.0
        return read(self, found)

    monkeypatch.setattr(prometheus._Question, "_body", late)
    found = refused(lambda: ask(ours.question()))
    assert (found.sentence, ours.body) == (f"{ours.address}: no answer within 10 s", body)


def test_its_certificate_is_checked_unless_told_otherwise(guarded: Ours) -> None:
    guarded.gives("scalar", [1, "1"])
    found = refused(lambda: ask(guarded.question(), SECRET))
    assert found.sentence == (
        f"{guarded.address}: the TLS connection failed: check its certificate, and whom this machine trusts"
    )
    assert not guarded.asked
    assert ask(guarded.question(insecure=True), SECRET) == 1.0


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://localhost:9090", "a loopback address; PIERHEAD_ALLOW_LOCAL_PROVIDERS=1 admits it"),
        ("http://127.0.0.1:9090", "a loopback address; PIERHEAD_ALLOW_LOCAL_PROVIDERS=1 admits it"),
        ("http://[::1]:9090", "a loopback address; PIERHEAD_ALLOW_LOCAL_PROVIDERS=1 admits it"),
        ("http://169.254.169.254", "its address is 169.254.169.254, a link-local address"),
        ("http://0.0.0.0", "its address is 0.0.0.0, a loopback address"),
        ("http://u:s3cret@10.0.0.1:9090", "it may hold no credentials and no query"),
        ("http://10.0.0.1:9090/?key=s3cret", "it may hold no credentials and no query"),
        ("ftp://10.0.0.1", "the address of Prometheus is none: write http://HOST:PORT or https://HOST"),
        ("http://[::1", "the address of Prometheus is none"),
        ("http://10.0.0.1:99999", "the address of Prometheus is none"),
        ("prometheus:9090", "the address of Prometheus is none"),
        ("http://10.0.0.1/\r\nx: y", "the address of Prometheus is none"),
    ],
)
def test_an_address_that_is_not_asked(address: str, sentence: str) -> None:
    found = refused(lambda: ask(Prometheus(address, "up"), local=False))
    assert (found.reason, sentence in found.sentence) == ("Refused", True), found.sentence


def test_link_local_addresses_stay_refused_where_local_ones_are_admitted() -> None:
    found = refused(lambda: ask(Prometheus("http://169.254.169.254", "up"), local=True))
    assert found.sentence == "http://169.254.169.254: its address is 169.254.169.254, a link-local address"


def test_secrets_do_not_go_in_the_clear() -> None:
    found = refused(lambda: ask(Prometheus("http://10.255.255.1:9090", "up"), SECRET))
    assert found.sentence == (
        "http://10.255.255.1:9090: secret headers would go in the clear: the address must be https://"
    )


@pytest.mark.parametrize("value", ["s3cret\r\nHost: x", "s3cret\n", "s3crèt"])
def test_a_value_that_is_no_header_is_not_repeated(value: str) -> None:
    found = refused(lambda: ask(Prometheus("http://localhost:1", "up"), {"X-Key": value}))
    assert found.sentence == (
        "http://localhost:1: the value of header 'X-Key' holds a character that no header may hold"
    )
    assert value not in found.sentence


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*words: object, **options: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(prometheus.socket, "getaddrinfo", unknown)
    found = refused(lambda: ask(Prometheus("http://prometheus.monitoring:9090", "up")))
    assert found.sentence == (
        "http://prometheus.monitoring:9090: its name cannot be resolved here; the control plane asks it, so names of "
        "Services are not known"
    )


def test_one_that_says_nothing_is_left_in_time(ours: Ours) -> None:
    ours.waits.set()
    try:
        found = refused(lambda: ask(ours.question(), seconds=0.05))
    finally:
        ours.goes_on.set()
    assert found.sentence == f"{ours.address}: no answer within 0.05 s"
