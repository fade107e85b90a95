"""What routers count, as rows: added up every 15 seconds, rolled up and forgotten every hour.

The counters of the last look are kept in memory, by process. After a start the first look at a node only tells where
counting begins, so a restart of the watch process costs at most what happened meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Max, Min, Q

from control.models import Node, Pod
from control.models.measurements import Look, Measurement
from deployer.core.network.measurements import (
    COARSE_KEPT_SECONDS,
    COARSE_SECONDS,
    FINE_KEPT_SECONDS,
    FINE_SECONDS,
    Amount,
    Counters,
    Series,
    added,
    amounts,
    bucket_start,
    read_counters,
    total,
)
from deployer.core.network.server_names import pod_key

SETTLED_SECONDS = 60
"""A coarse row is made so long after its end: all that is late has arrived."""
_KEY = ("resolution", "namespace", "service", "at", "port", "revision")


@dataclass(slots=True)
class Recorder:
    """What this process saw last: of each node's router, and which revision each server's pod was of."""

    _seen: dict[str, tuple[float, Counters]] = field(default_factory=dict)
    _revisions: dict[str, dict[str, int]] = field(default_factory=dict)

    def record(self, node_uid: str, at: float, stat_text: str, table_text: str) -> int:
        """Adds what a router counted since the last look; how many rows were written. To be called every 15 s.

        `stat_text` and `table_text`: `show stat` and `show table table.latency`. One read of pods and one short
        transaction of three statements; neither when nothing was counted.
        """
        current = read_counters(stat_text, table_text)
        last_at, previous = self._seen.get(node_uid, (None, None))
        self._seen[node_uid] = (at, current)
        if previous is None or last_at is None:
            return 0
        fresh = added(previous, current)
        if not fresh.servers and not fresh.latencies:
            return 0
        pods = {pod_key(server) for _, server in current.servers}
        found = amounts(fresh, self._revisions_of(node_uid, pods))
        # What was counted between two looks belongs to the middle between them.
        return _add(node_uid, bucket_start((last_at + at) / 2, FINE_SECONDS), found)

    def forget(self, node_uid: str) -> None:
        """A node that is gone."""
        self._seen.pop(node_uid, None)
        self._revisions.pop(node_uid, None)

    def _revisions_of(self, node_uid: str, servers: set[str]) -> Mapping[str, int]:
        """By pod key. A pod whose row has gone is still known from the look before."""
        before = self._revisions.get(node_uid, {})
        known = {name: before[name] for name in servers & before.keys()}
        namespaces, names = {one.partition(".")[0] for one in servers}, {one.partition(".")[2] for one in servers}
        pods = Pod.objects.filter(namespace__in=namespaces, name__in=names).values_list("namespace", "name", "revision")
        known.update({f"{namespace}.{name}": revision for namespace, name, revision in pods})
        self._revisions[node_uid] = known
        return known


_recorder = Recorder()
record = _recorder.record
forget = _recorder.forget


def roll_up(now: float) -> None:
    """Fine rows become coarse ones, and old rows go. Repeating it changes nothing; hours that were missed are made up.

    One short transaction for each 5 minutes, so that nobody waits for it.
    """
    for start in _unrolled(now):
        _roll(start)
    # Whole coarse rows at a time: one that is made again must find all of its fine rows, or none.
    before = bucket_start(now - FINE_KEPT_SECONDS, COARSE_SECONDS)
    Measurement.objects.filter(resolution=FINE_SECONDS, at__lt=before).delete()
    Measurement.objects.filter(resolution=COARSE_SECONDS, at__lt=now - COARSE_KEPT_SECONDS).delete()
    Look.objects.exclude(node__in=Node.objects.values("uid")).delete()


def _unrolled(now: float) -> Iterable[int]:
    """Starts of the coarse rows to be made: from the last one that there is (it is made again) to the last settled."""
    newest = Measurement.objects.filter(resolution=COARSE_SECONDS).aggregate(Max("at"))["at__max"]
    since = Measurement.objects.filter(resolution=FINE_SECONDS)
    oldest = (since if newest is None else since.filter(at__gte=newest)).aggregate(Min("at"))["at__min"]
    if oldest is None:
        return ()
    end = bucket_start(now - SETTLED_SECONDS, COARSE_SECONDS)
    return range(bucket_start(oldest, COARSE_SECONDS), end, COARSE_SECONDS)


def _roll(start: int) -> None:
    with transaction.atomic():
        within = Q(resolution=FINE_SECONDS, at__gte=start, at__lt=start + COARSE_SECONDS)
        rows = total((_series(row), _amount(row)) for row in Measurement.objects.filter(within))
        _write(COARSE_SECONDS, start, rows)


def _add(node_uid: str, at: int, found: Mapping[Series, Amount]) -> int:
    """Transactions come one after the other (SQLite's IMMEDIATE, PostgreSQL's lock): reading before writing is safe."""
    with transaction.atomic():
        if not found or not _is_first(node_uid, at):
            return 0
        services, namespaces = {one.service for one in found}, {one.namespace for one in found}
        there = Measurement.objects.filter(
            resolution=FINE_SECONDS, at=at, namespace__in=namespaces, service__in=services
        )
        before = {series: amount for row in there if (series := _series(row)) in found and (amount := _amount(row))}
        _write(FINE_SECONDS, at, total([*found.items(), *before.items()]))
    return len(found)


def _is_first(node_uid: str, at: int) -> bool:
    """Whether nobody else recorded this node's 15 seconds: two watch processes count nothing twice."""
    if Look.objects.filter(node=node_uid, at__lt=at).update(at=at):
        return True
    return Look.objects.get_or_create(node=node_uid, defaults={"at": at})[1]


def _write(resolution: int, at: int, rows: Mapping[Series, Amount]) -> None:
    Measurement.objects.bulk_create(
        [
            Measurement(
                resolution=resolution, at=at, namespace=one.namespace, service=one.service, port=one.port,
                revision=one.revision, requests=amount.requests, errors=amount.errors, buckets=list(amount.buckets),
            )
            for one, amount in rows.items()
        ],
        update_conflicts=True,
        unique_fields=_KEY,
        update_fields=("requests", "errors", "buckets"),
    )  # fmt: skip


def _series(row: Measurement) -> Series:
    return Series(row.namespace, row.service, row.port, row.revision)


def _amount(row: Measurement) -> Amount:
    return Amount(row.requests, row.errors, tuple(row.buckets))
