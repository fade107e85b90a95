"""The values of a canary as JSON, as the records keep them, and back.

>>> load_state({}) == CanaryState()
True

pydantic is imported on first use: pages without a canary do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Any

from deployer.core.canary.annotation import ANNOTATION
from deployer.core.canary.values import Analysis, CanaryState, Strategy

_STEPPED = ("steps", "analysis", "canaryService", "stableService")
"""A Rollout's canary that has none of them is a rolling update, as with Argo Rollouts."""


def has_strategy(kind: str, spec: Mapping[str, Any], annotations: Mapping[str, str]) -> bool:
    """Whether new revisions of a Deployment or Rollout come in otherwise than by a rolling update alone.

    `spec` as it is kept, by the manifest's names.
    """
    if kind != "Rollout":
        return ANNOTATION in annotations
    strategy = spec.get("strategy") or {}
    canary = strategy.get("canary") or {}
    return strategy.get("blueGreen") is not None or any(canary.get(name) for name in _STEPPED)


@cache
def _adapter(kind: type[Any]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def load_state(kept: Mapping[str, Any]) -> CanaryState:
    found: CanaryState = _adapter(CanaryState).validate_python(dict(kept))
    return found


def dump_state(state: CanaryState) -> dict[str, Any]:
    """What has its default is left out."""
    found: dict[str, Any] = _adapter(CanaryState).dump_python(state, mode="json", exclude_defaults=True)
    return found


def load_analysis(kept: Mapping[str, Any]) -> Analysis:
    found: Analysis = _adapter(Analysis).validate_python(dict(kept))
    return found


def dump_analysis(analysis: Analysis) -> dict[str, Any]:
    found: dict[str, Any] = _adapter(Analysis).dump_python(analysis, mode="json")
    return found


def steps_hash(strategy: Strategy) -> str:
    """Another one means that the steps were written anew."""
    return sha256(_adapter(Strategy).dump_json(strategy)).hexdigest()[:10]
