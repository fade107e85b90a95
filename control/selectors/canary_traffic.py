"""What the routers measured of a canary and of the stable pods beside it: its share, errors, latencies.

Out of the same rows as every plot of traffic (15 s each), by revision, since the canary began. How sure one can be:
Clopper-Pearson's interval for a share, ranks of the order statistic for a percentile; 95 % both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from control.models import Deployment, Service
from control.models.measurements import Measurement
from control.selectors.canary_words import Sides, count, percent, since_begin
from control.selectors.charts import Chart, Frame, Point, Series, chart, linear
from deployer.core.canary.bounds import upper_bound
from deployer.core.canary.values import Strategy
from deployer.core.network.measurements import BOUNDS_MS, FINE_SECONDS, Amount, Percentile, bucket_start, percentile

LONGEST_SECONDS = 6 * 3600
"""Of a canary that takes longer, so much is shown: 1,440 rows a side and Service."""
POINTS = 60
SURE, EDGE = 1.96, 0.975
"""Standard deviations of 95 %, and how sure each of two bounds is for both together to be."""
_NOTHING = Amount()
MINUTE = 60
_STEPS = (15, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the comparison: in words, with what it may well be in truth ("0.4 % to 1.1 %")."""

    word: str
    new: str
    new_range: str
    old: str
    old_range: str


@dataclass(frozen=True, slots=True)
class Measured:
    """`share` of the last minute ("" when nothing was asked for), of `minute` requests. `services` were counted."""

    services: tuple[str, ...]
    share: str
    basis_points: int
    minute: str
    rows: tuple[Compared, ...]
    charts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Of the new revision and of the old one, in the same time."""

    new: Amount = _NOTHING
    old: Amount = _NOTHING

    def __add__(self, other: Pair) -> Pair:
        return Pair(self.new + other.new, self.old + other.old)


def measured(
    row: Deployment, strategy: Strategy | None, revision: int, since: float, names: Sides, now: float
) -> Measured:
    """`revision`: the canary's; all others together are the stable side, for going back makes a revision a newer one.
    Two queries."""
    services = services_of(row, strategy)
    begin = bucket_start(max(since, now - LONGEST_SECONDS), FINE_SECONDS)
    points = _points(row.namespace, services, revision, begin, now)
    until = bucket_start(now, FINE_SECONDS)
    last = _sum(amount for at, amount in points.items() if until - MINUTE <= at < until)
    asked = last.new.requests + last.old.requests
    share = last.new.requests / asked if asked else 0.0
    whole = _sum(points.values())
    return Measured(
        services=tuple(services),
        share=percent(share) if asked else "",
        basis_points=round(share * 10_000),
        minute=f"{count(last.new.requests)} of {count(asked)} requests",
        rows=tuple(_compared(whole)) if whole.new.requests or whole.old.requests else (),
        charts=tuple(_charts(points, begin, now, names)) if whole.new.requests else (),
    )


def services_of(row: Deployment, strategy: Strategy | None) -> Sequence[str]:
    """Those whose requests are split: they select its pods, and are none for one side alone, whatever way they come."""
    labels = (((row.spec.get("template") or {}).get("metadata") or {}).get("labels")) or {}
    alone = {strategy.canary_service, "" if strategy.ingresses else strategy.stable_service} if strategy else set()
    found = Service.objects.filter(namespace=row.namespace, deleted_at=None).order_by("name").only("name", "spec")
    return [
        one.name for one in found
        if one.name not in alone and (selector := one.spec.get("selector")) and selector.items() <= labels.items()
    ]  # fmt: skip


def share_range(failures: int, requests: int) -> str:
    """0.4 % to 1.1 %."""
    if not requests:
        return ""
    low, high = interval(min(failures, requests), requests)
    return f"{percent(low)} to {percent(high)}"


def interval(failures: int, requests: int) -> tuple[float, float]:
    """Clopper and Pearson's: the true share is between the two, 95 % sure. 0 of 100: 0 and 0.0362."""
    low = 1.0 - upper_bound(requests - failures, requests, EDGE) if failures else 0.0
    return low, upper_bound(failures, requests, EDGE)


def _points(namespace: str, services: Sequence[str], new: int, since: float, now: float) -> dict[int, Pair]:
    """By time. All ports and services together."""
    asked = Measurement.objects.filter(
        resolution=FINE_SECONDS, namespace=namespace, service__in=services, revision__gt=0, at__gte=since,
        at__lt=now,
    )  # fmt: skip
    found: dict[int, Pair] = defaultdict(Pair)
    for at, revision, requests, errors, buckets in asked.order_by("at").values_list(
        "at", "revision", "requests", "errors", "buckets"
    ):
        amount = Amount(requests, errors, tuple(buckets))
        found[at] += Pair(new=amount) if revision == new else Pair(old=amount)
    return dict(found)


