"""Analyses of canaries as rows: begun and ended by a workload's pass, looked at by the loop `analyse` in between.

    begin(row, new, wake, now)      once by name, however often it is asked for
    runs_of(uid)                    what a workload's pass sees of them
    end(row, names, now, why)       a pass does not need them any more

The first two and the last are called in the workload's own (fenced) transaction. Whoever comes first ends a run: what
has an end is never written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from control.models import AnalysisRun, Deployment
from deployer.core.canary.kept import dump_analysis
from deployer.core.canary.values import ENDED, NewRun, Run, RunPhase

LOOP = "analyse"
Wake = Callable[[str, str], None]
_COLUMNS = ("name", "template_hash", "attempt", "step", "phase", "message")


def begin(row: Deployment, new: NewRun, wake: Wake, now: float) -> None:
    """A run of this name that is there already is left as it is, ended or not."""
    made, is_new = AnalysisRun.objects.get_or_create(
        deployment=row, name=new.name,
        defaults={
            "template_hash": new.template_hash, "attempt": new.attempt, "step": new.step,
            "spec": dump_analysis(new.analysis), "started_at": now,
        },
    )  # fmt: skip
    if is_new:
        wake(LOOP, made.uid)


def end(row: Deployment, names: Iterable[str], now: float, why: str, phase: RunPhase = "Inconclusive") -> None:
    """Stop runs that nobody waits for any more; those that have ended keep what they found.

    `why` is a sentence. `phase`: what became of them; "Successful" for one beside the steps that came to their end
    without a finding, "Inconclusive" when it was stopped before it could say.
    """
    running = AnalysisRun.objects.filter(deployment=row, name__in=list(names)).exclude(phase__in=ENDED)
    running.update(phase=phase, message=why, finished_at=now)


def runs_of(deployment: str) -> tuple[Run, ...]:
    """All of them, the oldest first. One query."""
    rows = AnalysisRun.objects.filter(deployment=deployment).order_by("started_at", "step", "uid")
    return tuple(Run(*columns) for columns in rows.values_list(*_COLUMNS))


def runs_of_all() -> dict[str, tuple[Run, ...]]:
    """The same of every workload that has any, for the safety net. One query."""
    found: dict[str, list[Run]] = {}
    rows = AnalysisRun.objects.order_by("started_at", "step", "uid")
    for deployment, *columns in rows.values_list("deployment", *_COLUMNS):
        found.setdefault(deployment, []).append(Run(*columns))
    return {deployment: tuple(runs) for deployment, runs in found.items()}
