"""Rollouts, analysis templates and analysis runs in the shape of Argo Rollouts' custom resources."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from control.models import AnalysisRun, AnalysisTemplate, AnalysisTick, Deployment
from control.models.workloads import ROLLOUT_API
from control.selectors import canary_rows
from control.selectors.health import health_of_deployment
from control.selectors.kubernetes_workloads import RESTARTED_AT, pin_notes, revisions_of
from control.selectors.metadata import application_names, metadata, owner_reference
from deployer.core.canary.kept import load_analysis, load_state
from deployer.core.canary.values import ENDED, Analysis, CanaryState, Metric, Strategy
from deployer.core.pod_status import iso_time

MOST_MEASUREMENTS = 500
"""Of one run, the newest: a client that asks for more reads the page of the canary."""
_DEFAULTS = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
_PHASES = {"Healthy": "Healthy", "Degraded": "Degraded", "Suspended": "Paused", "Missing": "Degraded"}
_OF_CANARY = {"Paused": "Paused", "Progressing": "Progressing", "Promoting": "Progressing"}
_MEASURED = {"passed": "Successful", "successful": "Successful", "failed": "Failed", "inconclusive": "Inconclusive",
             "error": "Error", "unread": "Error"}  # fmt: skip


def rollouts(rows: Sequence[Deployment], _now: float) -> list[dict[str, Any]]:
    names, current, strategies = application_names(rows), revisions_of(rows), canary_rows.strategies(rows)
    states = {row.uid: canary_rows.state_of(row) for row in rows}
    running = canary_rows.running(states)
    return [
        {
            "apiVersion": ROLLOUT_API,
            "kind": "Rollout",
            "metadata": metadata(row, names, annotations={**current.get(row.uid, {}), **pin_notes(row.pin)}),
            "spec": _spec(row),
            "status": rollout_status(row, states[row.uid], strategies[row.uid], running.get(row.uid, [])),
        }
        for row in rows
    ]


def phase_of(row: Deployment) -> str:
    """Argo's word: Healthy, Progressing, Paused or Degraded."""
    state = canary_rows.state_of(row)
    if state.is_under_way:
        return _OF_CANARY[state.phase]
    return _PHASES.get(health_of_deployment(row).status, "Progressing")


def rollout_status(
    row: Deployment, state: CanaryState, strategy: Strategy | None, running: Iterable[AnalysisRun] = ()
) -> dict[str, Any]:
    """What Kubernetes says of a Deployment, and what Argo says beside it."""
    status: dict[str, Any] = {**row.status, "phase": phase_of(row), "message": health_of_deployment(row).message}
    status |= {"currentPodHash": row.live_hash, "stableRS": state.stable_hash or row.live_hash}
    if row.paused:
        status["controllerPause"] = True
    if strategy is not None and strategy.steps:
        status["currentStepIndex"] = (
            min(state.step, len(strategy.steps)) if state.is_under_way else _steps_done(state, strategy)
        )
        status["currentStepHash"] = state.steps_hash
    if state.phase == "Paused":
        status["pauseConditions"] = [{"reason": _pause_reason(state, strategy), "startTime": iso_time(state.paused_at)}]
        status["controllerPause"] = True
    if state.phase in ("Aborting", "Aborted"):
        status |= {"abort": True, "abortedAt": iso_time(state.ended_at or state.step_at)}
    if state.template_hash and strategy is not None:
        status["canary"] = _canary(state, strategy, running)
    return {name: value for name, value in status.items() if value not in ("", None)}


def _steps_done(state: CanaryState, strategy: Strategy) -> int:
    return 0 if state.phase in ("Aborting", "Aborted") else len(strategy.steps)


def _pause_reason(state: CanaryState, strategy: Strategy | None) -> str:
    if state.paused_by == "analysis":
        return "InconclusiveAnalysisRun"
    return "BlueGreenPause" if strategy is not None and strategy.kind == "BlueGreen" else "CanaryPauseStep"


def _canary(state: CanaryState, strategy: Strategy, running: Iterable[AnalysisRun]) -> dict[str, Any]:
    weight = state.weight if state.is_under_way else 0
    sides = {
        "canary": (state.template_hash, strategy.canary_service, weight),
        "stable": (state.stable_hash, strategy.stable_service, 10_000 - weight),
    }
    found: dict[str, Any] = {
        "weights": {
            side: {"podTemplateHash": made_from, "weight": _percent(share), **({"serviceName": name} if name else {})}
            for side, (made_from, name, share) in sides.items()
        }
    }
    for run in running:
        word = "currentBackgroundAnalysisRunStatus" if run.step < 0 else "currentStepAnalysisRunStatus"
        found[word] = {"name": run.name, "status": run.phase, **({"message": run.message} if run.message else {})}
    return found


def _percent(basis_points: int) -> float:
    """Whole where it is."""
    return basis_points // 100 if basis_points % 100 == 0 else basis_points / 100


def _spec(row: Deployment) -> dict[str, Any]:
    """What Git says, with Argo's defaults, `rollout pause` and `rollout restart` written in."""
    spec: dict[str, Any] = {**_DEFAULTS, **row.spec}
    if row.paused:
        spec["paused"] = True
    if row.restarted_at and spec.get("template"):
        meta = spec["template"].get("metadata") or {}
        notes = {**(meta.get("annotations") or {}), RESTARTED_AT: iso_time(row.restarted_at)}
        spec["template"] = {**spec["template"], "metadata": {**meta, "annotations": notes}}
    return spec


