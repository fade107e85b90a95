"""PodDisruptionBudgets as the core's values: what they select, what is healthy, what there should be.

Here, because pages and loops read them alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from control.models.objects import PodDisruptionBudget
from control.models.pods import Pod
from control.models.workloads import Deployment, scaled
from deployer.core.objects.workload import PodDisruptionBudgetSpec
from deployer.core.scheduling.selectors import label_selector
from deployer.core.workloads.budgets import needed
from deployer.core.workloads.values import Budget

_COLUMNS = (
    "namespace", "uid", "labels", "ready", "deleted_at", "node__ready", "node__evicting_at",
    "replica_set__deployment_id",
)  # fmt: skip
_OVER = ("Succeeded", "Failed")
Columns = dict[str, Any]


def budgets_of(namespace: str, uids: Collection[str]) -> tuple[Budget, ...]:
    """Those of the namespace that select any of these pods. Three queries, one where there are no budgets."""
    rows = PodDisruptionBudget.objects.filter(namespace=namespace, deleted_at=None).order_by("name")
    wanted = set(uids)
    return tuple(budget for budget in budgets(rows) if wanted & budget.pods)


def budgets(rows: Iterable[PodDisruptionBudget]) -> list[Budget]:
    """In their order. Two queries, however many they are."""
    found = list(rows)
    namespaces = {row.namespace for row in found}
    pods: dict[str, list[Columns]] = {namespace: [] for namespace in namespaces}
    there = Pod.objects.filter(namespace__in=namespaces, orphaned=False).exclude(phase__in=_OVER)
    for pod in there.values(*_COLUMNS) if found else ():
        pods[pod["namespace"]].append(pod)
    scales = _scales(namespaces) if found else {}
    return [_budget(row, pods[row.namespace], scales) for row in found]


def _scales(namespaces: Iterable[str]) -> dict[str, int]:
    """Deployment -> the replicas that it asks for."""
    rows = Deployment.objects.filter(namespace__in=namespaces, deleted_at=None)
    return {uid: scaled(asked, scale) for uid, asked, scale in rows.values_list("uid", "spec__replicas", "scale")}


def _budget(row: PodDisruptionBudget, pods: Iterable[Columns], scales: Mapping[str, int]) -> Budget:
    spec = PodDisruptionBudgetSpec.model_validate(row.spec)
    selector = label_selector(spec.selector)
    mine = [pod for pod in pods if selector.matches(pod["labels"])]
    expected, need = needed(spec.min_available, spec.max_unavailable, len(mine), _scale(mine, scales))
    return Budget(
        name=f"{row.namespace}/{row.name}", pods=frozenset(str(pod["uid"]) for pod in mine), expected=expected,
        healthy=sum(_is_healthy(pod) for pod in mine), needed=need,
        always=spec.unhealthy_pod_eviction_policy == "AlwaysAllow",
    )  # fmt: skip


def _scale(pods: Iterable[Columns], scales: Mapping[str, int]) -> int:
    """What the controllers of these pods ask for, each once; a bare pod counts for itself."""
    owners = [pod["replica_set__deployment_id"] for pod in pods]
    return owners.count(None) + sum(scales.get(owner, 0) for owner in set(owners) - {None})


def _is_healthy(pod: Columns) -> bool:
    """Ready, on a node that is seen, and nobody has asked for its end."""
    return bool(pod["ready"] and pod["deleted_at"] is None and pod["node__ready"] and not pod["node__evicting_at"])
