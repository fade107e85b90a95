"""`/stream`: server-sent events for one open page. Only "look again" is said; see `feed.py`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from control.dashboard.access import still_may
from control.dashboard.feed import Listener, Topic, feed

PING_SECONDS = 15.0
"""A comment so often, so that proxies keep the stream, and the server notices a page that is gone."""
APART_SECONDS = 0.5
"""The first change is told at once, the next ones of a burst together."""
LONGEST = 253


@require_safe
def stream(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """`?kind=Pod,Node&namespace=shop&name=web`, all optional. `Last-Event-ID` resumes without a gap."""
    heard = request.headers.get("Last-Event-ID", "") or request.GET.get("since", "")
    response = StreamingHttpResponse(
        _events(request, _topic(request), int(heard) if heard.isdecimal() and len(heard) < 19 else None),
        content_type="text/event-stream",
    )
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    response["Content-Encoding"] = "identity"  # nothing on the way may collect and compress it
    return response


def _topic(request: HttpRequest) -> Topic:
    kinds = frozenset(filter(None, request.GET.get("kind", "")[:LONGEST].split(",")))
    return Topic(kinds, request.GET.get("namespace", "")[:LONGEST], request.GET.get("name", "")[:LONGEST])


async def _events(request: HttpRequest, topic: Topic, heard: int | None) -> AsyncIterator[bytes]:
    listener, may_go_on = Listener(topic, asyncio.get_running_loop()), sync_to_async(still_may(request))
    try:
        await sync_to_async(feed.join)(listener, heard)
        yield b"retry: 1000\n: Pierhead\n\n"
        asked_at = time.monotonic()
        while True:
            version = await listener.wait(PING_SECONDS)
            if version is not None:
                yield b"id: %d\nevent: changed\ndata: %d\n\n" % (version, version)
                await asyncio.sleep(APART_SECONDS)
            else:
                yield b": still here\n\n"
            if time.monotonic() - asked_at >= PING_SECONDS:
                asked_at = time.monotonic()
                if not await may_go_on():
                    yield b"event: left\ndata: sign in again\n\n"
                    return
    finally:
        feed.leave(listener)
