"""The values of a canary as JSON, as the records keep them, and back.

>>> load_state({}) == CanaryState()
True
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pydantic import TypeAdapter

from deployer.core.canary.values import Analysis, CanaryState, Strategy

_STATES, _ANALYSES, _STRATEGIES = TypeAdapter(CanaryState), TypeAdapter(Analysis), TypeAdapter(Strategy)


def load_state(kept: Mapping[str, Any]) -> CanaryState:
    return _STATES.validate_python(dict(kept))


def dump_state(state: CanaryState) -> dict[str, Any]:
    """What has its default is left out."""
    found: dict[str, Any] = _STATES.dump_python(state, mode="json", exclude_defaults=True)
    return found


def load_analysis(kept: Mapping[str, Any]) -> Analysis:
    return _ANALYSES.validate_python(dict(kept))


def dump_analysis(analysis: Analysis) -> dict[str, Any]:
    found: dict[str, Any] = _ANALYSES.dump_python(analysis, mode="json")
    return found


def steps_hash(strategy: Strategy) -> str:
    """Another one means that the steps were written anew."""
    return sha256(_STRATEGIES.dump_json(strategy)).hexdigest()[:10]
