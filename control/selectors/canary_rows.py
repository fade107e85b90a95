"""What is kept of canaries, read for pages: states, strategies, analyses. Few queries, however many workloads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Max, Q, QuerySet, Sum

from control.models import AnalysisRun, AnalysisTemplate, AnalysisTick, Deployment
from deployer.core.canary.kept import load_state
from deployer.core.canary.values import CanaryState, Strategy

UNDER_WAY = ("Progressing", "Paused", "Promoting", "Aborting")
WARM_UP = "warmup"
"""The verdict of looks that are not held against a canary."""
_COUNTS = ("canary_requests", "canary_failures", "stable_requests", "stable_failures")


@dataclass(frozen=True, slots=True)
class Counted:
    """All ticks of one metric of a run: how many, what they counted since the warm-up, and the last one.

    `is_warm`: nothing was counted since; these are the warm-up's.
    """

    looks: int
    canary_requests: int
    canary_failures: int
    stable_requests: int
    stable_failures: int
    last: AnalysisTick
    is_warm: bool = False


def strategies(rows: Sequence[Deployment]) -> dict[str, Strategy | None]:
    """By uid. One query, none when no row has a strategy."""
    mine = [row for row in rows if row.has_strategy]
    templates: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    asked = AnalysisTemplate.objects.filter(namespace__in={row.namespace for row in mine}, deleted_at=None)
    for namespace, name, spec in asked.values_list("namespace", "name", "spec") if mine else ():
        templates[namespace][name] = spec
    found: dict[str, Strategy | None] = {row.uid: None for row in rows}
    return found | {row.uid: _strategy(row, templates[row.namespace]) for row in mine}


def _strategy(row: Deployment, templates: Mapping[str, dict[str, Any]]) -> Strategy | None:
    # Pages without a canary do without what reads manifests: it is much to import.
    from deployer.core.canary.strategy import strategy_of
    from deployer.core.canary.templates import About

    about = About(row.name, row.namespace, row.labels, row.annotations)
    return strategy_of(row.kind, row.spec, row.annotations, templates, about)


def state_of(row: Deployment) -> CanaryState:
    return load_state(row.canary)


def under_way(of: Q | None = None) -> list[Deployment]:
    """Workloads whose canary has not ended, in the order of their names."""
    rows = Deployment.objects.filter(canary__phase__in=UNDER_WAY, deleted_at=None).order_by("namespace", "name")
    return list(rows.filter(of) if of is not None else rows)


def runs_of(of: Q) -> QuerySet[AnalysisRun]:
    """Analyses without what their next look goes on from, but for the two numbers of `judged_since`."""
    return (
        AnalysisRun.objects.filter(of)
        .defer("state")
        .annotate(judge_at=F("state__judge__started_at"), blind=F("state__judge__blind_seconds"))
    )


def runs_of_workload(row: Deployment) -> QuerySet[AnalysisRun]:
    """All that are kept, the newest first."""
    return runs_of(Q(deployment=row)).order_by("-started_at", "name")


def judged_since(run: AnalysisRun) -> float:
    """From when on its time counts: what nobody looked at, or could not, is not part of it."""
    return float(getattr(run, "judge_at", None) or run.started_at) + float(getattr(run, "blind", None) or 0)


def counted(runs: Iterable[str]) -> dict[str, dict[str, Counted]]:
    """Run uid -> metric -> its ticks. Two queries, one when there is none."""
    asked = AnalysisTick.objects.filter(run__in=list(runs)).order_by()
    sums: Any = asked.values("run_id", "metric").annotate(
        last=Max("at"), looks=Count("pk"),
        **{f"all_{name}": Sum(name) for name in _COUNTS},
        **{f"since_{name}": Sum(name, filter=~Q(verdict=WARM_UP)) for name in _COUNTS},
    )  # fmt: skip
    rows = list(sums)
    newest = Q(pk__in=())
    for one in rows:
        newest |= Q(run=one["run_id"], metric=one["metric"], at=one["last"])
    last = {(one.run_id, one.metric): one for one in AnalysisTick.objects.filter(newest)} if rows else {}
    found: dict[str, dict[str, Counted]] = defaultdict(dict)
    for one in rows:
        if tick := last.get((one["run_id"], one["metric"])):
            warm = not any(one[f"since_{name}"] for name in _COUNTS)
            sums_of = {name: int(one[f"{'all' if warm else 'since'}_{name}"] or 0) for name in _COUNTS}
            found[one["run_id"]][one["metric"]] = Counted(looks=one["looks"], last=tick, is_warm=warm, **sums_of)
    return found


def running(states: Mapping[str, CanaryState]) -> dict[str, list[AnalysisRun]]:
    """Deployment uid -> analyses of its newest canary that go on. `states` by uid."""
    found: dict[str, list[AnalysisRun]] = defaultdict(list)
    rows = runs_of(Q(deployment__in=list(states), phase__in=("Pending", "Running")))
    for run in rows.order_by("started_at") if states else ():
        if is_of(run, states[run.deployment_id]):
            found[run.deployment_id].append(run)
    return found


def is_of(run: AnalysisRun, state: CanaryState) -> bool:
    """Whether a run belongs to the newest canary."""
    return (run.template_hash, run.attempt) == (state.template_hash, state.attempt)
