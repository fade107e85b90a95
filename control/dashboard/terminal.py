"""A terminal in a pod's page: what is printed comes as server-sent events, what is typed goes up in POSTs.

So all of it passes Django's middlewares and `access`: the session, the CSRF token and the role are asked for at every
request, and every 15 s while it is open (`services/terminals.py`). Nothing here waits for a host.

    GET  .../terminal          the page
    POST .../terminal          opens one: {"container", "command", "columns", "rows"} -> {"place"} or {"refused"}
    GET  .../terminal/KEY      events: "began", messages (JSON texts, numbered), "end" (a JSON sentence)
    POST .../terminal/KEY      {"number": 7, "keys": "ls\\r"} or {"columns": 80, "rows": 24} or {"end": true}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from control.dashboard.access import actor, person, refusal, still_may
from control.models import ADMIN, Pod
from control.services.refusal import Refused

if TYPE_CHECKING:
    from control.services.terminals import Asked, Opened

COMMAND = "/bin/sh"
LONGEST_COMMAND, LONGEST_BODY = 1000, 128 * 1024
TOGETHER_SECONDS, SILENCE_SECONDS = 0.02, 15.0
_MOST_COLUMNS, _MOST_ROWS = 500, 300


@require_http_methods(["GET", "HEAD", "POST"])
def terminal(request: HttpRequest, namespace: str, name: str) -> HttpResponseBase:
    found = Pod.objects.select_related("node", "replica_set").filter(namespace=namespace, name=name).first()
    if request.method == "POST":
        return _open(request, found, namespace, name)
    if found is None:
        return refusal(request, f"Pod {namespace}/{name} does not exist (any more).", 404)
    spec = (found.replica_set.spec.get("template") or {}).get("spec") or {} if found.replica_set else found.spec
    names = [one["name"] for one in spec.get("containers") or ()]
    context = {"namespace": namespace, "name": name, "containers": names, "command": COMMAND}
    return render(request, "workloads/terminal.html", context)


@require_http_methods(["GET", "POST"])
def line(request: HttpRequest, namespace: str, name: str, key: str) -> HttpResponseBase:
    from control.services.terminals import terminals

    try:
        opened = terminals.find(key, person(request).pk, request.session.session_key or "")
        if opened.target != f"Pod {namespace}/{name}":
            raise Refused("this terminal is another pod's")
    except Refused as refused:
        return _gone(request, refused.sentence)
    if request.method == "POST":
        return _sent(request, opened)
    heard = request.headers.get("Last-Event-ID", "")
    number = int(heard) if heard.isdecimal() and len(heard) < 19 else 0
    return _stream(StreamingHttpResponse(_events(opened, number), content_type="text/event-stream"))


def _open(request: HttpRequest, row: Pod | None, namespace: str, name: str) -> HttpResponseBase:
    from control.services.terminals import Holder, terminals

    try:
        if row is None:
            raise Refused(f"pod {namespace}/{name} does not exist (any more)")
        asked = _asked(_body(request))
        session = request.session.session_key or ""
        holder = Holder(person(request).pk, session, actor(request), still_may(request, ADMIN, namespace))
        opened = terminals.open(row, asked, holder, time.monotonic())
    except Refused as refused:
        return JsonResponse({"refused": refused.sentence}, status=409)
    return JsonResponse({"place": reverse("terminal-line", args=[namespace, name, opened.key])})


def _sent(request: HttpRequest, opened: Opened) -> HttpResponseBase:
    try:
        body = _body(request)
        if body.get("end"):
            opened.end("it was closed")
        elif "keys" in body:
            opened.type(_whole(body.get("number"), 0, 10**15), str(body["keys"]), time.monotonic())
        else:
            opened.resize(*_size(body))
    except Refused as refused:
        return JsonResponse({"refused": refused.sentence}, status=409)
    return HttpResponse(status=204)


async def _events(opened: Opened, heard: int) -> AsyncIterator[bytes]:
    output, loop, woken, began = opened.output, asyncio.get_running_loop(), asyncio.Event(), False

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(woken.set)

    output.join(wake)
    try:
        yield b"retry: 1000\n: Pierhead\n\n"
        while output.is_heard_by(wake):
            woken.clear()
            news = output.behind(heard)
            if news.began and not began:
                began = True
                yield _event({}, "began")
            if news.text:
                yield _event(news.text, number=news.number)
                heard = news.number
                output.sent(heard)
                await asyncio.sleep(TOGETHER_SECONDS)
            elif news.ended:
                yield _event(news.ended, "end")
                return
            elif not await _is_woken(woken):
                yield b": still here\n\n"
    finally:
        output.leave(wake, time.monotonic())


async def _is_woken(woken: asyncio.Event) -> bool:
    try:
        return await asyncio.wait_for(woken.wait(), SILENCE_SECONDS)
    except TimeoutError:
        return False


def _event(data: Any, kind: str = "message", number: int | None = None) -> bytes:
    identity = "" if number is None else f"id: {number}\n"
    return f"{identity}event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def _gone(request: HttpRequest, sentence: str) -> HttpResponseBase:
    """A browser reads no answer to a stream but a stream."""
    if request.method == "POST":
        return JsonResponse({"refused": sentence, "gone": True}, status=410)
    return _stream(HttpResponse(_event(sentence, "end"), content_type="text/event-stream"))


def _stream(response: HttpResponseBase) -> HttpResponseBase:
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    response["Content-Encoding"] = "identity"
    return response


def _asked(body: dict[str, Any]) -> Asked:
    from control.services.terminals import Asked

    columns, rows = _size(body)
    return Asked(str(body.get("container", ""))[:253], _words(str(body.get("command", "") or COMMAND)), columns, rows)


def _words(command: str) -> tuple[str, ...]:
    """Raises Refused."""
    if len(command) > LONGEST_COMMAND or "\0" in command:
        raise Refused(f"the command is too long, or no text: {LONGEST_COMMAND} characters are the most")
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise Refused(f"the command cannot be divided into words: {str(error).lower()}") from None
    if not words or not words[0]:
        raise Refused(f"write a command, such as {COMMAND}")
    return words


def _size(body: dict[str, Any]) -> tuple[int, int]:
    return _whole(body.get("columns"), 2, _MOST_COLUMNS, 80), _whole(body.get("rows"), 1, _MOST_ROWS, 24)


def _whole(given: Any, least: int, most: int, otherwise: int = 0) -> int:
    return max(least, min(given, most)) if isinstance(given, int) else otherwise


def _body(request: HttpRequest) -> dict[str, Any]:
    """Raises Refused."""
    try:
        found = json.loads(request.body) if len(request.body) <= LONGEST_BODY else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused("what was sent is no JSON object, or too long")
    return found
