"""Logs in pages: lines from simulated hosts, followed, filtered, coloured, downloaded; hosts that do not answer."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.test import Client

from control.models import Node, Pod, RoleBinding
from control.services import logs
from deployer.ports import Engine, EngineUnreachable
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db(transaction=True)
SAYS = "sh, -c, \"echo one; echo 'two <b>'; sleep 9999\""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    made.add_node("a")
    made.push(web(replicas=2, command=SAYS))
    made.pass_time(20)
    monkeypatch.setattr(logs, "engine_of", lambda row: _Kept(made.engines[row.name]))
    return made


class _Kept:
    """The world's engine, which a reader must not close for everybody."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


def streamed(client: Client, path: str) -> list[Any]:
    """The lines of the first message."""
    answer = client.get(path)
    assert answer["Content-Type"] == "text/event-stream"

    async def first() -> list[Any]:
        async with asyncio.timeout(10):
            pieces = cast(AsyncIterator[bytes], answer.streaming_content)
            async for piece in pieces:
                if piece.startswith(b"data: "):
                    await cast(Any, pieces).aclose()
                    return list(json.loads(piece[6:]))
        return []

    return asyncio.run(first())


def downloaded(client: Client, path: str) -> str:
    answer = client.get(path)
    assert "attachment" in answer["Content-Disposition"]

    async def whole() -> bytes:
        return b"".join([piece async for piece in cast(AsyncIterator[bytes], answer.streaming_content)])

    return asyncio.run(whole()).decode()


def place() -> str:
    pod = Pod.objects.order_by("name")[0]
    return f"/pods/{pod.namespace}/{pod.name}/logs"


def test_the_page_comes_without_asking_the_host(ann: Client, monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(logs, "engine_of", lambda _row: pytest.fail("a page asked a host"))
    assert ann.get(place()).status_code == 200
    assert ann.get("/workloads/shop/web/logs").status_code == 200


def test_lines_come_as_text_with_the_pod_they_are_of(ann: Client, world: World) -> None:
    lines = streamed(ann, place() + "?as=stream")
    pod = Pod.objects.order_by("name")[0].name
    assert lines[:2] == [[pod, [["", "one"]]], [pod, [["", "two <b>"]]]]


def test_all_pods_of_a_workload_at_once(ann: Client, world: World) -> None:
    lines = streamed(ann, "/workloads/shop/web/logs?as=stream")
    assert {pod for pod, _ in lines} == set(Pod.objects.values_list("name", flat=True))


def test_only_lines_with_these_words_and_the_last_ones(ann: Client, world: World) -> None:
    assert downloaded(ann, place() + "?as=file&words=two") == "two <b>\n"
    assert downloaded(ann, place() + "?as=file&tail=1") == "two <b>\n"


@pytest.mark.parametrize("query", ["tail=x", "tail=-1", "since=x", f"tail={'9' * 40}", "container=none"])
def test_absurd_questions_are_answered(ann: Client, world: World, query: str) -> None:
    assert ann.get(f"{place()}?{query}").status_code == 200
    downloaded(ann, f"{place()}?as=file&{query}")


def test_a_host_that_does_not_answer_is_a_line(ann: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Node.objects.update(ready=False)
    assert "does not answer, so the log of" in downloaded(ann, place() + "?as=file")
    Node.objects.update(ready=True)

    def unreachable(_row: Node) -> Engine:
        raise EngineUnreachable("Unreachable", "a: cannot be reached")

    monkeypatch.setattr(logs, "engine_of", unreachable)
    assert downloaded(ann, place() + "?as=file") == "[a: cannot be reached]\n"


def test_a_log_is_followed_for_as_long_as_it_may_be_seen(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.dashboard.logs.SILENCE_SECONDS", 0.2)
    vic = User.objects.create_user("vic")
    RoleBinding.objects.create(subject=vic, namespace="shop", role="viewer")
    client.force_login(vic)
    answer = client.get(place() + "?as=stream")

    async def read() -> bytes:
        found = b""
        async with asyncio.timeout(20):
            async for piece in cast(AsyncIterator[bytes], answer.streaming_content):
                found += piece
                if b"one" in piece:
                    await asyncio.to_thread(RoleBinding.objects.all().delete)
        return found

    assert asyncio.run(read()).endswith(b"event: end\ndata: {}\n\n")


def test_a_line_without_an_end_comes_in_parts() -> None:
    """`cat /dev/zero` in a pod filled the memory of the process that serves all pages."""
    parts = list(logs.divided(itertools.repeat(b"x" * 10_000, 100)))
    assert [len(part) for part in parts] == [logs.LONGEST_LINE] * 15 + [1_000_000 - 15 * logs.LONGEST_LINE]
    assert list(logs.divided([b"a\nb", b"c\n", "é".encode()[:1], "é".encode()[1:]])) == ["a", "bc", "é"]


def test_the_run_before(ann: Client, world: World) -> None:
    assert "no run of the container has ended" in downloaded(ann, place() + "?as=file&previous=yes")
    Pod.objects.update(log_tail="it was\nthe database")
    Pod.objects.update(status={})
    assert downloaded(ann, place() + "?as=file&previous=yes") == "it was\nthe database\n"
