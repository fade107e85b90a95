"""One run of an analysis by metrics, as Argo Rollouts has it: when to measure next, and how it stands.

    measurements so far, now -> phase of each metric, phase of the run, which metrics are due, when to come back

A metric is measured after `initial_delay_seconds`, then every interval, until `count` measurements (without an interval
once, with one and no count until the run is ended). An error of a measurement counts for no measurement and is tried
again after 10 seconds. A metric ends as soon as one of its limits is exceeded; then the run ends as well, and the worst
phase of its metrics is its own. A metric with `dry_run` is measured and said, and decides nothing.

One thing differs from Argo Rollouts, where a metric that was never measured is Successful when the run ends: here it is
Inconclusive. Nobody looked, so nobody can say. Errors alone are no measurement either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from deployer.core.canary.expression_values import ExpressionError
from deployer.core.canary.expressions import evaluate
from deployer.core.canary.values import ENDED, Metric, RunPhase

MeasuredPhase = Literal["Successful", "Failed", "Inconclusive", "Error"]
ERROR_RETRY_SECONDS = 10.0
_WORST_FIRST: tuple[RunPhase, ...] = ("Failed", "Error", "Inconclusive", "Successful")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One answer. `value` as the provider gave it (JSON), `finished_at` in seconds since the epoch."""

    finished_at: float
    phase: MeasuredPhase
    value: Any = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one metric stands. `due_at`: when to measure it next, None when it is not to be measured again."""

    phase: RunPhase
    message: str = ""
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class RunStanding:
    """`due`: metrics to be measured now, by name, in the order of the analysis. `wake_at`: when the next one is due."""

    phase: RunPhase
    message: str
    metrics: Mapping[str, Standing]
    due: tuple[str, ...] = ()
    wake_at: float | None = None


def measured(metric: Metric, value: Any, at: float) -> Measurement:
    """A provider's answer under the metric's conditions. A condition that cannot be evaluated is an error.

    Neither condition: successful. One: its contrary is the other. Both: a failure wins; neither met: inconclusive.
    """
    try:
        success = evaluate(metric.success_condition, value) if metric.success_condition else None
        failure = evaluate(metric.failure_condition, value) if metric.failure_condition else None
    except ExpressionError as error:
        return Measurement(at, "Error", value, f"metric {metric.name}: {error}")
    if failure is None and success is None:
        return Measurement(at, "Successful", value)
    if failure or (failure is None and not success):
        return Measurement(at, "Failed", value)
    return Measurement(at, "Successful" if success or success is None else "Inconclusive", value)


def failed_to_measure(metric: Metric, why: str, at: float) -> Measurement:
    """The provider gave no answer."""
    return Measurement(at, "Error", message=f"metric {metric.name}: {why}")


def standing(
    metrics: Sequence[Metric],
    measurements: Mapping[str, Sequence[Measurement]],
    started_at: float,
    now: float,
    *,
    ending: bool = False,
) -> RunStanding:
    """`measurements`: by metric, oldest first, all of them. `ending`: the run is to end (the steps are over, or a
    person said so): nothing is measured any more.
    """
    found = {one.name: _metric(one, measurements.get(one.name, ()), started_at) for one in metrics}
    decisive = [one for one in metrics if not one.dry_run]
    if ending or any(found[one.name].phase in ("Failed", "Error", "Inconclusive") for one in decisive):
        found = {one.name: _stopped(found[one.name], measurements.get(one.name, ())) for one in metrics}
        phase, message = _worst(metrics, found, measurements)
        return RunStanding(phase, message, found)
    if metrics and all(one.phase in ENDED for one in found.values()):
        phase, message = _worst(metrics, found, measurements)
        return RunStanding(phase, message, found)
    times = {name: one.due_at for name, one in found.items() if one.due_at is not None}
    due = tuple(name for name, at in times.items() if at <= now)
    return RunStanding("Running", "", found, due, min(times.values(), default=None))


def effective_count(metric: Metric) -> int:
    """How many measurements; 0: until the run ends. Without an interval and a count it is one."""
    return metric.count or (0 if metric.interval_seconds else 1)


def _metric(metric: Metric, measurements: Sequence[Measurement], started_at: float) -> Standing:
    if not measurements:
        return Standing("Pending", due_at=started_at + metric.initial_delay_seconds)
    counted = [one for one in measurements if one.phase != "Error"]
    if exceeded := _exceeded(metric, measurements):
        return exceeded
    if 0 < metric.consecutive_success_limit <= _in_a_row(measurements, "Successful"):
        return Standing("Successful", f"{metric.consecutive_success_limit} successes in a row")
    if (count := effective_count(metric)) and len(counted) >= count:
        return _completed(metric, len(counted))
    again = ERROR_RETRY_SECONDS if measurements[-1].phase == "Error" else metric.interval_seconds or ERROR_RETRY_SECONDS
    return Standing("Running", due_at=measurements[-1].finished_at + again)


def _exceeded(metric: Metric, measurements: Sequence[Measurement]) -> Standing | None:
    """Of several limits errors are said first, then what is inconclusive, then failures: Argo's order."""
    failed = sum(one.phase == "Failed" for one in measurements)
    unclear = sum(one.phase == "Inconclusive" for one in measurements)
    errors = _in_a_row(measurements, "Error")
    if errors > metric.consecutive_error_limit:
        why = f"{errors} errors in a row, beyond consecutiveErrorLimit {metric.consecutive_error_limit}"
        return Standing("Error", f"{why}: {measurements[-1].message}".removesuffix(": "))
    if unclear > metric.inconclusive_limit:
        return Standing("Inconclusive", f"{unclear} inconclusive, beyond inconclusiveLimit {metric.inconclusive_limit}")
    if 0 <= metric.failure_limit < failed:
        return Standing("Failed", f"{failed} failed, beyond failureLimit {metric.failure_limit}")
    return None


def _completed(metric: Metric, count: int) -> Standing:
    """All measurements are there, and no limit was exceeded. Successes in a row that were asked for and did not come
    are a failure where no failures are counted, and inconclusive otherwise.
    """
    if not metric.consecutive_success_limit:
        return Standing("Successful", f"{count} measurements")
    why = f"never {metric.consecutive_success_limit} successes in a row in {count} measurements"
    return Standing("Failed" if metric.failure_limit < 0 else "Inconclusive", why)


def _stopped(found: Standing, measurements: Sequence[Measurement]) -> Standing:
    """The run ends: what was measured and stayed within its limits is successful, what was never measured is not."""
    if found.phase in ENDED:
        return Standing(found.phase, found.message)
    if all(one.phase == "Error" for one in measurements):
        return Standing("Inconclusive", "the analysis ended before anything was measured")
    return Standing("Successful", "within its limits when the analysis ended")


def _worst(
    metrics: Sequence[Metric], found: Mapping[str, Standing], measurements: Mapping[str, Sequence[Measurement]]
) -> tuple[RunPhase, str]:
    """Of the metrics that decide."""
    if not any(measurements.get(one.name) for one in metrics):
        return "Inconclusive", "the analysis ended before anything was measured"
    decisive = [one.name for one in metrics if not one.dry_run]
    if not decisive:
        return "Successful", "all metrics are dry runs: none decides"
    name = min(decisive, key=lambda one: _WORST_FIRST.index(found[one].phase))
    return found[name].phase, f"metric {name}: {found[name].message}"


def _in_a_row(measurements: Sequence[Measurement], phase: MeasuredPhase) -> int:
    """How many of the newest."""
    count = 0
    for one in reversed(measurements):
        if one.phase != phase:
            return count
        count += 1
    return count
