"""What a PodDisruptionBudget may say."""

from __future__ import annotations

import pytest
from pytest import param

from deployer.core.manifest_checks.budgets import disruption_budget
from deployer.core.objects.workload import PodDisruptionBudgetSpec

SELECTOR = {"selector": {"matchLabels": {"app": "web"}}}


@pytest.mark.parametrize(
    ("spec", "sentences"),
    [
        param({"minAvailable": 1, **SELECTOR}, [], id="a number"),
        param({"maxUnavailable": "25%", **SELECTOR}, [], id="a percentage"),
        param({"maxUnavailable": 0, "selector": {}}, [], id="nobody, of all pods"),
        param({"minAvailable": 1, "maxUnavailable": 1},
              ["spec.maxUnavailable: stands beside minAvailable: only one of them can hold"], id="both"),
        param({"selector": {}},
              ["spec: needs minAvailable or maxUnavailable: without a limit Kubernetes lets no pod go, ever"],
              id="neither"),
        param({"minAvailable": -1}, ["spec.minAvailable: must not be negative"], id="less than none"),
        param({"minAvailable": "150%"}, ["spec.minAvailable: must be at most 100%"], id="more than all"),
        param({"maxUnavailable": "half"}, ["spec.maxUnavailable: is neither a number nor a percentage"], id="a word"),
        param({"minAvailable": 1, "selector": {"matchLabels": {"app": "a b"}}},
              ["spec.selector.matchLabels.app"], id="a label that is none"),
    ],
)  # fmt: skip
def test_a_budget_makes_sense(spec: dict[str, object], sentences: list[str]) -> None:
    found = list(disruption_budget(PodDisruptionBudgetSpec.model_validate(spec)))
    said = [f"{'.'.join(map(str, one.path))}: {one.message}" for one in found]
    assert len(said) == len(sentences)
    assert all(told.startswith(expected) for told, expected in zip(said, sentences, strict=True))
