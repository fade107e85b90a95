"""The event streams of the open pages: one reader of the change log per process, however many pages listen.

    change log -> Feed (a thread, while somebody listens) -> each Listener whose Topic it concerns -> "changed", id

What is sent is a version and nothing else: the page then asks for what it shows, so that a stream that was cut and
comes back misses nothing, a slow reader has nothing to catch up with, and no right is checked in two places. A reader
holds one pending version, whatever happens meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from dataclasses import dataclass, field

from django.db import DatabaseError, close_old_connections, connection

from control.selectors.changes import Written, newest, since

log = logging.getLogger("pierhead.web")
LONGEST_PAUSE_SECONDS = 5.0
"""Between two looks at a database that does not answer."""
LOOK_SECONDS = 0.15
"""One query each, of 0.2 ms: a page sees a change within it, and an idle page costs next to nothing."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What a page shows. An empty field stands for all; what belongs to no namespace concerns every namespace."""

    kinds: frozenset[str] = frozenset()
    namespace: str = ""
    name: str = ""

    def concerns(self, one: Written) -> bool:
        if self.kinds and one.kind not in self.kinds:
            return False
        if self.namespace and one.namespace not in ("", self.namespace):
            return False
        return not self.name or one.name.startswith(self.name)


@dataclass(eq=False)
class Listener:
    """An open page. Belongs to `loop`; `tell` may be called from any thread."""

    topic: Topic
    loop: asyncio.AbstractEventLoop
    version: int = 0
    rung: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, version: int) -> None:
        self.loop.call_soon_threadsafe(self._take, version)

    def _take(self, version: int) -> None:
        self.version = version
        self.rung.set()

    async def wait(self, seconds: float) -> int | None:
        """The newest version that concerns it; None when nothing came for so long."""
        try:
            await asyncio.wait_for(self.rung.wait(), seconds)
        except TimeoutError:
            return None
        self.rung.clear()
        return self.version


class Feed:
    """Reads while somebody listens, and rests otherwise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._thread: threading.Thread | None = None
        self._idle = threading.Event()
        self._read = 0

    def join(self, listener: Listener, heard: int | None = None) -> None:
        """`heard`: the version that this page was told last, before its stream was cut. It is told what it missed."""
        with self._lock:
            self._listeners.add(listener)
            if self._thread is None:
                self._idle.clear()
                self._read = newest()
                self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
                self._thread.start()
        now = newest()
        if heard is not None and heard < now and self._missed(listener.topic, heard):
            listener.tell(now)

    def leave(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)
            if not self._listeners:
                self._idle.set()

    def look(self) -> None:
        """Read the log once, and tell those whom it concerns."""
        found = since(self._read)
        if found == []:
            return
        self._read = newest() if found is None else found[-1].version
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            if found is None or any(listener.topic.concerns(one) for one in found):
                with contextlib.suppress(RuntimeError):  # its loop has ended: it leaves in a moment
                    listener.tell(self._read)

    def _run(self) -> None:
        pause = LOOK_SECONDS
        while True:
            self._idle.wait(pause)
            if self._ended():
                connection.close()
                return
            try:
                self.look()
                pause = LOOK_SECONDS
            except DatabaseError as error:
                log.warning("the change log could not be read (%s); trying again", type(error).__name__)
                close_old_connections()
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _ended(self) -> bool:
        with self._lock:
            if self._listeners:
                self._idle.clear()  # somebody came as the last one left
                return False
            self._thread = None
            return True

    @staticmethod
    def _missed(topic: Topic, heard: int) -> bool:
        """A log that has forgotten what it was asked for does not say that nothing happened."""
        found = since(heard)
        return not found or any(topic.concerns(one) for one in found)


feed = Feed()
