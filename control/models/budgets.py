"""PodDisruptionBudgets as the core's values: what they select, what is healthy, what there should be.

Here, because pages and loops read them alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from control.models.objects import PodDisruptionBudget
from control.models.pods import Pod
from deployer.core.objects.workload import PodDisruptionBudgetSpec
from deployer.core.scheduling.selectors import label_selector
from deployer.core.workloads.budgets import needed
from deployer.core.workloads.values import Budget

_COLUMNS = (
    "uid", "labels", "ready", "deleted_at", "phase", "node__ready", "node__evicting_at", "replica_set__deployment_id",
    "replica_set__deployment__spec",
)  # fmt: skip
_OVER = ("Succeeded", "Failed")


def budgets_of(namespace: str, uids: Collection[str]) -> tuple[Budget, ...]:
    """Those of the namespace that select any of these pods. Two queries, one where there are no budgets."""
    rows = list(PodDisruptionBudget.objects.filter(namespace=namespace, deleted_at=None).order_by("name"))
    wanted = set(uids)
    return tuple(budget for budget in budgets(rows) if wanted & budget.pods)


def budgets(rows: Iterable[PodDisruptionBudget]) -> list[Budget]:
    """In their order."""
    found = list(rows)
    pods = {
        namespace: list(Pod.objects.filter(namespace=namespace, orphaned=False).values_list(*_COLUMNS))
        for namespace in {row.namespace for row in found}
    }
    return [_budget(row, pods[row.namespace]) for row in found]


def _budget(row: PodDisruptionBudget, pods: Iterable[tuple[Any, ...]]) -> Budget:
    spec = PodDisruptionBudgetSpec.model_validate(row.spec)
    selector = None if spec.selector is None else label_selector(spec.selector)
    found = (dict(zip(_COLUMNS, pod, strict=True)) for pod in pods)
    mine = [pod for pod in found if selector and selector.matches(pod["labels"]) and pod["phase"] not in _OVER]
    expected, need = needed(spec.min_available, spec.max_unavailable, len(mine), _scale(mine))
    return Budget(
        name=f"{row.namespace}/{row.name}", pods=frozenset(str(pod["uid"]) for pod in mine), expected=expected,
        healthy=sum(_is_healthy(pod) for pod in mine), needed=need,
        always=spec.unhealthy_pod_eviction_policy == "AlwaysAllow",
    )  # fmt: skip


def _scale(pods: Iterable[dict[str, Any]]) -> int:
    """What the controllers of these pods ask for; a bare pod counts for itself."""
    owners: dict[object, int] = {}
    bare = 0
    for pod in pods:
        owner, spec = pod["replica_set__deployment_id"], pod["replica_set__deployment__spec"]
        if owner is None:
            bare += 1
        elif isinstance(spec, dict):
            replicas = spec.get("replicas")
            owners[owner] = 1 if replicas is None else int(replicas)
    return bare + sum(owners.values())


def _is_healthy(pod: dict[str, Any]) -> bool:
    """Ready, on a node that is seen, and nobody has asked for its end."""
    return bool(pod["ready"] and pod["deleted_at"] is None and pod["node__ready"] and not pod["node__evicting_at"])
