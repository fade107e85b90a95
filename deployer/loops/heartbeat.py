"""heartbeat: one ping of every node, side by side; a node whose state changes wakes whom it concerns."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from deployer.core.heartbeat import TIMEOUT_SECONDS, Heartbeat, beat
from deployer.ports import Clock, Engine, EngineError

SEEN_EVERY_SECONDS = 10.0


class HeartbeatStore(Protocol):
    def changed(self, node: str, heartbeat: Heartbeat, wake: Any, now: float) -> None: ...
    def seen(self, nodes: Iterable[str], now: float) -> None: ...


@dataclass
class Pulse:
    """What the watch process remembers of one node between two beats."""

    node: str
    engine: Engine
    heartbeat: Heartbeat
    seen_at: float = 0


def beat_all(
    pulses: list[Pulse], pool: concurrent.futures.Executor, store: HeartbeatStore, wake: Any, clock: Clock
) -> None:
    """A host that hangs costs its own thread and no more than the timeout."""
    asked = {pool.submit(_failure, pulse.engine): pulse for pulse in pulses}
    done, late = concurrent.futures.wait(asked, timeout=TIMEOUT_SECONDS)
    failures = {asked[one].node: one.result() for one in done}
    failures.update({asked[one].node: f"no answer within {TIMEOUT_SECONDS:g} s" for one in late})
    now = clock.now()
    alive = []
    for pulse in pulses:
        before, failure = pulse.heartbeat, failures[pulse.node]
        pulse.heartbeat = beat(before, failure, now)
        if not failure and now - pulse.seen_at >= SEEN_EVERY_SECONDS:
            pulse.seen_at = now
            alive.append(pulse.node)
        if (before.ready, before.reason) != (pulse.heartbeat.ready, pulse.heartbeat.reason):
            store.changed(pulse.node, replace(pulse.heartbeat), wake, now)
    if alive:
        store.seen(alive, now)


def _failure(engine: Engine) -> str:
    try:
        engine.ping()
    except EngineError as error:
        return error.sentence
    return ""
