"""PodDisruptionBudgets: how many of their pods a drain may end now, and which pods that holds back.

Kubernetes' rules (pkg/controller/disruption, the eviction subresource): what is healthy above what is needed may go.
A percentage, and `maxUnavailable`, are of the pods that there should be; both round up. A pod that is not healthy goes
while its budget is (IfHealthyBudget), or in any case (AlwaysAllow). Two things are kinder than in Kubernetes: a pod
that several budgets select may go when all of them allow it, and a bare pod counts as one that there should be.

A budget is about what people do (a drain). A host that dies asks nobody, and its pods are healthy no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from deployer.core.workloads.rolling import resolve
from deployer.core.workloads.values import Budget

BUDGET = "budget "
"""How a sentence begins with which a budget holds a pod back."""


@dataclass(slots=True)
class Purse:
    """What is left of the budgets while one pass decides about pod after pod. All pods of a budget are spent here.

    `leaving`: healthy pods whose end the same pass asks for anyway. No budget holds those back, but they are missed.
    """

    budgets: Collection[Budget]
    leaving: frozenset[str] = frozenset()
    _spent: Counter[str] = field(default_factory=Counter)

    def spend(self, pod: str, *, healthy: bool) -> str:
        """ "" when the pod may go, which is then counted; else the sentence of the first budget that forbids it."""
        mine = [self._now(budget) for budget in self.budgets if pod in budget.pods]
        for budget in mine:
            if not _allows(budget, healthy=healthy):
                return refusal(budget)
        self._spent.update(budget.name for budget in mine if healthy)
        return ""

    def _now(self, budget: Budget) -> Budget:
        gone = self._spent[budget.name] + len(budget.pods & self.leaving)
        return replace(budget, healthy=budget.healthy - gone)


def _allows(budget: Budget, *, healthy: bool) -> bool:
    """One that is not healthy is missed by nobody: it costs nothing, and goes while the others suffice."""
    return budget.allowed > 0 if healthy else budget.always or budget.healthy >= budget.needed


def refusal(budget: Budget) -> str:
    return f"{BUDGET}{budget.name} allows no disruption now: {budget.healthy} healthy, {budget.needed} needed"


def needed(
    min_available: int | str | None, max_unavailable: int | str | None, pods: int, scale: int
) -> tuple[int, int]:
    """(expected, needed). `pods` are selected now, `scale` is what their controllers ask for.

    7 wanted: at least 50 % -> 4; at most 30 % away -> 7 - 3 = 4; at least 3 -> 3. Without a limit 0 are expected, so
    that nobody may go; no manifest says that.
    """
    if max_unavailable is not None:
        return scale, max(0, scale - resolve(max_unavailable, scale, up=True))
    if isinstance(min_available, str):
        return scale, resolve(min_available, scale, up=True)
    return (pods, min_available) if min_available is not None else (0, 0)
