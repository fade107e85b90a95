"""Plots, as the points of lines in a box of WIDE x HIGH, for an SVG that the server makes. No script draws anything.

    points in time -> one value a minute and line -> scaled to the highest -> "x,y x,y"

A minute in which nothing was measured breaks a line rather than drawing one through it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from control.selectors.measurements import service_traffic
from deployer.core.network.measurements import BOUNDS_MS, Amount, percentile

SPAN_SECONDS, STEP_SECONDS = 3600, 60
WIDE, HIGH = 300, 80
SERVICES = 3
LINES = 4
"""Of as many revisions; the newest."""


@dataclass(frozen=True, slots=True)
class Line:
    """`parts`: polylines of "x,y x,y", y downwards. `last`: the newest value in words, "" when it is not of now."""

    word: str
    parts: tuple[str, ...]
    last: str


@dataclass(frozen=True, slots=True)
class Plot:
    """`top`: the value at the upper edge. `sentence` says for those who cannot see it what there is to see."""

    key: str
    title: str
    top: str
    lines: tuple[Line, ...]
    sentence: str


Values = Mapping[str, Mapping[int, float]]
"""Word of a line -> index of the minute -> value."""
Words = Callable[[float], str]


def plot(key: str, title: str, values: Values, words: Words, floor: float = 0.0) -> Plot:
    """`floor`: the upper edge is never below it, so that noise does not look like a mountain."""
    top = max([floor, *(value for line in values.values() for value in line.values())])
    lines = tuple(
        Line(word, tuple(_parts(line, top)), words(line[max(line)]) if line and max(line) >= _minutes() - 2 else "")
        for word, line in values.items()
    )
    told = "; ".join(f"{one.word} {one.last or 'nothing now'}" for one in lines) or "none"
    return Plot(key, title, words(top), lines, f"{title} over the last hour, at most {words(top)}. Now: {told}")


def traffic_plots(namespace: str, services: Sequence[str], now: float) -> Iterable[Plot]:
    """Requests, errors and latency of the last hour by revision; nothing when nothing was asked for."""
    since, until = span(now)
    sums: dict[int, dict[int, Amount]] = defaultdict(lambda: defaultdict(Amount))
    for service in services[:SERVICES]:
        for point in service_traffic(namespace, service, since, until):
            minute = minute_of(point.at, since)
            if minute is not None:
                sums[point.revision][minute] += point.amount
    if sums:
        yield from _of_traffic({revision: sums[revision] for revision in sorted(sums)[-LINES:]})


def _of_traffic(sums: Mapping[int, Mapping[int, Amount]]) -> Iterable[Plot]:
    yield plot("requests", "Requests", _each(sums, _rate), lambda value: f"{value:.1f}/s", 1.0)
    yield plot("errors", "Errors", _each(sums, _errors), lambda value: f"{value:.1f} %", 1.0)
    latency = _each(sums, _slow)
    if any(latency.values()):
        yield plot("latency", "Latency, 95th percentile", latency, _milliseconds, 10.0)


def _each(sums: Mapping[int, Mapping[int, Amount]], value: Callable[[Amount], float | None]) -> Values:
    return {
        revision_words(revision): {
            minute: found for minute, amount in minutes.items() if (found := value(amount)) is not None
        }
        for revision, minutes in sums.items()
    }


def _rate(amount: Amount) -> float:
    return amount.requests / STEP_SECONDS


def _errors(amount: Amount) -> float | None:
    return min(100.0, 100 * amount.errors / amount.requests) if amount.requests else None


def _slow(amount: Amount) -> float | None:
    found = percentile(amount.buckets, 0.95)
    if found is None:
        return None
    return BOUNDS_MS[-2] if found.estimate_ms is None else found.estimate_ms


def _milliseconds(value: float) -> str:
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def span(now: float) -> tuple[int, int]:
    """The hour that is plotted, in whole minutes, the one that goes on included."""
    until = int(now // STEP_SECONDS + 1) * STEP_SECONDS
    return until - SPAN_SECONDS, until


def minute_of(at: float, since: float) -> int | None:
    """None beyond the edges."""
    minute = int(at - since) // STEP_SECONDS
    return minute if 0 <= minute < _minutes() else None


def revision_words(revision: int) -> str:
    return f"revision {revision}" if revision else "pods of no workload"


def _minutes() -> int:
    return SPAN_SECONDS // STEP_SECONDS


def _parts(line: Mapping[int, float], top: float) -> Iterable[str]:
    """Runs of minutes without a gap; a single one is drawn as a short stroke."""
    run: list[str] = []
    for minute in range(_minutes() + 1):
        if minute in line:
            x, y = minute * WIDE / (_minutes() - 1), HIGH - line[minute] / top * HIGH
            run.append(f"{x:.1f},{y:.1f}")
        elif run:
            yield " ".join(run if len(run) > 1 else [*run, _stroke(run[0])])
            run = []


def _stroke(point: str) -> str:
    x, _, y = point.partition(",")
    return f"{float(x) + 2:.1f},{y}"
