"""PodDisruptionBudgets: Kubernetes' arithmetic, and that no drain ever goes below what is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import param

from deployer.core.workloads.budgets import Purse, needed
from deployer.core.workloads.deployment import reconcile
from deployer.core.workloads.values import Budget
from tests.core.workloads.scenario import scene

ONE_AT_A_TIME = {"max_surge": 1, "max_unavailable": 0}


@pytest.mark.parametrize(
    ("minimum", "maximum", "pods", "scale", "expected"),
    [
        param("50%", None, 7, 7, (7, 4), id="a minimum rounds up"),
        param(None, "30%", 7, 7, (7, 4), id="and so does what may be missing: 2.1 -> 3"),
        param(3, None, 5, 9, (5, 3), id="a number counts the pods that are there"),
        param(None, 1, 2, 3, (3, 2), id="what may be missing is of what there should be"),
        param(None, 5, 3, 3, (3, 0), id="never less than none"),
        param("100%", None, 3, 3, (3, 3), id="nobody may be missing"),
        param(None, None, 3, 3, (0, 0), id="no limit: none are expected, so that nobody may go, as in Kubernetes"),
        param(0, None, 3, 3, (3, 0), id="a minimum of none"),
    ],
)
def test_what_is_needed(
    minimum: int | str | None, maximum: int | str | None, pods: int, scale: int, expected: tuple[int, int]
) -> None:
    assert needed(minimum, maximum, pods, scale) == expected


def budget(healthy: int, need: int, *, pods: str = "abc", always: bool = False, name: str = "shop/web") -> Budget:
    return Budget(name, frozenset(pods), len(pods), healthy, need, always)


@pytest.mark.parametrize(
    ("budgets", "asked", "gone"),
    [
        param([budget(3, 2)], "ABC", "A", id="one may go, and then none"),
        param([budget(3, 3)], "ABC", "", id="none may"),
        param([budget(3, 0)], "ABC", "ABC", id="all may"),
        param([], "ABC", "ABC", id="nobody asked"),
        param([budget(2, 2)], "cA", "c", id="one that is not healthy goes while the budget is"),
        param([budget(3, 2)], "cA", "cA", id="and costs the others nothing"),
        param([budget(1, 2)], "cA", "", id="and stays while it is not"),
        param([budget(1, 2, always=True)], "cA", "c", id="unless it may always go"),
        param([budget(3, 2), budget(3, 1, name="shop/all")], "ABC", "A", id="of several, all have to allow it"),
        param([budget(0, 0, pods="")], "A", "A", id="a budget of others"),
    ],
)
def test_a_purse(budgets: list[Budget], asked: str, gone: str) -> None:
    """Capitals are healthy."""
    purse = Purse(budgets)
    assert "".join(pod for pod in asked if not purse.spend(pod.lower(), healthy=pod.isupper())) == gone


def test_why_a_pod_stays() -> None:
    said = Purse([budget(2, 2)]).spend("a", healthy=True)
    assert said == "budget shop/web allows no disruption now: 2 healthy, 2 needed"


@given(st.integers(0, 12), st.integers(0, 12), st.lists(st.booleans(), max_size=12), st.booleans(), st.randoms())
def test_no_more_go_than_are_allowed(healthy: int, need: int, asked: list[bool], always: bool, random) -> None:  # type: ignore[no-untyped-def]
    names = [f"p{number}" for number in range(len(asked))]
    one = Budget("shop/web", frozenset(names), max(1, len(names)), healthy, need, always)
    order = list(zip(names, asked, strict=True))
    random.shuffle(order)
    purse = Purse([one])
    gone = sum(1 for name, is_healthy in order if is_healthy and not purse.spend(name, healthy=True))
    assert gone == min(sum(asked), one.allowed)
    assert healthy - gone >= min(healthy, need)


@pytest.mark.parametrize(
    ("sketch", "healthy", "need", "goes", "waits"),
    [
        param("v1*/3:RRe", 3, 3, 0, "its replacement is not available yet", id="first a replacement"),
        param("v1*/3:RRRe", 4, 3, 1, "", id="then even a budget that allows nobody to be missing lets it go"),
        param("v1*/3:RRRe", 3, 3, 0, "budget shop/web allows no disruption now: 3 healthy, 3 needed",
              id="unless another workload's pods are missing"),
        param("v1*/3:RRE", 2, 3, 0, "budget shop/web allows no disruption now: 2 healthy, 3 needed",
              id="one that does not serve waits for its budget to be healthy"),
    ],
)  # fmt: skip
def test_a_drain_asks_budgets(sketch: str, healthy: int, need: int, goes: int, waits: str) -> None:
    snapshot = scene(sketch, **ONE_AT_A_TIME)
    uids = frozenset(pod.uid for pod in snapshot.pods)
    plan = reconcile(replace(snapshot, budgets=(Budget("shop/web", uids, 3, healthy, need),)))
    assert len(plan.delete_pods) == goes
    assert {held.why for held in plan.held} == ({waits} if waits else set())
    if waits.startswith("budget"):
        assert plan.wake_at is not None
        assert plan.wake_at <= snapshot.now + 1
