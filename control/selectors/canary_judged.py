"""What Pierhead's own judge has found of a canary so far: counts, the evidence against its threshold, what is missing.

    ticks -> a line for each metric (counts, ranges, what is still needed) and two charts

The first chart is why a canary would be aborted: the evidence that it is worse, which has to stay below the threshold.
The second is why it may go on: the share that its errors do not exceed, 95 % sure, which has to fall below the bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from control.models import AnalysisRun, AnalysisTick
from control.selectors.canary_rows import Counted
from control.selectors.canary_traffic import share_range
from control.selectors.canary_words import (
    METRICS,
    Sides,
    about,
    count,
    evidence,
    number,
    percent,
    since_begin,
    span,
    state_of_run,
)
from control.selectors.charts import Chart, Frame, Point, Series, chart, linear, logarithmic
from control.selectors.words import Moment, State, sentence
from deployer.core.canary.values import ENDED, Judge

TICKS = 1_500
"""Of the plots: at two metrics and a look every 10 s, the newest two hours."""
LOWEST = 0.01
"""Evidence below this is drawn at the edge: the canary looks better than the stable pods."""
_LOOKS = {"errors": "canary", "slow": "second"}


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """One metric. `said`: the last look's sentence. `needs`: "about 340 more requests", "" when that says it.
    `is_warm`: the counts are of the warm-up."""

    word: str
    new: str
    new_share: str
    new_range: str
    old: str
    old_share: str
    evidence: str
    threshold: str
    is_warm: bool
    upper: str
    bound: str
    needs: str
    said: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One run of the judge. `rules`: what it goes by, in words. `looks`: how often it has looked.

    `message`: its sentence, "" when the lines say it.
    """

    key: str
    title: str
    state: State
    message: str
    begun: Moment
    ended: Moment
    looks: int
    lines: tuple[JudgedLine, ...]
    charts: tuple[Chart, ...]
    rules: tuple[str, ...]


def judged(
    run: AnalysisRun, judge: Judge, seen: Mapping[str, Counted], ticks: Sequence[AnalysisTick], title: str,
    names: Sides, now: float,
) -> Judged:  # fmt: skip
    """`seen`: of its metrics. `ticks`: of this run, in the order of time."""
    mine = {metric: seen[metric] for metric in judge.metrics if metric in seen}
    lines = tuple(_line(metric, one) for metric, one in mine.items())
    told = run.phase not in ENDED or any(line.said == sentence(run.message) for line in lines)
    return Judged(
        key=run.name,
        title=title,
        state=state_of_run(run.phase),
        message="" if lines and told else sentence(run.message),
        begun=Moment(run.started_at, now),
        ended=Moment(run.finished_at, now),
        looks=max((one.looks for one in mine.values()), default=0),
        lines=lines,
        charts=tuple(_charts(run, judge, [one for one in ticks if one.metric in mine], names)),
        rules=tuple(_rules(judge, names)),
    )


def ticks_of(runs: Iterable[str]) -> dict[str, list[AnalysisTick]]:
    """Run uid -> its newest ticks in the order of time; all together at most TICKS. One query."""
    found: dict[str, list[AnalysisTick]] = {}
    newest = AnalysisTick.objects.filter(run__in=list(runs)).order_by("-at")[:TICKS]
    for one in reversed(list(newest)):
        found.setdefault(one.run_id, []).append(one)
    return found


def evidence_words(seen: Mapping[str, Counted]) -> str:
    """errors 3.2 of 200: of the metric that is nearest to its threshold; "" before the first look."""
    found = [
        (one.last.evidence / one.last.threshold, metric, one.last)
        for metric in METRICS
        if (one := seen.get(metric)) and one.last.evidence is not None and one.last.threshold
    ]
    if not found:
        return ""
    _, metric, tick = max(found, key=lambda one: one[0])
    return f"{METRICS[metric].lower()} {evidence(tick.evidence or 0)} of {evidence(tick.threshold or 0)}"


def _line(metric: str, one: Counted) -> JudgedLine:
    last = one.last
    return JudgedLine(
        word=METRICS[metric],
        new=f"{count(one.canary_failures)} of {count(one.canary_requests)}",
        new_share=_share(one.canary_failures, one.canary_requests),
        new_range=share_range(one.canary_failures, one.canary_requests),
        old=f"{count(one.stable_failures)} of {count(one.stable_requests)}",
        old_share=_share(one.stable_failures, one.stable_requests),
        evidence="" if last.evidence is None else evidence(last.evidence),
        threshold="" if last.threshold is None else evidence(last.threshold),
        is_warm=one.is_warm,
        upper="" if last.upper is None else percent(last.upper),
        bound="" if last.bound is None else percent(last.bound),
        needs=f"{about(last.missing)} more requests" if last.missing and "more requests" not in last.message else "",
        said=sentence(last.message),
    )


