"""What stands before Django in each web process: webhooks are taken in here, and no request is larger than it may be.

`POST /hooks/UID` (or `/hooks/UID/SECRET`, for senders that have no better proof) is answered here, without sessions,
cookies or pages: nothing of it concerns a person. Its body is read up to a limit and for a limited time. Bodies of
other requests are limited as well: Django would put them into a temporary file before anybody looked at who sends them.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from control.webhooks.intake import Answer, Intake, Request
from deployer.core.hooks.registries import PATH_SECRET
from deployer.core.hooks.values import Received

PREFIX = "/hooks/"
LARGEST_DELIVERY, LARGEST_FORM = 1 << 20, 8 << 20
"""Bytes."""
MOST_HELD = 32 << 20
"""Bytes of all deliveries together that are read, or wait to be judged: anybody may send them."""
SECONDS_TO_SEND = 10.0
_PATH = re.compile(rf"{PREFIX}([0-9a-f-]{{36}})(?:/([A-Za-z0-9_-]{{20,128}}))?/?")
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Source = Callable[[str, str], str]


class Door:
    """`source` tells where a request came from: from the connection's address and the header X-Forwarded-For."""

    def __init__(self, pages: App, intake: Intake, source: Source) -> None:
        self._pages, self._intake, self._source = pages, intake, source
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
        elif str(scope["path"]).startswith(PREFIX):
            await _say(send, await self._taken(scope, receive))
        elif _length(scope) > LARGEST_FORM:
            await _say(send, Answer(413, f"a request may have {LARGEST_FORM} bytes"))
        else:
            await self._pages(scope, _limited(receive), send)

    async def _taken(self, scope: Scope, receive: Receive) -> Answer:
        match = _PATH.fullmatch(str(scope["path"]))
        if match is None:
            return Answer(404, "there is no such webhook")
        if scope["method"] != "POST":
            return Answer(405, "a webhook is sent by POST")
        if _length(scope) > LARGEST_DELIVERY:
            return _TOO_LARGE
        body = bytearray()
        try:
            async with asyncio.timeout(SECONDS_TO_SEND):
                refused = await self._read(receive, body)
            return refused or await self._judged(match, scope, bytes(body))
        except TimeoutError:
            return Answer(408, f"the body did not come within {SECONDS_TO_SEND:g} s")
        finally:
            self._held -= len(body)

    async def _judged(self, match: re.Match[str], scope: Scope, body: bytes) -> Answer:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        headers[PATH_SECRET] = match[2] or ""
        source = self._source(str((scope.get("client") or ("unknown",))[0]), headers.get("x-forwarded-for", ""))
        request = Request(match[1], source, Received(headers, body, time.time()))
        return await asyncio.wrap_future(self._intake.submit(request))

    async def _read(self, receive: Receive, body: bytearray) -> Answer | None:
        """Into `body`. Why it is not taken: it is too large, its sender has gone, or too much is held already."""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return _TOO_LARGE
            piece = message.get("body", b"")
            body += piece
            self._held += len(piece)
            if len(body) > LARGEST_DELIVERY:
                return _TOO_LARGE
            if self._held > MOST_HELD:
                return Answer(503, f"{MOST_HELD >> 20} MiB of deliveries wait already: send it again", 1)
            if not message.get("more_body"):
                return None


_TOO_LARGE = Answer(413, f"a delivery may have {LARGEST_DELIVERY} bytes")


def _limited(receive: Receive) -> Receive:
    """A body that says no length and does not end is cut off, as if its sender had gone."""
    size = 0

    async def limited() -> Mapping[str, Any]:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        return message if size <= LARGEST_FORM else {"type": "http.disconnect"}

    return limited


def _length(scope: Scope) -> int:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    found = next((value for name, value in headers if name.lower() == b"content-length"), b"0")
    return int(found) if found.isdigit() and len(found) < 20 else 0


async def _say(send: Send, answer: Answer) -> None:
    body = f"{answer.sentence}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if answer.status == 405:
        headers.append((b"allow", b"POST"))
    if answer.status in (408, 413, 503):
        headers.append((b"connection", b"close"))  # the rest of the body is not waited for
    if answer.retry_after:
        headers.append((b"retry-after", str(answer.retry_after).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
