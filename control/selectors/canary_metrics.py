"""Metrics of AnalysisTemplates, as a canary's analyses measure them: each value, when it came and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from control.models import AnalysisRun, AnalysisTick
from control.selectors.canary_words import number, provider_words, span, state_of_run
from control.selectors.words import Moment, State, sentence
from deployer.core.canary.values import Analysis, Metric

SHOWN = 20
"""Measurements of one metric; the newest."""


@dataclass(frozen=True, slots=True)
class Measurement:
    value: str
    state: State
    at: Moment
    message: str


@dataclass(frozen=True, slots=True)
class MetricLine:
    """`conditions`: (what for, expression). `counts`: how many ended how, those that there are."""

    name: str
    source: str
    plan: str
    conditions: tuple[tuple[str, str], ...]
    counts: tuple[tuple[State, int], ...]
    measurements: tuple[Measurement, ...]
    more: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class MetricRun:
    """One analysis of metrics; `templates` are whose they are."""

    key: str
    title: str
    state: State
    message: str
    begun: Moment
    ended: Moment
    templates: tuple[str, ...]
    metrics: tuple[MetricLine, ...]


def metric_run(
    run: AnalysisRun, analysis: Analysis, ticks: Sequence[AnalysisTick], title: str, now: float
) -> MetricRun:
    """`ticks`: of this run, in the order of time."""
    return MetricRun(
        key=run.name,
        title=title,
        state=state_of_run(run.phase),
        message=sentence(run.message),
        begun=Moment(run.started_at, now),
        ended=Moment(run.finished_at, now),
        templates=tuple(map(sentence, analysis.templates)),
        metrics=tuple(_line(one, [tick for tick in ticks if tick.metric == one.name], now) for one in analysis.metrics),
    )


def value_words(value: Any) -> str:
    """What a provider answered: a number, a list of them, true, or nothing."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return "[" + ", ".join(map(value_words, value)) + "]"
    return number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else sentence(str(value))


def _line(metric: Metric, ticks: Sequence[AnalysisTick], now: float) -> MetricLine:
    counts = Counter(tick.verdict for tick in ticks if tick.verdict)
    newest = list(reversed(ticks))[:SHOWN]
    return MetricLine(
        name=sentence(metric.name),
        source=provider_words(metric),
        plan=_plan(metric),
        conditions=tuple(_conditions(metric)),
        counts=tuple((state_of_run(phase), many) for phase, many in sorted(counts.items())),
        measurements=tuple(
            Measurement(
                value_words(tick.value), state_of_run(tick.verdict), Moment(tick.at, now), sentence(tick.message)
            )
            for tick in newest
        ),
        more=max(len(ticks) - SHOWN, 0),
        dry_run=metric.dry_run,
    )


def _conditions(metric: Metric) -> Iterable[tuple[str, str]]:
    if metric.success_condition:
        yield "success", sentence(metric.success_condition)
    if metric.failure_condition:
        yield "failure", sentence(metric.failure_condition)


def _plan(metric: Metric) -> str:
    """How often it is measured, and how many failures are too many."""
    if metric.count == 1 or not (metric.interval_seconds or metric.count):
        often = "once"
    elif metric.count:
        often = f"{metric.count} times, every {span(metric.interval_seconds)}"
    else:
        often = f"every {span(metric.interval_seconds)} until the analysis ends"
    limit = "any number of failures" if metric.failure_limit < 0 else f"failureLimit {metric.failure_limit}"
    return f"{often}, {limit}"
