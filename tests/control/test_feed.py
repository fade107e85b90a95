"""The event streams of open pages: who is told what, and nothing is missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from control.dashboard.feed import Feed, Listener, Topic, feed
from control.models import Change
from control.selectors.changes import AT_MOST, Written, newest, since
from control.store import objects
from tests.control import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("topic", "change", "concerned"),
    [
        (Topic(), Written(1, "Pod", "shop", "web-1"), True),
        (Topic(frozenset({"Node"})), Written(1, "Pod", "shop", "web-1"), False),
        (Topic(namespace="shop"), Written(1, "Pod", "shop", "web-1"), True),
        (Topic(namespace="shop"), Written(1, "Pod", "mail", "web-1"), False),
        (Topic(namespace="shop"), Written(1, "Node", "", "host-1"), True),
        (Topic(name="web"), Written(1, "Pod", "shop", "web-1"), True),
        (Topic(name="web"), Written(1, "Pod", "shop", "api-1"), False),
    ],
)
def test_whom_a_change_concerns(topic: Topic, change: Written, concerned: bool) -> None:
    assert topic.concerns(change) is concerned


class Told(Listener):
    """Remembers what it is told, in the thread that tells it."""

    def tell(self, version: int) -> None:
        self.version = version
        heard.append((next(iter(self.topic.kinds), ""), version))


heard: list[tuple[str, int]] = []


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    """A feed that looks when it is told to."""
    heard.clear()
    monkeypatch.setattr(Feed, "_run", lambda _: None)
    yield Feed()


def listener(*kinds: str) -> Told:
    return Told(Topic(frozenset(kinds)), cast(asyncio.AbstractEventLoop, None))


def test_each_change_is_told_once_to_whom_it_concerns(quiet: Feed) -> None:
    quiet.join(listener("Pod"))
    quiet.join(listener("Node"))
    objects.touch("Node", "", "host-1")
    quiet.look()
    quiet.look()
    assert heard == [("Node", newest())]


class Gone(Told):
    def tell(self, version: int) -> None:
        raise RuntimeError("Event loop is closed")


def test_a_page_that_has_gone_keeps_nothing_from_the_others(quiet: Feed) -> None:
    for _ in range(3):
        quiet.join(Gone(Topic(), cast(asyncio.AbstractEventLoop, None)))
        quiet.join(listener("Node"))
    objects.touch("Node", "", "host-1")
    quiet.look()
    assert heard == [("Node", newest())] * 3


def test_what_was_missed_while_the_stream_was_cut_is_told(quiet: Feed) -> None:
    objects.touch("Pod", "shop", "web")
    before = newest()
    objects.touch("Node", "", "host-1")
    quiet.join(listener("Node"), before)
    quiet.join(listener("Pod"), before)
    assert heard == [("Node", newest())]


def test_a_log_that_does_not_reach_back_so_far_tells_everybody(quiet: Feed) -> None:
    for number in range(3):
        objects.touch("Pod", "shop", f"web-{number}")
    Change.objects.filter(resource_version__lt=newest()).delete()
    quiet.join(listener("Node"), newest() - 2)
    assert heard == [("Node", newest())]
    Change.objects.all().delete()
    quiet.join(listener("Secret"), newest() - 1)
    assert heard[1:] == [("Secret", newest())]


def test_too_many_to_tell_apart_are_told_as_one(quiet: Feed) -> None:
    quiet.join(listener("Node"))
    with transaction.atomic():
        for number in range(AT_MOST + 1):
            objects.touch("Pod", "shop", f"web-{number}")
    assert since(newest() - AT_MOST - 1) is None
    quiet.look()
    assert heard == [("Node", newest())]


def test_the_last_who_leaves_ends_the_reading_and_the_next_begins_it_anew() -> None:
    async def come_and_go() -> list[int | None]:
        found = []
        for number in range(3):
            one = Listener(Topic(), asyncio.get_running_loop())
            await asyncio.to_thread(feed.join, one)
            await asyncio.to_thread(objects.touch, "Pod", "shop", f"web-{number}")
            found.append(await one.wait(5))
            feed.leave(one)
        return found

    first, second, third = asyncio.run(come_and_go())
    assert None not in (first, second, third)
    deadline = time.monotonic() + 5
    while feed._thread is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert feed._thread is None


def test_a_stream_says_that_something_changed_and_ends_with_the_session(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from control.dashboard import stream

    monkeypatch.setattr(stream, "PING_SECONDS", 0.2)
    client.force_login(User.objects.create_superuser("ann"))
    factories.node()
    answer = client.get("/stream?kind=Node")
    assert answer["Content-Type"] == "text/event-stream"
    assert answer["Content-Encoding"] == "identity"

    async def read() -> list[bytes]:
        pieces = cast(AsyncIterator[bytes], answer.streaming_content)
        found = [await anext(pieces)]
        await asyncio.to_thread(objects.touch, "Node", "", "n1")
        found.append(await _until(pieces, b"event: changed"))
        await asyncio.to_thread(client.logout)
        found.append(await _until(pieces, b"event: left"))
        return found

    told = asyncio.run(read())
    assert f"id: {newest()}".encode() in told[1]


async def _until(pieces: Any, word: bytes) -> bytes:
    async with asyncio.timeout(10):
        async for piece in pieces:
            if word in piece:
                return bytes(piece)
    raise AssertionError(word)


def test_strangers_get_no_stream(client: Client) -> None:
    assert client.get("/stream").status_code == 302
