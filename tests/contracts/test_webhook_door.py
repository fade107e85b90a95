"""The door for webhooks on a real server and real sockets: sizes, slowness, methods, what passes on to the pages."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import uvicorn

from control.webhooks import door as module
from control.webhooks.door import LARGEST_DELIVERY, LARGEST_FORM, Door
from control.webhooks.intake import Answer, Request

UID = "0f8fad5b-d9cb-469f-a165-70867728950e"


class Taker:
    """Takes everything; what it took is in `seen`."""

    def __init__(self) -> None:
        self.seen: list[Request] = []

    def submit(self, request: Request) -> Future[Answer]:
        self.seen.append(request)
        request.answer.set_result(Answer(202, "taken"))
        return request.answer


async def pages(scope: Any, receive: Any, send: Any) -> None:
    """Says how much it was given."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            break
    body = f"page {size}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def taker() -> Taker:
    return Taker()


@pytest.fixture
def port(taker: Taker) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    door = Door(pages, taker, lambda direct, forwarded: forwarded or direct)  # type: ignore[arg-type]
    config = uvicorn.Config(door, loop="asyncio", http="h11", lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)
    listener.close()


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers
    finally:
        connection.close()


def raw(port: int, *parts: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        try:
            for part in parts:
                line.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has said no already
        found = b""
        try:
            while chunk := line.recv(65536):
                found += chunk
        except ConnectionResetError:
            pass
        return found


def test_a_delivery_is_taken_as_it_came(port: int, taker: Taker) -> None:
    body = b'{"ref":  "refs/heads/main"}'
    status, text, headers = ask(port, "POST", f"/hooks/{UID}", body, X_GitHub_Event="push", X_Forwarded_For="192.0.2.1")
    assert (status, text, headers["cache-control"]) == (202, "taken\n", "no-store")
    (seen,) = taker.seen
    assert (seen.webhook, seen.source, seen.received.body) == (UID, "192.0.2.1", body)
    assert seen.received.header("X-GitHub-Event") == "push"


def test_chunks_are_put_together(port: int, taker: Taker) -> None:
    status, _, _ = ask(port, "POST", f"/hooks/{UID}/", iter([b"{", b"}"]))
    assert status == 202 and taker.seen[0].received.body == b"{}"


def test_a_length_beyond_the_limit_is_refused_before_the_body(port: int, taker: Taker) -> None:
    said = raw(port, f"POST /hooks/{UID} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000000\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 413") and str(LARGEST_DELIVERY).encode() in said and not taker.seen


def test_chunks_without_end_are_refused_at_the_limit(port: int, taker: Taker) -> None:
    head = f"POST /hooks/{UID} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    said = raw(port, head, *[chunk] * (LARGEST_DELIVERY // 0x10000 + 1))
    assert said.startswith(b"HTTP/1.1 413") and not taker.seen


def test_the_largest_delivery_is_taken(port: int, taker: Taker) -> None:
    assert ask(port, "POST", f"/hooks/{UID}", b"x" * LARGEST_DELIVERY)[0] == 202
    assert ask(port, "POST", f"/hooks/{UID}", iter([b"x" * LARGEST_DELIVERY, b"x"]))[0] == 413
    assert len(taker.seen) == 1


def test_a_body_that_does_not_come_is_given_up(port: int, taker: Taker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_TO_SEND", 0.1)
    said = raw(port, f"POST /hooks/{UID} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{{".encode())
    assert said.startswith(b"HTTP/1.1 408") and not taker.seen


def test_a_sender_that_hangs_up_leaves_nothing(port: int, taker: Taker) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(f"POST /hooks/{UID} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{{".encode())
    assert ask(port, "POST", f"/hooks/{UID}", b"{}")[0] == 202
    assert len(taker.seen) == 1


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", f"/hooks/{UID}", 405), ("PUT", f"/hooks/{UID}", 405), ("POST", "/hooks/", 404),
    ("POST", "/hooks/../applications", 404), ("POST", f"/hooks/{UID}/more", 404), ("POST", f"/hooks/{UID[:-1]}", 404),
    ("POST", f"/hooks/{UID}%00", 404),
])  # fmt: skip
def test_what_is_no_delivery(port: int, taker: Taker, method: str, path: str, status: int) -> None:
    found, _, headers = ask(port, method, path, b"{}" if method == "POST" else None)
    assert found == status and not taker.seen
    assert (headers["allow"] == "POST") is (status == 405)


def test_all_bodies_together_have_a_limit(port: int, taker: Taker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to prove anything to send a body: a thousand of them must not fill the memory."""
    monkeypatch.setattr(module, "MOST_HELD", 150_000)
    waiting = socket.create_connection(("127.0.0.1", port))
    waiting.sendall(b"POST /hooks/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n" % UID.encode())
    waiting.sendall(b"x" * 100_000)
    deadline = time.monotonic() + 10
    while (answer := ask(port, "POST", f"/hooks/{UID}", b"y" * 100_000))[0] != 503:
        assert time.monotonic() < deadline, "what the other one sent is never counted"
    assert "wait already" in answer[1] and answer[2]["retry-after"] == "1"
    waiting.sendall(b"x")
    assert b" 202 " in waiting.recv(1000)
    waiting.close()
    assert ask(port, "POST", f"/hooks/{UID}", b"y" * 100_000)[0] == 202, "what is done with counts no more"


def test_pages_get_the_rest_up_to_their_own_limit(port: int, taker: Taker) -> None:
    assert ask(port, "POST", "/sign-in", b"x" * 1000)[:2] == (200, "page 1000")
    assert ask(port, "GET", "/")[:2] == (200, "page 0")
    said = raw(port, b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 413")
    half = b"x" * (LARGEST_FORM // 2)
    status, text, _ = ask(port, "POST", "/sign-in", iter([half, half, half]))
    assert status == 200 and int(text.split()[1]) <= LARGEST_FORM and not taker.seen


def test_a_secret_behind_the_address_is_handed_on_and_cannot_be_forged(port: int, taker: Taker) -> None:
    secret = "s3cr-et_" * 4
    for path, expected in (
        (f"/hooks/{UID}/{secret}", secret), (f"/hooks/{UID}", ""), (f"/hooks/{UID}/{secret}/", secret),
    ):  # fmt: skip
        assert ask(port, "POST", path, b"{}")[0] == 202
        assert taker.seen[-1].received.header(":secret") == expected
    assert ask(port, "POST", f"/hooks/{UID}/{secret}/b", b"{}")[0] == 404
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(f"POST /hooks/{UID} HTTP/1.1\r\nHost: x\r\n:secret: s\r\nContent-Length: 0\r\n\r\n".encode())
        assert b" 400 " in line.recv(4096).partition(b"\r\n")[0]
