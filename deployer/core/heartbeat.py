"""Is a node there? What a row of answered and missed pings says.

Pure: the last conclusion, one more answer and the time go in, the next conclusion comes out. Three misses in a row
make a node Unknown (DESIGN.md 5); one answer makes it Ready again. It never says Dead: that takes a second witness.
"""

from __future__ import annotations

from dataclasses import dataclass

PERIOD_SECONDS = 2.0
TIMEOUT_SECONDS = 1.0
MISSES_UNTIL_UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`changed_at` is when `ready` last changed; `misses` counts pings in a row that were not answered."""

    ready: bool
    misses: int = 0
    reason: str = ""
    message: str = ""
    changed_at: float = 0


def beat(before: Heartbeat, failure: str, now: float) -> Heartbeat:
    """`failure` is the sentence of the ping that failed, "" for one that was answered."""
    if not failure:
        return before if before.ready and not before.misses else _ready(before, now)
    misses = before.misses + 1
    if misses < MISSES_UNTIL_UNKNOWN:
        return Heartbeat(before.ready, misses, before.reason, before.message, before.changed_at)
    changed_at = now if before.ready else before.changed_at
    return Heartbeat(False, misses, "Unknown", f"{misses} heartbeats were missed: {failure}", changed_at)


def _ready(before: Heartbeat, now: float) -> Heartbeat:
    return Heartbeat(True, 0, "EngineReady", "the engine answers", before.changed_at if before.ready else now)
