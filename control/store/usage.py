"""What pods use, as rows: written with every look, added up to workloads and forgotten every hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db.models import F, Max, Min

from control.models.usage import PodUsage, WorkloadUsage, totals
from deployer.core.usage import (
    COARSE_KEPT_SECONDS,
    COARSE_SECONDS,
    FINE_KEPT_SECONDS,
    LONGEST_GAP_SECONDS,
    Row,
    Subject,
    Total,
    bucket_start,
    coarse,
    per_slot,
)

SETTLED_SECONDS = LONGEST_GAP_SECONDS + 60
"""A coarse row is made so long after its end: a row that reaches into it may be as long, and all have arrived then."""
_WORKLOAD = ("namespace", "owner", "revision")
_FIGURES = ("seconds", "pods", "cpu_millicores", "cpu_most_millicores", "memory_bytes", "memory_most_bytes")


def record(rows: Mapping[Subject, Row]) -> None:
    """One look at a node, in one statement. A row that is there already stays: of two who look, one records."""
    PodUsage.objects.bulk_create(
        [
            PodUsage(
                namespace=one.namespace, pod=one.pod, owner=one.owner, revision=one.revision, at=row.at,
                seconds=row.seconds, cpu_millicores=round(row.cpu_millicores, 3), memory_bytes=row.memory_bytes,
            )
            for one, row in rows.items()
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def roll_up(now: float) -> None:
    """Fine rows become coarse ones, and old rows go. Repeating it changes nothing; hours that were missed are made up.

    One short statement for each 5 minutes, so that nobody waits for it.
    """
    for start in _unrolled(now):
        _roll(start)
    # What reaches into a coarse row that may be made again stays, too.
    _forget(PodUsage, bucket_start(now - FINE_KEPT_SECONDS, COARSE_SECONDS) - LONGEST_GAP_SECONDS)
    _forget(WorkloadUsage, bucket_start(now - COARSE_KEPT_SECONDS, COARSE_SECONDS))


def _unrolled(now: float) -> Iterable[int]:
    """Starts of the coarse rows to be made: from the last one that there is (it is made again) to the last settled."""
    newest = WorkloadUsage.objects.aggregate(Max("at"))["at__max"]
    since = PodUsage.objects.all() if newest is None else PodUsage.objects.filter(at__gte=newest)
    oldest = since.aggregate(Min("at"))["at__min"]
    if oldest is None:
        return ()
    return range(
        bucket_start(oldest, COARSE_SECONDS), bucket_start(now - SETTLED_SECONDS, COARSE_SECONDS), COARSE_SECONDS
    )


def _forget(model: type[PodUsage] | type[WorkloadUsage], before: int) -> None:
    oldest = model.objects.filter(at__lt=before).aggregate(Min("at"))["at__min"]
    if oldest is not None:
        for start in range(bucket_start(oldest, COARSE_SECONDS), before, COARSE_SECONDS):
            model.objects.filter(at__lt=start + COARSE_SECONDS).delete()


def _roll(start: int) -> None:
    end = start + COARSE_SECONDS
    reaching = PodUsage.objects.filter(at__gt=start - LONGEST_GAP_SECONDS, at__lt=end)
    parts: dict[tuple[Any, ...], list[tuple[int, int, Total]]] = defaultdict(list)
    for workload, part in totals(reaching.alias(ends=F("at") + F("seconds")).filter(ends__gt=start), *_WORKLOAD):
        parts[workload].append(part)
    WorkloadUsage.objects.bulk_create(
        [_coarse_row(workload, start, *found) for workload, found in _within(parts, start)],
        update_conflicts=True,
        unique_fields=("namespace", "owner", "at", "revision"),
        update_fields=_FIGURES,
    )


def _within(
    parts: Mapping[tuple[Any, ...], list[tuple[int, int, Total]]], start: int
) -> Iterator[tuple[tuple[Any, ...], tuple[int, Total]]]:
    for workload, mine in parts.items():
        found = coarse(per_slot(mine)).get(start)
        if found is not None:
            yield workload, found


def _coarse_row(workload: tuple[Any, ...], start: int, seconds: int, total: Total) -> WorkloadUsage:
    namespace, owner, revision = workload
    return WorkloadUsage(
        namespace=namespace, owner=owner, revision=revision, at=start, seconds=seconds, pods=round(total.pods, 3),
        cpu_millicores=round(total.cpu_millicores, 3), cpu_most_millicores=round(total.cpu_most_millicores, 3),
        memory_bytes=total.memory_bytes, memory_most_bytes=total.memory_most_bytes,
    )  # fmt: skip
