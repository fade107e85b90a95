"""From a manifest to a strategy: a Rollout's `spec.strategy`, or a Deployment's annotation `pierhead.io/canary`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.core.canary.values import Strategy

ANNOTATION = "pierhead.io/canary"


def strategy_of(
    kind: str,
    spec: Mapping[str, Any],
    annotations: Mapping[str, str],
    templates: Mapping[str, Mapping[str, Any]],
) -> Strategy | None:
    """None when new revisions come in by a rolling update alone. `templates`: AnalysisTemplates' specs by name.

    What is given has been validated; a template that is missing (it was deleted since) gives an analysis that fails.
    """
    return None
