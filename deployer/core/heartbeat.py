"""The pulse of one host: what a row of answered and missed pings says. What follows from it, `survival` decides.

Pure: the last pulse, one more answer and the time go in, the next pulse comes out. Three misses in a row make a host
unseen (DESIGN.md 5); one answer makes it seen again.
"""

from __future__ import annotations

from dataclasses import dataclass

TIMEOUT_SECONDS = 1.0
MISSES_UNTIL_UNSEEN = 3
PERIOD_SECONDS, LARGE_PERIOD_SECONDS = 1.0, 2.0
"""Between two pings of a host; the latter with more than LARGE hosts, whose pings would cost a core."""
LARGE = 50
AGAIN_SECONDS = 0.1
"""Before the next ping of a host that has just missed one: death is certain after three, not after three periods."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """`misses` in a row, the first of them sent at `silent_since`; `failure` says what the last one met.

    `answered_at` is the last answer that this process heard, 0 for none; since `answering_since` each one was answered.
    """

    misses: int = 0
    failure: str = ""
    silent_since: float = 0.0
    answered_at: float = 0.0
    answering_since: float = 0.0

    @property
    def is_answered(self) -> bool:
        return not self.misses and self.answered_at > 0

    @property
    def is_wavering(self) -> bool:
        """It has stopped answering, and has not missed enough to tell."""
        return 0 < self.misses < MISSES_UNTIL_UNSEEN


def beat(before: Pulse, failure: str, asked_at: float, now: float) -> Pulse:
    """`failure` is the sentence of the ping that failed, "" for one that was answered."""
    if not failure:
        return Pulse(answered_at=now, answering_since=before.answering_since if before.is_answered else now)
    silent_since = before.silent_since if before.misses else asked_at
    return Pulse(before.misses + 1, failure, silent_since, before.answered_at)


def period_seconds(hosts: int) -> float:
    return PERIOD_SECONDS if hosts <= LARGE else LARGE_PERIOD_SECONDS
