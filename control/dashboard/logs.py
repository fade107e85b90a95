"""Logs of a pod, or of all pods of a workload: the page at once, the lines as their hosts give them.

A host that hangs holds its own thread and no page: the lines come by a stream of their own (`lines`), or as a file
(`download`), which is also what a browser without scripts gets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from control.dashboard.access import refusal, still_may
from control.models import VIEWER, Pod
from control.selectors.ansi import pieces
from control.selectors.words import plain

TAIL, TAIL_MOST = 500, 10_000
PODS = 20
"""Of a workload that are read at a time; those that are not ready first."""
WAITING_LINES = 1000
"""Read ahead of a slow browser, of all pods together; then their hosts wait."""
READERS = 200
"""Threads of this process that read logs."""
TOGETHER_SECONDS = 0.1
SILENCE_SECONDS = 15.0
_readers = threading.BoundedSemaphore(READERS)
_END = object()
_TOO_MANY = f"[{{}} logs are not read: this process reads {READERS} already; close another page]"


@dataclass(frozen=True, slots=True)
class Question:
    """What the reader asked for. `words`: lines that hold them."""

    container: str
    tail: int
    since_seconds: float | None
    previous: bool
    words: str
    timestamps: bool

    @classmethod
    def of(cls, request: HttpRequest) -> Question:
        given = request.GET
        tail, since = given.get("tail", ""), given.get("since", "")
        return cls(
            container=given.get("container", "")[:253],
            tail=min(int(tail), TAIL_MOST) if tail.isdecimal() and len(tail) < 9 else TAIL,
            since_seconds=float(since) * 60 if since.isdecimal() and 0 < len(since) < 7 else None,
            previous=given.get("previous") == "yes",
            words=given.get("words", "")[:200],
            timestamps=given.get("timestamps") == "yes",
        )


@require_safe
def pod_logs(request: HttpRequest, namespace: str, name: str) -> HttpResponseBase:
    row = Pod.objects.select_related("node", "replica_set").filter(namespace=namespace, name=name).first()
    if row is None:
        return refusal(request, f"Pod {namespace}/{name} does not exist (any more).", 404)
    spec = (row.replica_set.spec.get("template") or {}).get("spec") or {} if row.replica_set else row.spec
    names = [one["name"] for field in ("containers", "initContainers") for one in spec.get(field) or ()]
    return _answer(request, [row], {"title": name, "kind": "pod", "namespace": namespace, "containers": names})


@require_safe
def workload_logs(request: HttpRequest, namespace: str, name: str) -> HttpResponseBase:
    found = Pod.objects.filter(namespace=namespace, replica_set__deployment__name=name, deleted_at=None)
    rows = list(found.select_related("node").order_by("ready", "-created_at", "name")[:PODS])
    counts = {"pods": len(rows), "more": found.count() - PODS}
    context = {"title": name, "kind": "workload", "namespace": namespace, **counts}
    return _answer(request, rows, context)


def _answer(request: HttpRequest, rows: Sequence[Pod], context: dict[str, Any]) -> HttpResponseBase:
    asked = Question.of(request)
    match request.GET.get("as", ""):
        case "stream":
            return _stream(rows, asked, still_may(request, VIEWER, context["namespace"]))
        case "file":
            return _file(rows, asked, f"{context['namespace']}-{context['title']}.log")
    query = request.GET.copy()
    query.pop("as", None)
    return render(request, "workloads/logs.html", {**context, "asked": asked, "query": query.urlencode()})


def _stream(rows: Sequence[Pod], asked: Question, may_go_on: Callable[[], bool]) -> HttpResponseBase:
    response = StreamingHttpResponse(_events(rows, asked, may_go_on), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    response["Content-Encoding"] = "identity"
    return response


async def _events(rows: Sequence[Pod], asked: Question, may_go_on: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Each event is a list of [pod, [[class, text], ...]]; "end" when nothing more will come, or may be seen."""
    lines = _Lines(asyncio.get_running_loop())
    readers = [_Reader(row, asked, lines) for row in rows]
    looked_at = time.monotonic()
    try:
        yield b": Pierhead\n\n"
        running = sum(reader.start() for reader in readers)
        if running < len(readers):
            yield _message([["", [["", _TOO_MANY.format(len(readers) - running)]]]])
        while running:
            if time.monotonic() - looked_at >= SILENCE_SECONDS:
                looked_at = time.monotonic()
                if not await sync_to_async(may_go_on)():
                    break
            found = await lines.together()
            running -= sum(one is _END for one in found)
            told = [one for one in found if one is not _END]
            if told:
                yield _message(told)
            else:
                yield b": still here\n\n"
        yield b"event: end\ndata: {}\n\n"
    finally:
        await sync_to_async(_close)(readers)