def _sum(pairs: Iterable[Pair]) -> Pair:
    found = Pair()
    for one in pairs:
        found += one
    return found


def _compared(whole: Pair) -> Iterable[Compared]:
    new, old = whole.new, whole.old
    yield Compared("Requests", count(new.requests), "", count(old.requests), "")
    yield Compared(
        "Errors", _errors(new), share_range(new.errors, new.requests), _errors(old),
        share_range(old.errors, old.requests),
    )  # fmt: skip
    if sum(new.buckets) and sum(old.buckets):
        for word, share in (("Latency, p50", 0.5), ("Latency, p95", 0.95)):
            yield Compared(word, _latency(new, share), _between(new, share), _latency(old, share), _between(old, share))


def _errors(amount: Amount) -> str:
    """A request that was tried again may have more than one error."""
    return percent(min(1.0, amount.errors / amount.requests)) if amount.requests else "none"


def _latency(amount: Amount, share: float) -> str:
    found = percentile(amount.buckets, share)
    return milliseconds(_milliseconds(found)) if found else "none"


def _between(amount: Amount, share: float) -> str:
    """Ranks between which the percentile lies in truth, by the normal approximation to the binomial."""
    answers = sum(amount.buckets)
    if not answers:
        return ""
    half = SURE * math.sqrt(share * (1 - share) / answers)
    low, high = percentile(amount.buckets, max(share - half, 0.0)), percentile(amount.buckets, min(share + half, 1.0))
    assert low and high
    least, most = milliseconds(_milliseconds(low)), milliseconds(_milliseconds(high))
    return f"{least} to {most}" if least != most else ""


def milliseconds(value: float) -> str:
    if value >= BOUNDS_MS[-2]:
        return "over 16 s"
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms"


def _milliseconds(found: Percentile) -> float:
    return BOUNDS_MS[-2] if found.estimate_ms is None else found.estimate_ms


def _charts(points: Mapping[int, Pair], since: int, now: float, names: Sides) -> Iterable[Chart]:
    step = next((one for one in _STEPS if (now - since) / one <= POINTS), _STEPS[-1])
    merged: dict[int, Pair] = defaultdict(Pair)
    for at, pair in points.items():
        merged[since + (at - since) // step * step] += pair
    frame = Frame(since, bucket_start(now, FINE_SECONDS), 2.5 * step, since_begin(since))
    yield _errors_chart(merged, frame, names)
    for key, title, share in (("p50", "Latency, p50", 0.5), ("p95", "Latency, p95", 0.95)):
        lines = {
            word: tuple(_percentiles(merged, share, new=new)) for word, new in ((names.new, True), (names.old, False))
        }
        if lines[names.new]:
            series = [Series(word, look, lines[word]) for word, look in ((names.new, "canary"), (names.old, "stable"))]
            scale = linear((value for line in lines.values() for _, value in line), milliseconds, 10.0)
            yield chart(key, title, f"of every {step} s" if step < 60 else f"of every {step // 60} min", series, scale,
                        milliseconds, frame)  # fmt: skip


def _errors_chart(merged: Mapping[int, Pair], frame: Frame, names: Sides) -> Chart:
    """Of all requests so far: the band around the canary's line narrows as it gets more of them."""
    sum_of, series = Pair(), []
    new: list[tuple[Point, Point]] = []
    old: list[Point] = []
    for at in sorted(merged):
        sum_of += merged[at]
        if sum_of.new.requests:
            share = min(1.0, sum_of.new.errors / sum_of.new.requests)
            new.append(((at, share), interval(min(sum_of.new.errors, sum_of.new.requests), sum_of.new.requests)))
        if sum_of.old.requests:
            old.append((at, min(1.0, sum_of.old.errors / sum_of.old.requests)))
    series = [
        Series(names.new, "canary", tuple(point for point, _ in new), tuple(band for _, band in new)),
        Series(names.old, "stable", tuple(old)),
    ]
    seen = [*(value for (_, value), _ in new), *(value for _, value in old), *(high for _, (_, high) in new[-3:])]
    return chart(
        "errors", "Errors so far", f"the band: 95 % sure that the {names.new} is in it", series,
        linear(seen, percent, 0.01), percent, frame,
    )  # fmt: skip


def _percentiles(merged: Mapping[int, Pair], share: float, *, new: bool) -> Iterable[Point]:
    for at in sorted(merged):
        found = percentile((merged[at].new if new else merged[at].old).buckets, share)
        if found:
            yield at, _milliseconds(found)
