"""Metrics of an AnalysisTemplate from pass to pass: which are due, what was answered, and how they stand.

    History of each metric, answers of providers, what the routers counted -> History, ticks, how they stand

`metric_runs` has Argo Rollouts' rules. Here is what comes before them: of all measurements so far their phases are
kept, a letter each, and our own measurements wait for something to measure. A window in which nobody asked the canary
for anything, or in which no router could be read, is no measurement for PATIENCE_SECONDS, and then an inconclusive one:
nobody could say, and nobody is to blame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from deployer.core.canary.counting import Reading
from deployer.core.canary.judge_states import Tick
from deployer.core.canary.metric_runs import (
    MeasuredPhase,
    Measurement,
    RunStanding,
    effective_count,
    failed_to_measure,
    measured,
    standing,
)
from deployer.core.canary.traffic import Window, measure, slow_bucket
from deployer.core.canary.values import Metric, Prometheus, Traffic

SINGLE_SECONDS = 60.0
"""What a measurement of ours without an interval is of."""
PATIENCE_SECONDS = 300.0
MOST_KEPT = 2000
"""Successes of a metric without a count; those beyond decide nothing."""
_NEARLY = 0.9
"""Looks come a little early or late."""
_LETTERS: dict[str, MeasuredPhase] = {one[0]: one for one in get_args(MeasuredPhase)}


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a provider: a number or several, or (None) a sentence that says why there is none."""

    value: float | tuple[float, ...] | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """`phases`: the first letter of each measurement's, oldest first. The rest is of the last one."""

    phases: str = ""
    finished_at: float = 0.0
    message: str = ""


def standings(
    metrics: Sequence[Metric], histories: Mapping[str, History], began_at: float, now: float, *, ending: bool = False
) -> RunStanding:
    found = {name: _measurements(one) for name, one in histories.items()}
    return standing(metrics, found, began_at, now, ending=ending)


def questions(
    metrics: Sequence[Metric], histories: Mapping[str, History], began_at: float, now: float
) -> tuple[Metric, ...]:
    """Those whose providers are to be asked now."""
    due = standings(metrics, histories, began_at, now).due
    return tuple(one for one in metrics if one.name in due and isinstance(one.provider, Prometheus))


def opened(
    metrics: Sequence[Metric], windows: Mapping[str, Window], reading: Reading | None, began_at: float, now: float
) -> dict[str, Window]:
    """Each window with what was counted since the last look. Before the first measurement it is no longer than the
    metric's interval: what is in its `initial_delay_seconds` is not its business."""
    found = {}
    for one in metrics:
        if isinstance(one.provider, Traffic):
            begins_at = began_at + max(0.0, one.initial_delay_seconds - _seconds(one))
            window = windows.get(one.name)
            if window is None or window.since < begins_at <= now:
                window = Window(now)
            elif reading is not None:
                window = window + reading
            found[one.name] = window
    return found


def advanced(
    metrics: Sequence[Metric],
    histories: Mapping[str, History],
    windows: Mapping[str, Window],
    answers: Mapping[str, Answer],
    bucket: int | None,
    *,
    readable: bool,
    began_at: float,
    now: float,
) -> tuple[dict[str, History], dict[str, Window], tuple[Tick, ...]]:
    """What is due is measured. `bucket`: requests in a later one are slow; `readable`: routers could be read now."""
    due = standings(metrics, histories, began_at, now)
    fresh, left, ticks = dict(histories), dict(windows), []
    for one in (metric for metric in metrics if metric.name in due.due):
        window, due_at = windows.get(one.name), due.metrics[one.name].due_at or now
        if isinstance(one.provider, Traffic):
            assert window is not None, "it is opened before"
            found = _of_traffic(one, one.provider, window, bucket, readable=readable, due_at=due_at, now=now)
        else:
            found = _of_provider(one, answers.get(one.name), now)
        if found is not None:
            fresh[one.name] = _kept(one, histories.get(one.name, History()), found)
            ticks.append(_tick(one, found, window))
            left |= {one.name: Window(now)} if window is not None else {}
    return fresh, left, tuple(ticks)


def said(metrics: Sequence[Metric], histories: Mapping[str, History]) -> str:
    """While they are measured: "success-rate: 3 of 5 measured"."""
    return "; ".join(_said(one, histories.get(one.name, History())) for one in metrics)


def _said(metric: Metric, history: History) -> str:
    count, done = effective_count(metric), len(history.phases.replace("E", ""))
    words = f"{metric.name}: {done} of {count} measured" if count else f"{metric.name}: measured {done} times"
    return f"{words} ({history.message})" if history.message else words


def _of_traffic(
    metric: Metric, asked: Traffic, window: Window, bucket: int | None, *, readable: bool, due_at: float, now: float
) -> Measurement | None:
    """None: not yet. Whoever waits for requests has those of the whole time."""
    if now - window.since < _NEARLY * _seconds(metric):
        return None
    known = slow_bucket(window.stable) if bucket is None else bucket
    value = measure(asked, window, known, now) if readable else None
    if value is not None:
        return measured(metric, value, now)
    if now - max(due_at, window.since) < PATIENCE_SECONDS:
        return None
    why = "there was nothing to measure: no requests" if readable else "no router could be read"
    return Measurement(now, "Inconclusive", message=why)


def _of_provider(metric: Metric, answer: Answer | None, now: float) -> Measurement | None:
    """None: it was not asked. It became due only while others were."""
    if answer is None:
        return None
    if answer.failure or answer.value is None:
        return failed_to_measure(metric, answer.failure, now)
    return measured(metric, list(answer.value) if isinstance(answer.value, tuple) else answer.value, now)


def _seconds(metric: Metric) -> float:
    return metric.interval_seconds or SINGLE_SECONDS


def _kept(metric: Metric, before: History, found: Measurement) -> History:
    phases = before.phases + found.phase[0]
    if len(phases) > MOST_KEPT and not effective_count(metric):
        phases = phases.replace("S", "", 1)
    return History(phases, found.finished_at, found.message)


def _measurements(history: History) -> list[Measurement]:
    return [Measurement(history.finished_at, _LETTERS[one], message=history.message) for one in history.phases]


def _tick(metric: Metric, found: Measurement, window: Window | None) -> Tick:
    counts = (0, 0, 0, 0)
    if window is not None:
        counts = (window.canary.requests, window.canary.errors, window.stable.requests, window.stable.errors)
    return Tick(
        metric.name, found.finished_at, *counts, verdict=found.phase.lower(), message=found.message,
        value=_json(found.value),
    )  # fmt: skip


def _json(value: Any) -> Any:
    """As JSON has it: what is no number there is written as Prometheus does."""
    if isinstance(value, list):
        return [_json(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return value
