"""How new revisions of a workload come in, out of its row; how far the newest has come; and what a pass makes of it.

`keep` is the one way to write a state, for passes and for people. What routers are told of it wakes them all. The
weight of a canary that goes back takes a resource version: when all routers have that, its pods may go (`leaving.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from control.models import AnalysisTemplate, Deployment, Pod
from control.store import analyses, objects, waking
from control.store.leaving import applied_everywhere
from deployer.core.canary.crashes import crash_of
from deployer.core.canary.kept import dump_state, load_state
from deployer.core.canary.strategy import strategy_of
from deployer.core.canary.templates import About, filled
from deployer.core.canary.values import NO_CANARY, CanaryState, Run, Strategy
from deployer.core.pod_status import PodStatus
from deployer.core.workloads import values
from deployer.ports import Wake


def strategy(row: Deployment) -> Strategy | None:
    """One query more when it names analysis templates."""
    if not row.has_strategy:
        return None
    templates = dict(
        AnalysisTemplate.objects.filter(namespace=row.namespace, deleted_at=None).values_list("name", "spec")
    )
    about = About(row.name, row.namespace, row.labels, row.annotations)
    return strategy_of(row.kind, row.spec, row.annotations, templates, about)


def state_of(row: Deployment) -> CanaryState:
    return load_state(row.canary) if row.canary else NO_CANARY


def tried(row: Deployment, seen: values.Snapshot, runs: Iterable[Run] | None = None) -> values.Snapshot:
    """The snapshot with the canary in it. Nothing is read for a workload that has no strategy. `runs`: where they are
    at hand."""
    if not row.has_strategy and not row.canary:
        return seen
    state = state_of(row)
    found = analyses.runs_of(row.uid) if runs is None else tuple(runs)
    return dataclasses.replace(
        seen, deployment=dataclasses.replace(seen.deployment, canary=strategy(row)), canary=state, runs=found,
        pods=_with_crashes(seen.pods, seen.replica_sets, state),
        routers_at=applied_everywhere() if state.phase == "Aborting" else None,
    )  # fmt: skip


def _with_crashes(
    pods: Sequence[values.Pod], sets: Iterable[values.ReplicaSet], state: CanaryState
) -> tuple[values.Pod, ...]:
    """Only of the canary's pods that were restarted or have failed is the status read."""
    if not state.is_under_way:
        return tuple(pods)
    mine = {one.uid for one in sets if one.template_hash == state.template_hash}
    asked = [pod.uid for pod in pods if pod.replica_set in mine and (pod.restarts or pod.phase == "Failed")]
    if not asked:
        return tuple(pods)
    rows = Pod.objects.filter(pk__in=asked).values_list("uid", "status")
    known = ((uid, PodStatus.from_dict(status)) for uid, status in rows)
    crashes = {uid: crash_of(status, state.started_at) for uid, status in known if status is not None}
    return tuple(dataclasses.replace(pod, crash=crashes.get(pod.uid, "")) for pod in pods)


def keep(row: Deployment, state: CanaryState, wake: Wake) -> None:
    """In the caller's transaction."""
    before = state_of(row)
    row.canary = dump_state(state)
    objects.update([row], ["canary"])
    if state.phase == "Aborting" and not state.zero_version:
        row.canary = dump_state(dataclasses.replace(state, zero_version=row.resource_version))
        Deployment.objects.filter(pk=row.pk).update(canary=row.canary)
    if _told(before) != _told(state):
        waking.wake_all(wake)


def write(row: Deployment, plan: values.Plan, wake: Wake, now: float) -> None:
    """What a pass says of the canary and its analyses."""
    if plan.canary is not None:
        keep(row, plan.canary, wake)
    for new in plan.begin_runs:
        stable = (plan.canary or state_of(row)).stable_hash
        whole = dataclasses.replace(new, analysis=filled(new.analysis, stable, new.template_hash))
        analyses.begin(row, whole, wake, now)
    for ended in plan.end_runs:
        analyses.end(row, [ended.name], now, ended.why, ended.phase)


def _told(state: CanaryState) -> tuple[object, ...]:
    """What routers are told of."""
    part = "under way" if state.is_under_way else state.phase
    return state.template_hash, state.stable_hash, part, state.weight, state.headers
