"""What a service answered: points of rate, errors and latency, by revision."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from control.models.measurements import Measurement
from deployer.core.network.measurements import (
    COARSE_SECONDS,
    FINE_SECONDS,
    Amount,
    Percentile,
    bucket_start,
    percentile,
)

FINE_SPAN_SECONDS = 6 * 3600
"""Up to so long a span is told in points of 15 s (1,440 at most), a longer one in points of 5 min (8,640 at most)."""


@dataclass(frozen=True, slots=True)
class TrafficPoint:
    """`seconds` from `at` on, of one revision through one port of the service.

    `rate`: requests (of TCP: connections) per second. `error_ratio`: 0 to 1. Percentiles are None without HTTP.
    """

    at: float
    seconds: float
    port: str
    revision: int
    amount: Amount

    @property
    def rate(self) -> float:
        return self.amount.requests / self.seconds

    @property
    def error_ratio(self) -> float:
        """A request that was tried again has more than one error: never more than all of them."""
        return min(1.0, self.amount.errors / self.amount.requests) if self.amount.requests else float(self.has_errors)

    @property
    def has_errors(self) -> bool:
        return self.amount.errors > 0

    @property
    def p50(self) -> Percentile | None:
        return percentile(self.amount.buckets, 0.50)

    @property
    def p95(self) -> Percentile | None:
        return percentile(self.amount.buckets, 0.95)

    @property
    def p99(self) -> Percentile | None:
        return percentile(self.amount.buckets, 0.99)


def service_traffic(namespace: str, name: str, since: float, until: float) -> list[TrafficPoint]:
    """Points of a service from `since` to before `until`, sorted by time, port and revision; two queries.

    A time without a point is one in which nothing was asked for. The first and the last point may reach beyond the
    span; the newest may still grow.
    """
    step = FINE_SECONDS if until - since <= FINE_SPAN_SECONDS else COARSE_SECONDS
    points: dict[tuple[int, str, int], Amount] = defaultdict(Amount)
    for row in _rows(namespace, name, since, until, step):
        key = (bucket_start(row.at, step), row.port, row.revision)
        points[key] += Amount(row.requests, row.errors, tuple(row.buckets))
    return [TrafficPoint(at, step, port, revision, amount) for (at, port, revision), amount in sorted(points.items())]


def recent_traffic(namespace: str, name: str, now: float, seconds: float = 300.0) -> list[TrafficPoint]:
    """One point for each port and revision: all of the last `seconds` that are whole rows."""
    until = bucket_start(now, FINE_SECONDS)
    since = until - int(seconds)
    sums: dict[tuple[str, int], Amount] = defaultdict(Amount)
    for point in service_traffic(namespace, name, since, until):
        sums[point.port, point.revision] += point.amount
    return [TrafficPoint(since, seconds, port, revision, amount) for (port, revision), amount in sorted(sums.items())]


def _rows(namespace: str, name: str, since: float, until: float, step: int) -> list[Measurement]:
    """Fine rows alone where the span is short; else coarse ones, and fine ones where those have not been made yet."""
    of_service = Measurement.objects.filter(namespace=namespace, service=name, at__lt=until)
    first = bucket_start(since, step)
    coarse = list(of_service.filter(resolution=COARSE_SECONDS, at__gte=first)) if step == COARSE_SECONDS else []
    made = max((row.at for row in coarse), default=first - COARSE_SECONDS) + COARSE_SECONDS if coarse else first
    return [*coarse, *of_service.filter(resolution=FINE_SECONDS, at__gte=made)]