def _message(lines: list[Any]) -> bytes:
    return b"data: %s\n\n" % json.dumps(lines, separators=(",", ":")).encode()


class _Lines:
    """From threads that read to the loop that sends; at most WAITING_LINES are on their way."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._room = threading.Semaphore(WAITING_LINES)

    def put(self, one: Any, ended: threading.Event) -> None:
        """In a reader's thread: waits while the browser is slow, until it has gone."""
        while not ended.is_set():
            if self._room.acquire(timeout=1):
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    self._loop.call_soon_threadsafe(self._queue.put_nowait, one)
                return

    async def together(self) -> list[Any]:
        """What comes within a moment of each other goes out at once; nothing after a long silence."""
        try:
            found = [await asyncio.wait_for(self._queue.get(), SILENCE_SECONDS)]
        except TimeoutError:
            return []
        await asyncio.sleep(TOGETHER_SECONDS)
        while not self._queue.empty() and len(found) < WAITING_LINES:
            found.append(self._queue.get_nowait())
        self._room.release(len(found))
        return found


class _Reader:
    """A thread that reads one pod's log, until it ends or is closed."""

    def __init__(self, row: Pod, asked: Question, lines: _Lines) -> None:
        self._row, self._asked, self._lines = row, asked, lines
        self._reading: Any = None
        self._ended = threading.Event()

    def start(self) -> bool:
        if not _readers.acquire(blocking=False):
            return False
        threading.Thread(target=self._run, name=f"log {self._row.name}", daemon=True).start()
        return True

    def close(self) -> None:
        self._ended.set()
        if self._reading is not None:
            self._reading.close()

    def _run(self) -> None:
        try:
            for line in _lines(self._row, self._asked, follow=True, opened=self._opened):
                if self._ended.is_set():
                    return
                self._lines.put([self._row.name, pieces(line)], self._ended)
        finally:
            _readers.release()
            connection.close()
            self._lines.put(_END, self._ended)

    def _opened(self, reading: Any) -> None:
        self._reading = reading
        if self._ended.is_set():
            reading.close()


def _close(readers: Sequence[_Reader]) -> None:
    for reader in readers:
        reader.close()


def _lines(row: Pod, asked: Question, *, follow: bool, opened: Any = None) -> Iterator[str]:
    """What was asked for of one pod; a refusal or a host's failure is a line that says so."""
    from control.services import logs
    from control.services.refusal import Refused
    from deployer.ports import EngineError

    try:
        if asked.previous:
            yield from _holding(asked.words, logs.previous(row, asked.container).splitlines())
            return
        wanted = logs.Asked(asked.container, asked.tail or None, asked.since_seconds, follow, asked.timestamps)
        with contextlib.closing(logs.Reading(row, wanted)) as reading:
            if opened is not None:
                opened(reading)
            yield from _holding(asked.words, reading.lines())
    except Refused as refused:
        yield f"[{refused.sentence}]"
    except EngineError as error:
        yield f"[{error.sentence}]"


def _holding(words: str, lines: Any) -> Iterator[str]:
    return (line for line in lines if not words or words in line)


def _file(rows: Sequence[Pod], asked: Question, name: str) -> HttpResponseBase:
    """Everything that was asked for, as text; of several pods one after the other, each line with its pod."""
    whole = replace(asked, tail=0) if asked.tail == TAIL else asked

    def text() -> Iterator[bytes]:
        for row in rows:
            prefix = f"{row.name} " if len(rows) > 1 else ""
            for line in _lines(row, whole, follow=False):
                yield f"{prefix}{plain(line)}\n".encode()

    response = StreamingHttpResponse(_apart(text()), content_type="text/plain; charset=utf-8")
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    response["Content-Disposition"] = f'attachment; filename="{stamp}-{name}"'
    return response


async def _apart(pieces_: Iterator[bytes]) -> AsyncIterator[bytes]:
    """In threads of its own, so that the loop that serves all pages waits for no host."""
    take = sync_to_async(lambda: next(pieces_, None), thread_sensitive=False)
    while (piece := await take()) is not None:
        yield piece
