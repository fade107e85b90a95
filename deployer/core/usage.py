"""From an engine's counters to what pods use: CPU and memory of each pod and node, 15 seconds at a time.

    readings of containers -> since the last look -> a row per pod and node -> totals of a workload -> points of a plot

CPU is counted from a container's start on, so two looks are subtracted; memory is what the later look found. A counter
that shrank began anew (its container was restarted) and counts from zero, as does that of a container which was not
there before. What was counted between the last look and a restart is lost: figures may be too low by one look's worth.

A pod is told when all of its containers were read, else its next row reaches back further: no row overlaps another
one, and what a row stands for is never told twice. After LONGEST_GAP_SECONDS without a reading it begins anew.

Nothing here knows a clock, a socket or a database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from deployer.core.container import (
    LABEL_COMPONENT,
    LABEL_CONTAINER,
    LABEL_NAMESPACE,
    LABEL_OWNER,
    LABEL_POD,
    LABEL_REVISION,
    PAUSE_CONTAINER,
    ContainerSeen,
)

FINE_SECONDS, COARSE_SECONDS = 15, 300
FINE_KEPT_SECONDS, COARSE_KEPT_SECONDS = 2 * 3600, 8 * 86_400
"""A pod has at most 760 fine rows (520 after old ones have gone, every hour), a workload's revision 2,304 coarse."""
LONGEST_GAP_SECONDS = COARSE_SECONDS
CLOCKS_AGREE_SECONDS = 10.0
"""The host's clock tells best how long it was between two readings, unless it says something else than ours."""
EARLY_SECONDS = 1.0
READS_A_SECOND = 100
PERIODS_SECONDS = (15, 30, 60, 150, 300)
"""Each is a part of a coarse row's time."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a running container has used, read at `at` (the host's clock).

    `cpu_nanoseconds` counts from the container's start. `memory_bytes` is the working set: what is used without the
    file cache that the kernel would drop first, as Kubernetes counts it. `memory_limit_bytes` is the host's memory
    where the container has no limit. `cpus`: the host's processors, 0 when the engine does not say.
    """

    at: float
    cpu_nanoseconds: int
    memory_bytes: int
    memory_limit_bytes: int
    cpus: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """Whose figures they are: a pod's ("Deployment/web", or "Pod/NAME" for a bare one), or a whole node's."""

    namespace: str
    pod: str
    owner: str
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """What was used for `seconds` from `at` on (multiples of 15): CPU in the mean, memory at the end."""

    at: int
    seconds: int
    cpu_millicores: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Known:
    """A pod when it was last read whole: at which look, by container, and what followed from that."""

    slot: int
    readings: Mapping[str, Usage]
    cpu_millicores: float = 0.0

    @property
    def memory_bytes(self) -> int:
        return sum(one.memory_bytes for one in self.readings.values())


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a node leaves for the next: its 15 seconds, what ran then, and what is known of each pod."""

    slot: int
    members: Mapping[Subject, Collection[str]]
    known: Mapping[Subject, Known] = field(default_factory=dict)

    def had_any(self, ids: Collection[str]) -> bool:
        return not set(ids).isdisjoint(chain.from_iterable(self.members.values()))


@dataclass(frozen=True, slots=True)
class Total:
    """What several pods use at a time, and the one that uses most. `pods`: how many were measured, on the average."""

    pods: float
    cpu_millicores: float
    cpu_most_millicores: float
    memory_bytes: int
    memory_most_bytes: int

    def __add__(self, other: Total) -> Total:
        return Total(
            self.pods + other.pods,
            self.cpu_millicores + other.cpu_millicores,
            max(self.cpu_most_millicores, other.cpu_most_millicores),
            self.memory_bytes + other.memory_bytes,
            max(self.memory_most_bytes, other.memory_most_bytes),
        )


def of_node(uid: str) -> Subject:
    """All that Pierhead runs on a node, its router included. No pod has an empty namespace."""
    return Subject("", uid, f"Node/{uid}")


def members(node: str, containers: Iterable[ContainerSeen]) -> dict[Subject, list[str]]:
    """The ids of what runs, by pod; the node's router is the node's own. A pause container uses nothing to speak of."""
    found: dict[Subject, list[str]] = {of_node(node): []}
    for one in containers:
        if one.state in ("running", "paused") and one.labels.get(LABEL_CONTAINER) != PAUSE_CONTAINER:
            found.setdefault(_subject(node, one.labels), []).append(one.id)
    return found


def in_turn(members: Mapping[Subject, Collection[str]], turn: int) -> list[str]:
    """The containers in the order to ask for them: pod by pod, from the `turn`-th pod on.

    When time does not suffice for all, or two of them hang, it is others that are left out the next time.
    """
    pods = sorted(members.items())
    start = turn % len(pods) if pods else 0
    return [one for _, ids in pods[start:] + pods[:start] for one in ids]


def look(
    before: Look | None, slot: int, node: str, members: Mapping[Subject, Collection[str]], read: Mapping[str, Usage]
) -> tuple[Look, dict[Subject, Row]]:
    """What this look (`slot`: its 15 seconds) tells, and what to remember for the next one.

    Example: 4.5 s of CPU in the 15 s since the last look are 300 millicores; restarted meanwhile and now at 1.5 s: 100.
    """
    known: dict[Subject, Known] = {}
    rows: dict[Subject, Row] = {}
    for subject, ids in members.items():
        last = _last(before, slot, subject)
        if not all(one in read for one in ids):
            known |= {subject: last} if last else {}
            continue
        readings = {one: read[one] for one in ids}
        row = _row(before, last, slot, readings)
        known[subject] = Known(slot, readings, row.cpu_millicores if row else 0.0)
        rows |= {subject: row} if row else {}
    rows.pop(of_node(node), None)
    if before is not None and 0 < slot - before.slot <= LONGEST_GAP_SECONDS:
        cpu, memory = (sum(getattr(one, name) for one in known.values()) for name in ("cpu_millicores", "memory_bytes"))
        rows[of_node(node)] = Row(before.slot, slot - before.slot, cpu, memory)
    return Look(slot, members, known), rows


def slot_of(now: float, offset_seconds: float) -> int:
    """The 15 seconds of a look that was due `offset_seconds` after their start. It may be EARLY_SECONDS early, as two
    clocks go, and late by 14 s."""
    return int((now - offset_seconds + EARLY_SECONDS) // FINE_SECONDS) * FINE_SECONDS


def due_at(now: float, period_seconds: int, offset_seconds: float) -> float:
    """The next look: the first multiple of the period, plus the offset by which nodes are spread, that is to come."""
    return ((now - offset_seconds) // period_seconds + 1) * period_seconds + offset_seconds


def period_seconds(containers: int) -> int:
    """How often to look when there are so many in all: at most READS_A_SECOND are asked for.

    1,500 are looked at every 15 s, 5,000 every minute.
    """
    wanted = (one for one in PERIODS_SECONDS if containers <= one * READS_A_SECOND)
    return next(wanted, PERIODS_SECONDS[-1])


def per_slot(parts: Iterable[tuple[int, int, Total]]) -> dict[int, Total]:
    """15 seconds -> what was used in them: each (at, seconds, total) stands for all that it covers."""
    found: dict[int, Total] = {}
    for at, seconds, total in parts:
        for slot in range(at, at + seconds, FINE_SECONDS):
            found[slot] = found[slot] + total if slot in found else total
    return found


def coarse(slots: Mapping[int, Total]) -> dict[int, tuple[int, Total]]:
    """5 minutes -> (seconds of them that anything is known of, the mean over these).

    Example: 100 millicores all the time, and a second pod with 200 for half of it: 200, 1.5 pods, 200 at most.
    """
    by_start: dict[int, list[Total]] = defaultdict(list)
    for slot, total in slots.items():
        by_start[bucket_start(slot, COARSE_SECONDS)].append(total)
    return {start: (len(totals) * FINE_SECONDS, _mean(totals)) for start, totals in by_start.items()}


def bucket_start(at: float, resolution_seconds: int) -> int:
    """The row that a time belongs to: 47.2 at 15 s -> 45."""
    return int(at // resolution_seconds) * resolution_seconds


def _subject(node: str, labels: Mapping[str, str]) -> Subject:
    if LABEL_COMPONENT in labels or not labels.get(LABEL_POD):
        return of_node(node)
    pod, revision = labels[LABEL_POD], labels.get(LABEL_REVISION, "")
    owner = labels.get(LABEL_OWNER) or f"Pod/{pod}"
    return Subject(labels.get(LABEL_NAMESPACE, ""), pod, owner, int(revision) if revision.isdecimal() else 0)


def _last(before: Look | None, slot: int, subject: Subject) -> Known | None:
    """What is known of it from an earlier look that is not too long ago."""
    last = before.known.get(subject) if before else None
    return last if last and 0 < slot - last.slot <= LONGEST_GAP_SECONDS else None


def _row(before: Look | None, last: Known | None, slot: int, readings: Mapping[str, Usage]) -> Row | None:
    """None for a pod that is seen for the first time, unless it has started since the last look."""
    if last is not None:
        since, earlier = last.slot, last.readings
    elif before is not None and 0 < slot - before.slot <= LONGEST_GAP_SECONDS and not before.had_any(readings):
        since, earlier = before.slot, {}
    else:
        return None
    cpu = sum(_millicores(earlier.get(one), now, slot - since) for one, now in readings.items())
    return Row(since, slot - since, cpu, sum(one.memory_bytes for one in readings.values()))


def _millicores(before: Usage | None, now: Usage, seconds: int) -> float:
    """1 s of CPU time in 1 s is 1000. Never more than the host has."""
    if before is None:
        used, elapsed = now.cpu_nanoseconds, float(seconds)
    else:
        used, elapsed = _since(before.cpu_nanoseconds, now.cpu_nanoseconds), now.at - before.at
    if elapsed <= 0 or abs(elapsed - seconds) > CLOCKS_AGREE_SECONDS:
        elapsed = float(seconds)
    found = used / elapsed / 1e6
    return min(found, now.cpus * 1000.0) if now.cpus else found


def _since(before: int, now: int) -> int:
    return now - before if now >= before else now


def _mean(totals: Sequence[Total]) -> Total:
    whole, count = totals[0], len(totals)
    for one in totals[1:]:
        whole = whole + one
    return Total(
        whole.pods / count, whole.cpu_millicores / count, whole.cpu_most_millicores,
        round(whole.memory_bytes / count), whole.memory_most_bytes,
    )  # fmt: skip
