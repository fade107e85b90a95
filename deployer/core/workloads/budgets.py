"""PodDisruptionBudgets: how many of their pods a drain may end now, and which pods that holds back.

Kubernetes' rules (pkg/controller/disruption, the eviction subresource): what is healthy above what is needed may go.
A percentage, and `maxUnavailable`, are of the pods that there should be; both round up. A pod that is not healthy goes
while its budget is (IfHealthyBudget), or in any case (AlwaysAllow). Kubernetes refuses a pod that several budgets
select; here all of them have to allow it.

A budget is about what people do (a drain). A host that dies asks nobody, and its pods are healthy no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from deployer.core.workloads.rolling import resolve
from deployer.core.workloads.values import Budget


@dataclass(slots=True)
class Purse:
    """What is left of the budgets while one pass decides about pod after pod. All pods of a budget are spent here."""

    budgets: Iterable[Budget]
    _left: dict[str, int] = field(default_factory=dict)

    def spend(self, pod: str, *, healthy: bool) -> str:
        """"" when the pod may go, which is then counted; else the sentence of the first budget that forbids it."""
        mine = [budget for budget in self.budgets if pod in budget.pods]
        asked = [budget for budget in mine if healthy or not self._is_free(budget)]
        for budget in asked:
            if self._left.setdefault(budget.name, budget.allowed) <= 0:
                return refusal(budget)
        for budget in asked:
            self._left[budget.name] -= 1
        return ""

    def _is_free(self, budget: Budget) -> bool:
        return budget.always or budget.healthy >= budget.needed


def refusal(budget: Budget) -> str:
    return f"budget {budget.name} allows no disruption now: {budget.healthy} healthy, {budget.needed} needed"


def needed(
    min_available: int | str | None, max_unavailable: int | str | None, pods: int, scale: int
) -> tuple[int, int]:
    """(expected, needed). `pods` are selected now, `scale` is what their controllers ask for.

    7 wanted: at least 50 % -> 4; at most 30 % away -> 7 - 3 = 4; at least 3 -> 3; no limit -> 0
    """
    if max_unavailable is not None:
        return scale, max(0, scale - resolve(max_unavailable, scale, up=True))
    if isinstance(min_available, str):
        return scale, resolve(min_available, scale, up=True)
    return pods, min_available or 0
