"""The columns of `get` for Rollouts and what judges their canaries."""

from __future__ import annotations

from collections.abc import Sequence

from control.management.network_columns import Cells, Lines
from control.management.output import age
from control.models import AnalysisRun, AnalysisTemplate, Deployment
from control.selectors import canary_rows, rollouts
from control.selectors.canary_words import weight
from control.selectors.kubernetes_rollouts import phase_of, step_text

SHORT_COMMIT = 7


def rollout_rows(rows: Sequence[Deployment], now: float) -> Lines:
    """Argo's columns, and how far the canary is."""
    header = ("NAME", "DESIRED", "CURRENT", "UP-TO-DATE", "AVAILABLE", "STATUS", "STEP", "WEIGHT", "AGE")
    return header, ("COMMIT", "PIN"), [_rollout(row, now) for row in rows]


def _rollout(row: Deployment, now: float) -> tuple[Cells, Cells]:
    status, state = row.status, canary_rows.state_of(row)
    cells: Cells = [
        row.name, row.replicas, status.get("replicas", 0), status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0), phase_of(row), step_text(row) or "-",
        weight(state.weight if state.is_under_way else 0), age(now - row.created_at),
    ]  # fmt: skip
    pin = rollouts.pin_sentence(row) if row.pin else "-"
    return cells, [row.commit[:SHORT_COMMIT] or "-", pin]


def analysis_templates(rows: Sequence[AnalysisTemplate], now: float) -> Lines:
    found: list[tuple[Cells, Cells]] = [
        (
            [row.name, ", ".join(str(one.get("name", "")) for one in row.spec.get("metrics") or ()) or "-",
             age(now - row.created_at)],
            [row.commit[:SHORT_COMMIT] or "-"],
        )
        for row in rows
    ]  # fmt: skip
    return ("NAME", "METRICS", "AGE"), ("COMMIT",), found


def analysis_runs(rows: Sequence[AnalysisRun], now: float) -> Lines:
    found: list[tuple[Cells, Cells]] = [
        (
            [row.name, row.phase, age(now - row.started_at) if row.started_at else "-"],
            [f"{row.deployment.kind.lower()}/{row.deployment.name}", "-" if row.step < 0 else row.step,
             row.message or "-"],
        )
        for row in rows
    ]  # fmt: skip
    return ("NAME", "STATUS", "AGE"), ("OF", "STEP", "MESSAGE"), found
