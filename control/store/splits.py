"""What the routers are told of workloads whose new revisions get a part of the traffic first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from control.models import Deployment
from deployer.core.canary.kept import load_state
from deployer.core.canary.strategy import ANNOTATION, strategy_of
from deployer.core.canary.values import CanaryState, Split, Strategy

_GOES_BACK = ("Aborting", "Aborted")


def splits() -> tuple[Split, ...]:
    """One for each workload with a strategy, whatever its canary is at; in one query.

    Analyses do not matter here, so no template of theirs is read. A canary that goes back does so even when its
    strategy was taken away meanwhile.
    """
    tried = Q(workload="Rollout") | Q(annotations__has_key=ANNOTATION) | Q(canary__phase="Aborting")
    rows = Deployment.objects.filter(tried, deleted_at=None).order_by("namespace", "name")
    found = (_split(row) for row in rows.only(*_COLUMNS))
    return tuple(one for one in found if one is not None)


_COLUMNS = ("uid", "namespace", "name", "workload", "spec", "annotations", "canary")


def _split(row: Deployment) -> Split | None:
    strategy = strategy_of(row.kind, row.spec, row.annotations, {}) if row.has_strategy else None
    state = load_state(row.canary) if row.canary else CanaryState()
    if strategy is None and state.phase != "Aborting":
        return None
    return split_of(f"{row.namespace}/{row.name}", _labels(row.spec), strategy, state)


def split_of(workload: str, labels: Mapping[str, str], strategy: Strategy | None, state: CanaryState) -> Split:
    """A canary that is completed is the stable revision: from then on all pods are alike.

    One that goes back has no weight any more, unless too few stable pods were left when it was aborted: then its weight
    goes down with its pods.
    """
    goes_back = state.phase in _GOES_BACK
    withdrawn = state.phase == "Aborting" or (goes_back and not state.weight)
    is_tried = (state.is_under_way or goes_back) and state.template_hash != state.stable_hash
    return Split(
        workload=workload, canary_hash=state.template_hash if is_tried else "",
        weight=state.weight if is_tried and not withdrawn else 0,
        sticky=strategy.sticky if strategy else None, headers=state.headers if is_tried and not withdrawn else (),
        canary_service=strategy.canary_service if strategy else "",
        stable_service=strategy.stable_service if strategy else "",
        ingresses=strategy.ingresses if strategy else (),
        stable_hash=state.stable_hash if is_tried else "", withdrawn=is_tried and withdrawn,
        labels=tuple(sorted(labels.items())),
    )  # fmt: skip


def _labels(spec: Mapping[str, Any]) -> Mapping[str, str]:
    """Of the pods that Git asks for."""
    template: Mapping[str, Any] = spec.get("template") or {}
    return {str(key): str(value) for key, value in ((template.get("metadata") or {}).get("labels") or {}).items()}
