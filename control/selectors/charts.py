"""Charts with axes, as the points of lines in a box of WIDE x HIGH, for an SVG that the server makes.

Labels stand beside the box in HTML, evenly spaced like the lines of the grid behind it: text in an SVG that is
stretched would be stretched too. Each chart comes with its figures as a table, for those who cannot see it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

WIDE, HIGH = 600, 160
ROWS = 12
"""Of the table: the newest, and others evenly spread before it."""
Point = tuple[float, float]
"""Seconds since the epoch, value."""
Words = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Scale:
    """Values at the lower and the upper edge, and what stands at each line of the grid, the uppermost first."""

    low: float
    high: float
    labels: tuple[str, ...]
    log: bool = False

    def y(self, value: float) -> float:
        """Downwards, within the box."""
        if self.log:
            low, high, value = math.log10(self.low), math.log10(self.high), math.log10(max(value, self.low))
        else:
            low, high = self.low, self.high
        part = (value - low) / (high - low)
        return HIGH - min(max(part, 0.0), 1.0) * HIGH


@dataclass(frozen=True, slots=True)
class Series:
    """`points` in the order of time. `band`: (low, high) at each of them. `look` names its colour.

    `is_limit`: a threshold, drawn dashed and left out of the table.
    """

    word: str
    look: str
    points: tuple[Point, ...]
    band: tuple[Point, ...] = ()
    is_limit: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """`parts`: polylines of "x,y x,y". `band`: polygons. `last`: the newest value in words."""

    word: str
    look: str
    parts: tuple[str, ...]
    bands: tuple[str, ...]
    last: str
    is_limit: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """`levels` and `times`: labels of the axes, from above and from the left. `grid`: heights of its lines.

    `sentence` says what there is to see; `head` and `rows` are the figures.
    """

    key: str
    title: str
    note: str
    curves: tuple[Curve, ...]
    levels: tuple[str, ...]
    grid: tuple[str, ...]
    times: tuple[str, ...]
    sentence: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """From when to when, and the longest gap that a line is drawn across; all in seconds. `age` tells a time."""

    since: float
    until: float
    gap: float
    age: Words

    def x(self, at: float) -> float:
        return (at - self.since) / max(self.until - self.since, 1.0) * WIDE


def chart(key: str, title: str, note: str, series: Sequence[Series], scale: Scale, words: Words, frame: Frame) -> Chart:
    curves = tuple(_curve(one, scale, words, frame) for one in series)
    told = "; ".join(f"{one.word} {one.last or 'not measured'}" for one in curves)
    steps = len(scale.labels) - 1
    plotted = [one for one in series if not one.is_limit]
    return Chart(
        key=key,
        title=title,
        note=note,
        curves=curves,
        levels=scale.labels,
        grid=tuple(f"{HIGH * step / steps:.1f}" for step in range(steps + 1)),
        times=tuple(frame.age(frame.since + (frame.until - frame.since) * part) for part in (0, 0.5, 1)),
        sentence=f"{title}. Now: {told}",
        head=("Since its begin", *(one.word for one in plotted)),
        rows=tuple(_rows(plotted, words, frame)),
    )


def linear(values: Iterable[float], words: Words, floor: float) -> Scale:
    """From 0 to a round number at or above the highest value, and never below `floor`: noise is no mountain."""
    top = _round_up(max([floor, *values]))
    return Scale(0.0, top, (words(top), words(top / 2), words(0.0)))


def logarithmic(values: Iterable[float], words: Words, low: float, high: float) -> Scale:
    """Whole decades around `low` and `high` and above the highest value; what is below the lowest lies on the edge."""
    bottom = math.floor(math.log10(low))
    top = math.ceil(math.log10(max([high, *values])) - 1e-9)
    step = max(1, math.ceil((top - bottom) / 6))
    top = bottom + step * math.ceil((top - bottom) / step)
    labels = tuple(words(10.0**power) for power in range(top, bottom - 1, -step))
    return Scale(10.0**bottom, 10.0**top, labels, log=True)


def _round_up(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    return next(decade * one for one in (1, 2, 3, 4, 5, 6, 8, 10) if decade * one >= value * (1 - 1e-9))


def _curve(one: Series, scale: Scale, words: Words, frame: Frame) -> Curve:
    runs = list(_runs(one, frame.gap))
    lines = tuple(" ".join(_spot(point, scale, frame) for point in _visible(run)) for run, _ in runs)
    bands = tuple(_polygon(run, band, scale, frame) for run, band in runs if len(band) > 1)
    return Curve(one.word, one.look, lines, bands, words(one.points[-1][1]) if one.points else "", one.is_limit)


def _runs(one: Series, gap: float) -> Iterable[tuple[list[Point], list[Point]]]:
    """Points and bands between gaps. A limit has none."""
    points: list[Point] = []
    bands: list[Point] = []
    for index, point in enumerate(one.points):
        if points and not one.is_limit and point[0] - points[-1][0] > gap:
            yield points, bands
            points, bands = [], []
        points.append(point)
        if one.band:
            bands.append(one.band[index])
    if points:
        yield points, bands


def _visible(run: Sequence[Point]) -> Sequence[Point]:
    """A single point as a short stroke."""
    return run if len(run) > 1 else [(run[0][0] - 1, run[0][1]), (run[0][0] + 1, run[0][1])]


def _polygon(run: Sequence[Point], band: Sequence[Point], scale: Scale, frame: Frame) -> str:
    """Along the upper edge, and back along the lower one."""
    above = [(at, high) for (at, _), (_, high) in zip(run, band, strict=True)]
    below = [(at, low) for (at, _), (low, _) in zip(run, band, strict=True)]
    return " ".join(_spot(point, scale, frame) for point in (*above, *reversed(below)))


def _spot(point: Point, scale: Scale, frame: Frame) -> str:
    return f"{frame.x(point[0]):.1f},{scale.y(point[1]):.1f}"


def _rows(series: Sequence[Series], words: Words, frame: Frame) -> Iterable[tuple[str, ...]]:
    times = sorted({at for one in series for at, _ in one.points}, reverse=True)
    step = max(1, math.ceil(len(times) / ROWS))
    values = [dict(one.points) for one in series]
    for at in times[::step]:
        yield (frame.age(at), *(words(one[at]) if at in one else "" for one in values))