def analysis_templates(rows: Sequence[AnalysisTemplate], _now: float) -> list[dict[str, Any]]:
    names = application_names(rows)
    return [
        {"apiVersion": row.api_version, "kind": row.kind, "metadata": metadata(row, names), "spec": row.spec}
        for row in rows
    ]


def analysis_runs(rows: Sequence[AnalysisRun], _now: float) -> list[dict[str, Any]]:
    """One query for the measurements of all."""
    ticks: dict[str, list[AnalysisTick]] = defaultdict(list)
    for tick in AnalysisTick.objects.filter(run__in=rows).order_by("at", "id"):
        ticks[tick.run_id].append(tick)
    return [_run(row, ticks[row.uid][-MOST_MEASUREMENTS:]) for row in rows]


def _run(row: AnalysisRun, ticks: list[AnalysisTick]) -> dict[str, Any]:
    analysis = load_analysis(row.spec)
    status = {
        "phase": row.phase, "message": row.message, "startedAt": _time(row.started_at),
        "completedAt": _time(row.finished_at), "metricResults": _results(analysis, row, ticks),
    }  # fmt: skip
    return {
        "apiVersion": ROLLOUT_API,
        "kind": "AnalysisRun",
        "metadata": {
            "name": row.name,
            "namespace": row.deployment.namespace,
            "uid": row.uid,
            "creationTimestamp": iso_time(row.started_at),
            "labels": {
                "rollouts-pod-template-hash": row.template_hash,
                "rollout-type": "Background" if row.step < 0 else "Step",
                **({"step-index": str(row.step)} if row.step >= 0 else {}),
            },
            "ownerReferences": [owner_reference(row.deployment)],
        },
        "spec": {"metrics": [*_judged(analysis), *(_metric(one) for one in analysis.metrics)]},
        "status": {name: value for name, value in status.items() if value},
    }


def _judged(analysis: Analysis) -> Iterable[dict[str, Any]]:
    for name in analysis.judge.metrics if analysis.judge else ():
        yield {"name": name, "provider": {"plugin": {"pierhead.io/judge": {}}}}


def _metric(one: Metric) -> dict[str, Any]:
    """Without what a header says: it may be a password."""
    provider: dict[str, Any] = {"plugin": {"pierhead.io/traffic": {}}}
    if one.provider.source == "prometheus":
        provider = {"prometheus": {"address": one.provider.address, "query": one.provider.query}}
    else:
        provider["plugin"]["pierhead.io/traffic"] = {"measure": one.provider.measure, "of": one.provider.of}
    found = {
        "name": one.name, "count": one.count, "interval": f"{one.interval_seconds:g}s" if one.interval_seconds else "",
        "successCondition": one.success_condition, "failureCondition": one.failure_condition,
        "failureLimit": one.failure_limit, "provider": provider,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value not in ("", 0)}


def _results(analysis: Analysis, row: AnalysisRun, ticks: list[AnalysisTick]) -> list[dict[str, Any]]:
    by_metric: dict[str, list[AnalysisTick]] = defaultdict(list)
    for tick in ticks:
        by_metric[tick.metric].append(tick)
    dry = {one.name for one in analysis.metrics if one.dry_run}
    return [_result(name, those, row, dry_run=name in dry) for name, those in by_metric.items()]


def _result(name: str, ticks: list[AnalysisTick], row: AnalysisRun, *, dry_run: bool) -> dict[str, Any]:
    phases = [_MEASURED.get(tick.verdict, "Running") for tick in ticks]
    counts = {
        "count": len(ticks), "successful": phases.count("Successful"), "failed": phases.count("Failed"),
        "inconclusive": phases.count("Inconclusive"), "error": phases.count("Error"),
    }  # fmt: skip
    return {
        "name": name,
        "phase": phases[-1] if row.phase in ENDED else "Running",
        **{word: number for word, number in counts.items() if number},
        **({"dryRun": True} if dry_run else {}),
        "measurements": [_measurement(tick, phase) for tick, phase in zip(ticks, phases, strict=True)],
    }


def _measurement(tick: AnalysisTick, phase: str) -> dict[str, Any]:
    """Counts and evidence are the measurement's metadata, where Argo keeps what a provider says beside the value."""
    more = {
        "verdict": tick.verdict, "canaryRequests": tick.canary_requests, "canaryFailures": tick.canary_failures,
        "stableRequests": tick.stable_requests, "stableFailures": tick.stable_failures, "evidence": tick.evidence,
        "threshold": tick.threshold, "upperBound": tick.upper, "bound": tick.bound, "requestsMissing": tick.missing,
    }  # fmt: skip
    found = {
        "phase": phase, "startedAt": iso_time(tick.at), "finishedAt": iso_time(tick.at), "message": tick.message,
        "value": "" if tick.value is None else str(tick.value),
        "metadata": {name: str(value) for name, value in more.items() if value not in (None, "")},
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _time(at: float) -> str:
    return iso_time(at) if at else ""


def step_text(row: Deployment) -> str:
    """2/8: steps done of the newest canary; "" without steps."""
    strategy, state = canary_rows.strategies([row])[row.uid], load_state(row.canary)
    if strategy is None or not strategy.steps:
        return ""
    done = min(state.step, len(strategy.steps)) if state.is_under_way else _steps_done(state, strategy)
    return f"{done}/{len(strategy.steps)}"
