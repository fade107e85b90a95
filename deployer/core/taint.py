"""A node's taints: what they are, and how they are kept on record. Pages read them too: this loads nothing large."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

NO_EXECUTE = "NoExecute"
TIME_ADDED = "timeAdded"
Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str = ""
    effect: Effect = "NoSchedule"

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


UNREACHABLE = Taint("node.kubernetes.io/unreachable", effect="NoExecute")
"""What a host that is dead has, as long as its pods are replaced."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A NoExecute taint, and since when its node has it."""

    taint: Taint
    added_at: float


def standing(taints: Iterable[Mapping[str, str]]) -> tuple[Standing, ...]:
    """Those of a node's taints, as they are on record, that evict."""
    return tuple(Standing(taint_of(one), added_at(one)) for one in taints if one["effect"] == NO_EXECUTE)


def taint_of(recorded: Mapping[str, str]) -> Taint:
    """Without its time: two nodes are alike to the scheduler whenever they were tainted."""
    return Taint(recorded["key"], recorded.get("value", ""), recorded["effect"])  # type: ignore[arg-type]


def stamped(recorded: Mapping[str, str], now: float) -> dict[str, str]:
    """The taint as it is kept: with Kubernetes' `timeAdded`, which a taint that evicts has."""
    found = {name: value for name, value in recorded.items() if name != TIME_ADDED}
    if found["effect"] == NO_EXECUTE:  # parts of a second too, or tolerations would end before their time
        found[TIME_ADDED] = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return found


def added_at(recorded: Mapping[str, str]) -> float:
    """0 where nobody has written it down: pods have their time from when they were placed."""
    try:
        return datetime.fromisoformat(recorded.get(TIME_ADDED, "")).timestamp()
    except ValueError:
        return 0.0
