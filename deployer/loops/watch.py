"""watch: one node's event stream. It decides nothing and touches no container: it wakes `converge`, and `route` when
something happened to a container of the node's router.

Events come in windows that begin where the last one ended, so what happened between two windows is replayed. An
event names a container to look at; losing one costs time, not truth, since `converge` lists everything once a minute.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from deployer.core.container import LABEL_COMPONENT, EngineEvent
from deployer.ports import Engine, EngineError, Work

log = logging.getLogger("pierhead.watch")

WINDOW_SECONDS = 55.0
RETRY_SECONDS = 2.0
EVERYTHING = "*"
"""In place of a container's id: what happened before the stream began is not known, so all are looked at."""
TELLING = frozenset({"die", "oom", "destroy", "pause", "unpause", "rename"})


def _nobody() -> None:
    """Nobody wants to know."""


class NodeWatch(threading.Thread):
    """Follows one node until `stopped` is set. A daemon: it may sit in a blocking read."""

    def __init__(self, uid: str, engine: Engine, work: Work, started: Callable[[], None] = _nobody) -> None:
        """`started` is called when a container starts."""
        super().__init__(name=f"watch-{uid[:8]}", daemon=True)
        self.uid, self.stopped = uid, threading.Event()
        self._engine, self._work, self._tell_start = engine, work, started
        self._died: set[str] = set()

    def run(self) -> None:
        since = 0.0
        while not self.stopped.is_set():
            try:
                since = self._window(since)
            except EngineError as error:
                log.info("events of node %s: %s", self.uid, error.sentence)
                since = 0.0
                self.stopped.wait(RETRY_SECONDS)
            except Exception:
                log.exception("the event stream of node %s failed; it is opened again", self.uid)
                self.stopped.wait(RETRY_SECONDS)

    def _window(self, since: float) -> float:
        """One window; returns where the next begins. A stream that starts anew has converge read everything."""
        if not since:
            since = self._engine.host_time()
            self._work.wake("converge", self.uid, dirty=[EVERYTHING])
            self._work.wake("route", self.uid)
        until = since + WINDOW_SECONDS
        for event in self._engine.events(since, until):
            since = max(since, event.at)
            if event.action == "start":
                self._tell_start()
            if self.tells(event):
                self._wake(event)
            if self.stopped.is_set():
                return since
        return until

    def _wake(self, event: EngineEvent) -> None:
        if LABEL_COMPONENT in event.labels:
            self._work.wake("route", self.uid)
        else:
            self._work.wake("converge", self.uid, dirty=[_named(event)])

    def tells(self, event: EngineEvent) -> bool:
        """Whether converge must look. A `start` counts after a death only: the first one was converge's own."""
        if event.action == "start":
            known = event.container_id in self._died
            self._died.discard(event.container_id)
            return known
        if event.action == "destroy":
            self._died.discard(event.container_id)
        elif event.action == "die":
            self._died.add(event.container_id)
        return event.action in TELLING or event.action.startswith("health_status")


def _named(event: EngineEvent) -> str:
    """The container, with the exit code of its end: the engine forgets it as soon as it has started it again."""
    return event.container_id if event.exit_code is None else f"{event.container_id}={event.exit_code}"
