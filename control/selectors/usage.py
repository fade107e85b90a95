"""What pods, workloads and nodes use: points of a plot, and the latest figures. CPU in millicores, memory in bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from control.models import Node, Pod
from control.models.usage import PodUsage, WorkloadUsage, totals
from control.selectors.kubernetes_nodes import allocatable
from deployer.core.usage import (
    COARSE_SECONDS,
    FINE_KEPT_SECONDS,
    FINE_SECONDS,
    LONGEST_GAP_SECONDS,
    Total,
    bucket_start,
    coarse,
    of_node,
    per_slot,
    period_seconds,
)

Slots = Mapping[int, Mapping[int, Total]]
"""Revision -> 15 seconds -> total."""


@dataclass(frozen=True, slots=True)
class PodPoint:
    """`seconds` from `at` on: CPU in the mean, and the working set at their end."""

    at: int
    seconds: int
    cpu_millicores: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class WorkloadPoint:
    """`step_seconds` from `at` on, of one revision; `seconds` of them are known, and the total is the mean over these.

    `total` has the sums over the pods, how many those were, and the most that one of them used.
    """

    at: int
    step_seconds: int
    seconds: int
    revision: int
    total: Total


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What all that Pierhead runs on a node uses, its router included; percent of what pods may request there."""

    point: PodPoint
    cpu_percent: int
    memory_percent: int


def pod_usage(namespace: str, name: str, since: float, until: float) -> list[PodPoint]:
    """Points of 15 s (of a minute with thousands of pods), sorted; one query. They are kept for two hours."""
    rows = PodUsage.objects.filter(namespace=namespace, pod=name, at__gte=bucket_start(since, FINE_SECONDS))
    return [_point(row) for row in rows.filter(at__lt=until).order_by("at")]


def workload_usage(namespace: str, deployment: str, since: float, until: float) -> list[WorkloadPoint]:
    """Points of a Deployment, sorted by time and revision; two queries.

    A span of at most two hours has points of 15 s, and of 5 minutes where those are not kept any more; a longer span
    has points of 5 minutes. A time without a point is one of which nothing is known. The first and the last may reach
    beyond the span; the newest may still grow.
    """
    return _points(namespace, f"Deployment/{deployment}", since, until)


def node_usage_points(node: str, since: float, until: float) -> list[WorkloadPoint]:
    """The same for a node (its uid): all that Pierhead runs there, as one "pod" of revision 0."""
    return _points("", of_node(node).owner, since, until)


def latest_pod_usage(namespace: str | None, now: float) -> dict[tuple[str, str], PodPoint]:
    """(namespace, pod) -> its latest figures, if they are of now; of all namespaces for None. Two queries."""
    rows = PodUsage.objects.exclude(namespace="") if namespace is None else PodUsage.objects.filter(namespace=namespace)
    return {(row.namespace, row.pod): _point(row) for row in rows.filter(at__gte=_recent(now)).order_by("at")}


def node_usage(nodes: Iterable[Node], now: float) -> dict[str, NodeFigures]:
    """Uid -> the latest figures of each node that has any of now. Two queries."""
    by_uid = {row.uid: row for row in nodes}
    rows = PodUsage.objects.filter(namespace="", pod__in=by_uid, at__gte=_recent(now)).order_by("at")
    return {row.pod: _figures(by_uid[row.pod], _point(row)) for row in rows}


def by_time(points: Iterable[WorkloadPoint]) -> list[WorkloadPoint]:
    """All revisions of a time as one point, of revision 0."""
    found: dict[tuple[int, int], WorkloadPoint] = {}
    for one in points:
        same = found.get((one.at, one.step_seconds))
        seconds, total = (max(same.seconds, one.seconds), same.total + one.total) if same else (one.seconds, one.total)
        found[one.at, one.step_seconds] = WorkloadPoint(one.at, one.step_seconds, seconds, 0, total)
    return list(found.values())


def _points(namespace: str, owner: str, since: float, until: float) -> list[WorkloadPoint]:
    first = bucket_start(since, COARSE_SECONDS)
    made = WorkloadUsage.objects.filter(namespace=namespace, owner=owner, at__gte=first, at__lt=until)
    old = [WorkloadPoint(row.at, COARSE_SECONDS, row.seconds, row.revision, _total(row)) for row in made]
    if until - since <= FINE_KEPT_SECONDS:
        fine = _fine(namespace, owner, bucket_start(since, FINE_SECONDS), until)
        kept = min((slot for slots in fine.values() for slot in slots), default=until)
        found = [one for one in old if one.at + COARSE_SECONDS <= kept] + _as_points(fine)
    else:
        end = max((one.at for one in old), default=first - COARSE_SECONDS) + COARSE_SECONDS
        found = old + _as_coarse_points(_fine(namespace, owner, end, until))
    return sorted(found, key=lambda one: (one.at, one.revision))


def _fine(namespace: str, owner: str, first: int, until: float) -> Slots:
    """By revision and slot, from `first` on."""
    since = first - LONGEST_GAP_SECONDS
    rows = PodUsage.objects.filter(namespace=namespace, owner=owner, at__gt=since, at__lt=until)
    parts: dict[int, list[tuple[int, int, Total]]] = defaultdict(list)
    for (revision,), part in totals(rows, "revision"):
        parts[revision].append(part)
    return {
        revision: {slot: total for slot, total in per_slot(mine).items() if first <= slot < until}
        for revision, mine in parts.items()
    }


def _as_points(fine: Slots) -> list[WorkloadPoint]:
    return [
        WorkloadPoint(slot, FINE_SECONDS, FINE_SECONDS, revision, total)
        for revision, slots in fine.items()
        for slot, total in slots.items()
    ]


def _as_coarse_points(fine: Slots) -> list[WorkloadPoint]:
    return [
        WorkloadPoint(start, COARSE_SECONDS, seconds, revision, total)
        for revision, slots in fine.items()
        for start, (seconds, total) in coarse(slots).items()
    ]


def _recent(now: float) -> float:
    """Since when figures count as those of now: the last two looks, however many pods there are to look at."""
    return now - 2 * period_seconds(2 * Pod.objects.count()) - 2 * FINE_SECONDS


def _point(row: PodUsage) -> PodPoint:
    return PodPoint(row.at, row.seconds, row.cpu_millicores, row.memory_bytes)


def _total(row: WorkloadUsage) -> Total:
    return Total(row.pods, row.cpu_millicores, row.cpu_most_millicores, row.memory_bytes, row.memory_most_bytes)


def _figures(node: Node, point: PodPoint) -> NodeFigures:
    cpu, memory = allocatable(node)
    return NodeFigures(point, _percent(point.cpu_millicores, cpu), _percent(point.memory_bytes, memory))


def _percent(part: float, whole: int) -> int:
    """May be above 100: what is used is not bounded by what may be requested."""
    return int(100 * part / whole) if whole else 0
