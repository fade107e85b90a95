"""Disruption budgets: one limit, and a selector (Kubernetes: policy/validation, ValidatePodDisruptionBudgetSpec)."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.core.manifest_checks.deployments import share
from deployer.core.manifest_checks.finding import Finding, Path
from deployer.core.manifest_checks.placement import label_selector
from deployer.core.objects.workload import PodDisruptionBudgetSpec

_SPEC: Path = ("spec",)


def disruption_budget(spec: PodDisruptionBudgetSpec) -> Iterator[Finding]:
    limits = {"minAvailable": spec.min_available, "maxUnavailable": spec.max_unavailable}
    if None not in limits.values():
        message = "stands beside minAvailable: only one of them can hold"
        yield Finding((*_SPEC, "maxUnavailable"), message, "remove one of the two")
    if not any(limit is not None for limit in limits.values()):
        message = "needs minAvailable or maxUnavailable: without a limit Kubernetes lets no pod go, ever"
        yield Finding(_SPEC, message, "write one of the two, such as maxUnavailable: 1")
    for name, limit in limits.items():
        if limit is not None:
            yield from share(limit, (*_SPEC, name), most=100)
    if spec.selector is not None:
        yield from label_selector(spec.selector, (*_SPEC, "selector"))
