"""What is worth waking a person for, and when it is over: incidents, decided from what is known of one thing.

    rollout failed (a Deployment)   sync failed (an application)   node dead   repository away

Pure: what is known now and the record so far in, the record to keep out. An incident is a thing and a cause: a commit
that fails again on each retry is the same one, a newer commit that fails is another. It opens at the first bad look,
or, where a look may be wrong (`doubtful`), when it is still bad `DOUBT_SECONDS` later. It ends when the thing is good,
not when it is merely tried again, and for what can come and go only after it has been good for a while. That while
doubles each time that it came back within the hour, so a flapping thing is told less and less often.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["RolloutFailed", "SyncFailed", "NodeDead", "RepositoryAway"]
KINDS: dict[Kind, str] = {
    "RolloutFailed": "rollouts that fail, rolled back or not",
    "SyncFailed": "commits that cannot be applied",
    "NodeDead": "dead nodes",
    "RepositoryAway": "repositories that cannot be reached",
}
State = Literal["bad", "good", "unclear", "gone"]
Outcome = Literal["", "normal", "superseded", "gone"]

DOUBT_SECONDS = 120.0
CALM_SECONDS: dict[Kind, float] = {"NodeDead": 60.0, "RepositoryAway": 60.0}
FLAP_SECONDS = 60.0
LONGEST_CALM_SECONDS = 3600.0
REMEMBERED_SECONDS = 3600.0
"""What comes back within this time after it was over is flapping."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of a thing now. `cause` tells one trouble from the next: a commit, a template's hash.

    `doubtful`: a second look is needed before anybody is told. `unclear`: it is being tried, nobody can say yet.
    """

    state: State
    cause: str = ""
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """An incident that is not over. `opened_at` 0: only suspected. `good_at`: since when it looks good, 0: it does not.

    `flaps`: how often in a row it had come back when it opened.
    """

    cause: str
    seen_at: float
    opened_at: float = 0.0
    good_at: float = 0.0
    flaps: int = 0

    @property
    def is_open(self) -> bool:
        return self.opened_at > 0


@dataclass(frozen=True, slots=True)
class Past:
    """How the last incident of the same thing ended."""

    closed_at: float
    flaps: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Decision:
    """`closed`: how the record that was there ended, "" if it goes on. A mere suspicion that ended is dropped.

    `record`: what is on record from now on; `opens`: it opens now, so people are told. `wake_at`: when to look again
    although nothing happens, None when an event will tell.
    """

    record: Record | None
    closed: Outcome = ""
    opens: bool = False
    wake_at: float | None = None


def decide(kind: Kind, fact: Fact, record: Record | None, past: Past | None, now: float) -> Decision:
    match fact.state:
        case "bad":
            return _bad(fact, record, past, now)
        case "good":
            return _good(kind, record, now)
        case "gone":
            return Decision(None, "gone" if record else "")
        case _:
            return Decision(replace(record, good_at=0.0) if record else None)


def calm_seconds(kind: Kind, flaps: int) -> float:
    """How long it must have been good before it is over.

    >>> [calm_seconds("NodeDead", flaps) for flaps in (0, 1, 2, 9)]
    [60.0, 120.0, 240.0, 3600.0]
    """
    usual = CALM_SECONDS.get(kind, 0.0)
    if not flaps:
        return usual
    return min(FLAP_SECONDS * 2.0 ** min(flaps, 10), LONGEST_CALM_SECONDS)


def _bad(fact: Fact, record: Record | None, past: Past | None, now: float) -> Decision:
    closed: Outcome = ""
    if record is None:
        record = Record(fact.cause, now, flaps=_flaps(past, now))
    elif record.cause != fact.cause:
        closed = "superseded"
        record = Record(fact.cause, now, flaps=record.flaps)
    record = replace(record, good_at=0.0)
    if record.is_open:
        return Decision(record)
    due_at = record.seen_at + (DOUBT_SECONDS if fact.doubtful else 0.0)
    if now >= due_at:
        return Decision(replace(record, opened_at=now), closed, opens=True)
    return Decision(record, closed, wake_at=due_at)


def _good(kind: Kind, record: Record | None, now: float) -> Decision:
    if record is None:
        return Decision(None)
    if not record.is_open:
        return Decision(None, "normal")
    since = record.good_at or now
    over_at = since + calm_seconds(kind, record.flaps)
    if now >= over_at:
        return Decision(None, "normal")
    return Decision(replace(record, good_at=since), wake_at=over_at)


def _flaps(past: Past | None, now: float) -> int:
    if past is None or past.outcome != "normal" or now - past.closed_at > REMEMBERED_SECONDS:
        return 0
    return past.flaps + 1
