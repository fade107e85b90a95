"""A page with a terminal, as tests use it: what is sent, what its stream shows."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from django.test import Client

from control.models import AuditEntry, Pod
from control.services import terminals
from control.services.terminals import Terminals
from tests.scenarios.world import World, web

PATIENCE_SECONDS = 10.0


class Kept:
    """The world's engine, which a terminal must not close for everybody."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def close(self) -> None:
        self.closed = True


@contextmanager
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminals]:
    """Its terminals; nobody looks at them but the test."""
    made = Terminals()
    made._keeps = True
    monkeypatch.setattr(terminals, "terminals", made)
    yield made
    made.end_all("the test is over")
    assert all(one.ended_at is not None for one in made._known.values())


def town(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """One pod that sleeps, on one simulated host."""
    made = World(folder)
    made.add_node("a")
    made.push(web(replicas=1, command="sleep, '9999'"))
    made.pass_time(20)
    monkeypatch.setattr(terminals, "engine_of", lambda row: Kept(made.engines[row.name]))
    return made


def place() -> str:
    pod = Pod.objects.order_by("name")[0]
    return f"/pods/{pod.namespace}/{pod.name}/terminal"


def send(client: Client, path: str, **body: Any) -> Any:
    return client.post(path, json.dumps(body), "application/json")


def opened(client: Client, **body: Any) -> Screen:
    answer = send(client, place(), **body)
    assert answer.status_code == 200, answer.content
    return Screen(client, answer.json()["place"])


class Screen:
    """What a page shows of a terminal."""

    def __init__(self, client: Client, line: str) -> None:
        self.client, self.line, self.heard, self.text, self.ended = client, line, 0, "", ""
        self._number = 0

    def type(self, keys: str) -> None:
        self._number += 1
        assert send(self.client, self.line, number=self._number, keys=keys).status_code == 204

    def shows(self, words: str) -> None:
        self._listen(lambda: words in self.text)

    def ends(self, words: str = "") -> None:
        self._listen(lambda: bool(self.ended))
        assert words in self.ended

    def _listen(self, until: Callable[[], bool]) -> None:
        """A stream of its own, behind what was heard already."""
        answer = self.client.get(self.line, headers={"Last-Event-ID": str(self.heard)})
        assert answer["Content-Type"] == "text/event-stream"
        if not answer.streaming:
            self._take(answer.content)
            return

        async def follow() -> None:
            pieces = cast(AsyncIterator[bytes], answer.streaming_content)
            async with asyncio.timeout(PATIENCE_SECONDS):
                async for piece in pieces:
                    self._take(piece)
                    if until():
                        break
            await cast(Any, pieces).aclose()

        asyncio.run(follow())
        assert until(), (self.text, self.ended)

    def _take(self, piece: bytes) -> None:
        fields = dict(line.partition(": ")[::2] for line in piece.decode().splitlines() if line[:1] not in ("", ":"))
        self.heard = int(fields.get("id", self.heard))
        match fields.get("event"):
            case "message":
                self.text += json.loads(fields["data"])
            case "end":
                self.ended = json.loads(fields["data"])


def eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    return found


def entries() -> dict[str, AuditEntry]:
    return {one.action: one for one in AuditEntry.objects.filter(action__startswith="terminal")}