def _share(failures: int, requests: int) -> str:
    return percent(min(1.0, failures / requests)) if requests else ""


def _charts(run: AnalysisRun, judge: Judge, ticks: Sequence[AnalysisTick], names: Sides) -> Iterable[Chart]:
    if not ticks:
        return
    begin, until = run.started_at, max(ticks[-1].at, run.started_at + judge.interval_seconds)
    frame = Frame(begin, until, 6 * judge.interval_seconds, since_begin(begin))
    if found := _lines(judge, ticks, "evidence"):
        limits = [tick.threshold for tick in ticks if tick.threshold]
        yield _evidence(run.name, found, limits, frame, names)
    if found := _lines(judge, ticks, "upper"):
        yield _bounds(run.name, found, ticks, frame, names)


def _lines(judge: Judge, ticks: Sequence[AnalysisTick], field: str) -> dict[str, tuple[Point, ...]]:
    """By metric, in the judge's order; those that were measured."""
    found: dict[str, list[Point]] = {metric: [] for metric in judge.metrics}
    for one in ticks:
        if (value := getattr(one, field)) is not None:
            found[one.metric].append((one.at, value))
    return {metric: tuple(points) for metric, points in found.items() if points}


def _evidence(
    key: str, lines: Mapping[str, tuple[Point, ...]], limits: Sequence[float], frame: Frame, names: Sides
) -> Chart:
    series = [Series(METRICS[metric], _LOOKS[metric], points) for metric, points in lines.items()]
    if limits:
        series.append(_limit("abort above", limits[-1], frame))
    scale = logarithmic(
        (value for points in lines.values() for _, value in points), evidence, LOWEST, limits[-1] if limits else 100.0
    )
    note = f"1: as likely as not; at the threshold the {names.new} is aborted"
    return chart(f"evidence-{key}", f"Evidence that the {names.new} is worse", note, series, scale, evidence, frame)


def _bounds(
    key: str, lines: Mapping[str, tuple[Point, ...]], ticks: Sequence[AnalysisTick], frame: Frame, names: Sides
) -> Chart:
    series, values = [], []
    for metric, points in lines.items():
        series.append(Series(METRICS[metric], _LOOKS[metric], points))
        limit = tuple((one.at, one.bound) for one in ticks if one.metric == metric and one.bound is not None)
        if limit:
            series.append(
                Series(f"{METRICS[metric].lower()} have to be below", f"{_LOOKS[metric]}-limit", limit, (), True)
            )
        values += [value for _, value in (*points[-len(points) // 2 or -1 :], *limit)]
    note = "95 % sure; below the bound it may go on"
    return chart(
        f"bound-{key}", f"What the {names.new}'s share does not exceed", note, series,
        linear(values, percent, 0.01), percent, frame,
    )  # fmt: skip


def _limit(word: str, value: float, frame: Frame) -> Series:
    return Series(word, "limit", ((frame.since, value), (frame.until, value)), (), is_limit=True)


def _rules(judge: Judge, names: Sides) -> Iterable[str]:
    """What it goes by, for people who want to know why."""
    yield f"It looks every {span(judge.interval_seconds)}; the first {span(judge.warmup_seconds)} count as warm-up."
    yield (
        f"It aborts when the evidence is above the threshold and the {names.new} is worse by "
        f"{_points(judge.min_effect)} or more; of 100 healthy ones that would hit at most {number(100 * judge.alpha)}."
    )
    yield (
        f"It goes on after {span(judge.min_seconds)} when the {names.new} is, 95 % sure, less than "
        f"{_points(judge.margin)} worse than the {names.old} pods (of slow requests: {_points(judge.slow_margin)})."
    )
    for word, limit in (("errors", judge.error_limit), ("slow requests", judge.slow_limit)):
        if limit is not None:
            yield f"Below {percent(limit)} {word} it is good enough, however well the {names.old} pods do."
    yield (
        f"More than {percent(judge.guard_share)} errors over {judge.guard_requests} requests or more abort it at once."
    )
    yield (
        f"Without a verdict after {span(judge.max_seconds)}: {judge.on_inconclusive}. Without traffic: "
        f"{judge.on_no_traffic}."
    )


def _points(share: float) -> str:
    """0.002 -> 0.2 percentage points."""
    return f"{number(100 * share)} percentage point{'' if share == 0.01 else 's'}"
