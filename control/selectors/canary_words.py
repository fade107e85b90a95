"""Canaries in words: steps, weights, spans of time, phases. A blue-green rollout has a preview instead of a canary."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from control.selectors.words import State, sentence
from deployer.core.canary.values import (
    Analyse,
    Analysis,
    HeaderMatch,
    HeaderRoute,
    Metric,
    Pause,
    SetCanaryScale,
    SetHeaderRoute,
    SetWeight,
    Step,
    Stickiness,
    Strategy,
    Traffic,
)

PHASES: dict[str, State] = {
    "": State("Not begun", "idle"),
    "Progressing": State("Progressing", "busy"),
    "Paused": State("Paused", "warn"),
    "Promoting": State("Promoting", "busy"),
    "Completed": State("Completed", "good"),
    "Aborting": State("Aborting", "bad"),
    "Aborted": State("Aborted", "bad"),
}
RUNS: dict[str, State] = {
    "Pending": State("Pending", "idle"),
    "Running": State("Running", "busy"),
    "Successful": State("Successful", "good"),
    "Failed": State("Failed", "bad"),
    "Inconclusive": State("Inconclusive", "warn"),
    "Error": State("Error", "warn"),
}
METRICS = {"errors": "Errors", "slow": "Slow requests"}
_MATCHES = {"exact": "is", "prefix": "begins with", "regex": "matches"}
_MEASURES = {
    "errors": "share of errors", "slow": "share of slow requests", "rate": "requests a second", "p50": "p50 in ms",
    "p95": "p95 in ms", "p99": "p99 in ms",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sides:
    """What the new revision and the other one are called."""

    new: str = "canary"
    old: str = "stable"


def sides(strategy: Strategy | None) -> Sides:
    return Sides("preview", "active") if strategy and strategy.kind == "BlueGreen" else Sides()


def state_of_run(phase: str) -> State:
    """`phase` as a run has it, or a measurement, in lower case."""
    return RUNS.get(phase.capitalize()) or State(sentence(phase), "idle")


def percent(share: float) -> str:
    """0.05 -> "5 %", 0.0008 -> "0.08 %", 0.12345 -> "12.3 %": as many digits as say something."""
    whole = 100 * share
    digits = 1 if whole >= 1 else 2
    return f"{whole:.{digits}f}".rstrip("0").rstrip(".") + " %"


def weight(basis_points: int) -> str:
    """500 -> "5 %", 1 -> "0.01 %"."""
    return f"{basis_points / 100:g} %"


def span(seconds: float) -> str:
    """45s, 10m, 1m 30s, 2h, 1h 30m, 3d."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole >= 172_800:
        return f"{whole // 86_400}d"
    big, small, words = (3600, 60, "hm") if whole >= 3600 else (60, 1, "ms")
    count, rest = whole // big, whole % big // small
    return f"{count}{words[0]}" + (f" {rest}{words[1]}" if rest else "")


def since_begin(begin: float) -> Callable[[float], str]:
    """Times as people read them on an axis: +0s, +5m, +1h 30m."""
    return lambda at: f"+{span(at - begin)}"


def count(number: float) -> str:
    """12,408."""
    return f"{number:,.0f}"


def about(number: int) -> str:
    """How many more requests are needed: 344 -> "about 340", 12,408 -> "about 12,000", 7 -> "7"."""
    if number < 20:
        return str(number)
    digits = len(str(number)) - 2
    return f"about {round(number, -digits):,}"


def number(value: float) -> str:
    """At most four digits that say something: 0.00123, 12.34, 1,234, 10^6, about 10^9."""
    if abs(value) >= 1e6:
        power = math.floor(math.log10(abs(value)) + 1e-9)
        return f"{'-' if value < 0 else ''}{'' if abs(value) == 10**power else 'about '}10^{power}"
    if value and abs(value) < 1e-4:
        return "under 0.0001" if value > 0 else "about 0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def evidence(value: float) -> str:
    """1,840, 12, 1.48, 0.1: nobody needs more digits of it."""
    if value >= 1e6 or value >= 10:
        return number(float(round(value)))
    return f"{value:.2f}".rstrip("0").rstrip(".") if value >= 0.005 or not value else "under 0.01"


def step_words(step: Step, names: Sides = Sides()) -> str:
    """A step as an instruction."""
    if isinstance(step, SetWeight):
        return f"{weight(step.weight)} of requests to the {names.new}"
    if isinstance(step, Pause):
        return "Wait until a person goes on" if step.seconds is None else f"Wait {span(step.seconds)}"
    if isinstance(step, Analyse):
        return analysis_words(step.analysis)
    if isinstance(step, SetCanaryScale):
        return _scale(step, names)
    return route_words(step, names)


def analysis_words(analysis: Analysis) -> str:
    """Judge errors and slow requests for 10m to 30m; measure success-rate."""
    parts = []
    if judge := analysis.judge:
        what = " and ".join(METRICS[one].lower() for one in judge.metrics)
        longest = f" to {span(judge.max_seconds)}" if judge.max_seconds > judge.min_seconds else ""
        parts.append(f"Judge {what} for {span(judge.min_seconds)}{longest}")
    if analysis.metrics:
        parts.append(f"{'measure' if parts else 'Measure'} {', '.join(sentence(one.name) for one in analysis.metrics)}")
    return "; ".join(parts) or sentence(analysis.problem) or "An analysis of nothing"


def route_words(step: SetHeaderRoute, names: Sides) -> str:
    if not step.route.matches:
        return sentence(f"Header route {step.route.name} ends")
    return f"To the {names.new}, whatever its weight: requests whose {header_words(step.route)}"


def header_words(route: HeaderRoute) -> str:
    """x-canary is always and user-agent begins with curl."""
    return sentence(" and ".join(map(_match, route.matches)))


def sticky_words(sticky: Stickiness | None) -> str:
    """Who stays where they were, "" when each request is drawn for itself."""
    if sticky is None:
        return ""
    return sentence("by the client's address" if sticky.by == "client" else f"by {sticky.by} {sticky.name}")


def provider_words(metric: Metric) -> str:
    """Where a metric's values come from."""
    if isinstance(metric.provider, Traffic):
        return f"{_MEASURES[metric.provider.measure]} of {metric.provider.of} pods, as routers count"
    return sentence(f"Prometheus: {metric.provider.query}")


def _match(match: HeaderMatch) -> str:
    if match.match == "prefix" and not match.value:
        return f"{match.header} is there"
    return f"{match.header} {_MATCHES[match.match]} {match.value}"


def _scale(step: SetCanaryScale, names: Sides) -> str:
    if step.replicas is not None:
        return f"{step.replicas} {names.new} pod{'' if step.replicas == 1 else 's'}"
    if step.percent is not None:
        return f"{names.new} pods: {step.percent} % of the replicas".capitalize()
    return f"As many {names.new} pods as its weight needs"
