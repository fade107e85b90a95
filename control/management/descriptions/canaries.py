"""`describe` for canaries: where a workload's is, its steps, its analyses; and a template, and a run with its looks."""

from __future__ import annotations

import json
from typing import Any

from control.management.descriptions import parts
from control.management.output import age, as_yaml, fields, table
from control.models import AnalysisRun, AnalysisTemplate, AnalysisTick, Deployment
from control.selectors import canary_rows
from control.selectors.canary_steps import step_lines
from control.selectors.canary_words import weight
from deployer.core.canary.kept import load_analysis

MOST_RUNS, MOST_TICKS = 10, 20


def facts(row: Deployment) -> list[tuple[str, object]]:
    """Of the newest canary; nothing before the first."""
    state = canary_rows.state_of(row)
    if not state.phase:
        return []
    return [
        ("Canary", f"{state.phase}: {state.why}" if state.why else state.phase),
        ("Canary Weight", weight(state.weight if state.is_under_way else 0)),
        ("Canary Revision", f"{state.template_hash}, attempt {state.attempt}; stable {state.stable_hash or '-'}"),
    ]


def sections(row: Deployment, now: float) -> str:
    """Its steps, and the last analyses. Nothing for a workload that never had a strategy."""
    strategy, state = canary_rows.strategies([row])[row.uid], canary_rows.state_of(row)
    runs = list(canary_rows.runs_of_workload(row)[:MOST_RUNS])
    if strategy is None and not runs:
        return ""
    mine = [run for run in runs if canary_rows.is_of(run, state)]
    steps = [
        ("->" if one.is_current else "", one.number, one.words, one.state.word, one.message)
        for one in step_lines(strategy, state, mine)
    ]
    text = parts.section("Steps", parts.inset(table(("", "Step", "Does", "State", "Result"), steps)) if steps else "")
    lines = [
        (run.name, "background" if run.step < 0 else run.step + 1, run.phase, _age(run.started_at, now), run.message)
        for run in runs
    ]
    header = ("Name", "Step", "Phase", "Age", "Message")
    return text + parts.section("Analysis Runs", parts.inset(table(header, lines)) if lines else "")


def describe_analysis_template(row: AnalysisTemplate, now: float) -> str:
    text = parts.head(row, now)
    text += parts.section("Spec", parts.inset(as_yaml(row.spec)))
    users = [
        f"  {one.kind.lower()}/{one.name}\n"
        for one in Deployment.objects.filter(namespace=row.namespace, workload="Rollout", deleted_at=None)
        if f'"templateName": "{row.name}"' in json.dumps(one.spec)
    ]
    text += parts.section("Named By", "".join(sorted(users)))
    return text + parts.events("AnalysisTemplate", row.namespace, row.name, now)


def describe_analysis_run(row: AnalysisRun, now: float) -> str:
    owner, analysis = row.deployment, load_analysis(row.spec)
    text = fields(
        [
            ("Name", row.name),
            ("Namespace", owner.namespace),
            ("Controlled By", f"{owner.kind}/{owner.name}"),
            ("Revision", f"{row.template_hash}, attempt {row.attempt}"),
            ("Step", "background" if row.step < 0 else row.step + 1),
            ("Templates", ", ".join(analysis.templates)),
            ("Phase", row.phase),
            ("Message", row.message),
            ("Started", parts.time_of(row.started_at or None, now)),
            ("Finished", parts.time_of(row.finished_at or None, now)),
        ]
    )
    ticks = list(AnalysisTick.objects.filter(run=row).order_by("-at", "-id")[:MOST_TICKS])
    lines = [_tick(one, now) for one in reversed(ticks)]
    header = ("Age", "Metric", "Canary", "Stable", "Evidence", "Value", "Verdict", "Message")
    return text + parts.section("Last Looks", parts.inset(table(header, lines)) if lines else "")


def _tick(one: AnalysisTick, now: float) -> tuple[Any, ...]:
    evidence = f"{one.evidence:.3g} of {one.threshold:.3g}" if one.evidence is not None and one.threshold else ""
    return (
        _age(one.at, now), one.metric, f"{one.canary_failures}/{one.canary_requests}",
        f"{one.stable_failures}/{one.stable_requests}", evidence, "" if one.value is None else str(one.value),
        one.verdict, one.message,
    )  # fmt: skip


def _age(at: float, now: float) -> str:
    return age(now - at) if at else "-"
