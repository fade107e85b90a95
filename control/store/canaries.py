"""How new revisions of a workload come in, out of its row."""

from __future__ import annotations

from control.models import AnalysisTemplate, Deployment
from deployer.core.canary.strategy import ANNOTATION, strategy_of
from deployer.core.canary.templates import About
from deployer.core.canary.values import Strategy


def has_strategy(row: Deployment) -> bool:
    """Cheap: without reading anything else."""
    return row.workload == "Rollout" or ANNOTATION in row.annotations


def strategy(row: Deployment) -> Strategy | None:
    """One query more when it names analysis templates."""
    if not has_strategy(row):
        return None
    templates = dict(
        AnalysisTemplate.objects.filter(namespace=row.namespace, deleted_at=None).values_list("name", "spec")
    )
    about = About(row.name, row.namespace, row.labels, row.annotations)
    return strategy_of(row.kind, row.spec, row.annotations, templates, about)
