"""Budgets over several workloads that are drained pass by pass: nobody's own evictions ever take too many."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import param

from deployer.core.workloads.deployment import reconcile
from deployer.core.workloads.values import Budget, Plan, Pod, Snapshot
from tests.core.workloads.scenario import NOW, scene

ONE_AT_A_TIME = {"max_surge": 1, "max_unavailable": 0}
SKETCHES = st.text(alphabet="RRReeeErtpsu", max_size=8).map(lambda pods: f"v1*/3:{pods}")


def counted(name: str, snapshots: list[Snapshot], need: int, *, always: bool = False) -> Budget:
    """What the store counts: of all these workloads' pods, those that are ready and nobody asked to end."""
    pods = [pod for one in snapshots for pod in one.pods if pod.phase not in ("Failed", "Succeeded")]
    return Budget(name, frozenset(pod.uid for pod in pods), max(1, len(pods)), healthy(snapshots), need, always)


def healthy(snapshots: list[Snapshot]) -> int:
    return sum(pod.ready and not pod.deleting for one in snapshots for pod in one.pods)


def applied(snapshot: Snapshot, plan: Plan) -> Snapshot:
    doomed = {pod.uid for pod in plan.delete_pods}
    pods = (replace(pod, deleting=pod.deleting or pod.uid in doomed) for pod in snapshot.pods)
    return replace(snapshot, pods=tuple(pods))


def workload(name: str, sketch: str, unavailable: int) -> Snapshot:
    """Every pod's uid begins with the workload's name."""
    found = scene(sketch, max_surge=1, max_unavailable=unavailable)
    return replace(found, pods=tuple(replace(pod, uid=f"{name}-{pod.uid}") for pod in found.pods))


def evicted(plan: Plan, before: Snapshot) -> list[Pod]:
    """The healthy pods that this pass takes from the drained node."""
    doomed = {pod.uid for pod in plan.delete_pods}
    return [pod for pod in before.pods if pod.uid in doomed and pod.evicting and pod.ready]


@settings(max_examples=300)
@given(st.lists(SKETCHES, min_size=1, max_size=4), st.lists(st.integers(0, 8), min_size=1, max_size=2),
       st.integers(0, 3), st.data())  # fmt: skip
def test_passes_one_after_another_never_go_below_what_is_needed(
    sketches: list[str], needs: list[int], unavailable: int, data: st.DataObject
) -> None:
    """Whatever the order of the workloads: each pass counts anew, in the transaction in which it writes."""
    town = [workload(f"w{number}", sketch, unavailable) for number, sketch in enumerate(sketches)]
    for place in data.draw(st.permutations(range(len(town)))):
        budgets = tuple(counted(f"shop/{number}", town, need) for number, need in enumerate(needs))
        before = replace(town[place], budgets=budgets)
        plan = reconcile(before)
        gone = evicted(plan, before)
        town[place] = applied(town[place], plan)
        if gone:
            assert healthy(town) >= max(needs)
        assert reconcile(replace(before, budgets=budgets[::-1], pods=before.pods[::-1])).delete_pods == plan.delete_pods


@settings(max_examples=300)
@given(SKETCHES, st.integers(0, 8), st.booleans())
def test_who_is_held_and_who_goes_are_all_that_are_there(sketch: str, need: int, always: bool) -> None:
    snapshot = scene(sketch, **ONE_AT_A_TIME)
    budget = counted("shop/web", [snapshot], need, always=always)
    plan = reconcile(replace(snapshot, budgets=(budget,)))
    there = {pod.uid for pod in snapshot.pods if pod.evicting and not pod.deleting}
    assert there == {one.uid for one in plan.held} | (there & {one.uid for one in plan.delete_pods})
    assert not {one.uid for one in plan.held} & {one.uid for one in plan.delete_pods}
    if any(one.by_budget for one in plan.held):
        assert plan.wake_at is not None
        assert plan.wake_at <= NOW + 1


@pytest.mark.parametrize(
    ("sketch", "desired", "need", "gone", "why"),
    [
        param("v1*/3:RRRRe", 3, 4, "-web-v1-3", "budget shop/web allows no disruption now: 4 healthy, 4 needed",
              id="a pod that is scaled away in the same pass is missed as well"),
        param("v1*/3:RRRRe", 3, 3, "-web-v1-3 -web-v1-4", "", id="both go where both can be spared"),
        param("v1*/3:RRRee", 3, 4, "-web-v1-3", "budget shop/web allows no disruption now: 4 healthy, 4 needed",
              id="the counts are those after whoever went first"),
        param("v1*/3:RRpe", 3, 0, "",
              "its replacement is not available yet: 1 waits for a node (0 of 3 nodes fit: 3 lack memory)",
              id="no room elsewhere: the scheduler's own sentence"),
        param("v1*/3:RRse", 3, 0, "", "its replacement is not available yet", id="one that is on its way says no more"),
    ],
)  # fmt: skip
def test_a_pass_says_who_goes_and_why_another_stays(sketch: str, desired: int, need: int, gone: str, why: str) -> None:
    snapshot = scene(sketch, desired, **ONE_AT_A_TIME)
    plan = reconcile(replace(snapshot, budgets=(counted("shop/web", [snapshot], need),)))
    assert " ".join(f"-{pod.name}" for pod in plan.delete_pods) == gone
    assert {held.why for held in plan.held} == ({why} if why else set())


def test_a_pod_that_a_budget_holds_does_not_hold_its_neighbours() -> None:
    """Two revisions with other labels: a budget that selects the one is nothing to the other."""
    snapshot = scene("v1*/1:e v2*/3:RRe", **ONE_AT_A_TIME, template="v2")
    old = next(pod.uid for pod in snapshot.pods if pod.name == "web-v1-0")
    plan = reconcile(replace(snapshot, budgets=(Budget("shop/old", frozenset((old,)), 1, 1, 1),)))
    assert "web-v2-2" in {pod.name for pod in plan.delete_pods}
    assert {held.name for held in plan.held} == {"web-v1-0"}


def test_a_pod_is_healthy_for_a_budget_as_soon_as_it_is_ready() -> None:
    """Kubernetes' budgets know nothing of minReadySeconds: what is not available yet is not free to go."""
    snapshot = scene("v1*/3:RRe", min_ready_seconds=1000, **ONE_AT_A_TIME)
    plan = reconcile(replace(snapshot, budgets=(counted("shop/web", [snapshot], 3),)))
    assert not plan.delete_pods
    assert [held.why for held in plan.held] == ["budget shop/web allows no disruption now: 3 healthy, 3 needed"]
