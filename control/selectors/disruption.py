"""PodDisruptionBudgets as Kubernetes' policy/v1, their status worked out when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from control.models import PodDisruptionBudget
from control.models.budgets import budgets
from control.selectors.metadata import application_names, metadata
from deployer.core.workloads.values import Budget


def disruption_budgets(rows: Sequence[PodDisruptionBudget], _now: float) -> list[dict[str, Any]]:
    names = application_names(rows)
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata(row, names),
            "spec": row.spec,
            "status": _status(row, budget),
        }
        for row, budget in zip(rows, budgets(rows), strict=True)
    ]


def _status(row: PodDisruptionBudget, budget: Budget) -> dict[str, Any]:
    allowed = budget.allowed > 0
    return {
        "currentHealthy": budget.healthy,
        "desiredHealthy": budget.needed,
        "expectedPods": budget.expected,
        "disruptionsAllowed": budget.allowed,
        "observedGeneration": row.generation,
        "conditions": [
            {
                "type": "DisruptionAllowed",
                "status": "True" if allowed else "False",
                "reason": "SufficientPods" if allowed else "InsufficientPods",
                "message": f"{budget.healthy} of {budget.expected} pods are healthy, {budget.needed} are needed",
                "observedGeneration": row.generation,
            }
        ],
    }
