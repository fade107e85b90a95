"""Did the clock jump? Rows hold times of day; a clock that is set makes them lie in the future, or long ago.

A process sees it by a second clock that is never set (`monotonic`): between two looks, both should have gone on by as
much. A process that was merely paused sees no jump, since both went on.
"""

from __future__ import annotations

from dataclasses import dataclass

TOLERATED_SECONDS = 5.0
"""Below that it is drift, or a leap second that was smeared: leases and waits absorb it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Both clocks at one look, in seconds."""

    wall: float
    monotonic: float


def jump_seconds(before: Moment | None, after: Moment) -> float:
    """By how much the time of day was set on (above 0) or back (below) since the last look; 0 for not at all."""
    if before is None:
        return 0.0
    jump = (after.wall - before.wall) - (after.monotonic - before.monotonic)
    return jump if abs(jump) > TOLERATED_SECONDS else 0.0
