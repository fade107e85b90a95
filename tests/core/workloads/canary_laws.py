"""What must hold of a canary whatever happens: after every pass (before, plan, after), and in the end.

Every law recounts by itself and shares no arithmetic with what it judges.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from deployer.core.canary.values import BACKGROUND, ENDED, Pause, SetCanaryScale, SetWeight, Strategy
from deployer.core.workloads.deployment import reconcile
from deployer.core.workloads.values import Plan, Pod, Snapshot
from tests.core.workloads import laws
from tests.core.workloads.canary_world import CanaryWorld

Law = Callable[[Snapshot, Plan, Snapshot], None]
TRIED = ("Progressing", "Paused")


def never_more_than_both_need(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """total <= replicas + max(surge, canary), unless it was more already."""
    deployment = before.deployment
    ceiling = deployment.replicas + max(laws.surge(deployment), largest(deployment.canary, deployment.replicas))
    assert laws.wanted(after) <= max(ceiling, laws.wanted(before))


def the_canary_is_no_larger_than_its_steps(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    if after.canary.phase in TRIED and before.canary.template_hash == after.canary.template_hash:
        most = largest(before.deployment.canary, before.deployment.replicas)
        grown = wanted_of(after, after.canary.template_hash)
        assert grown <= max(most, wanted_of(before, after.canary.template_hash))


def stable_pods_serve(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """While a canary is tried, no pass takes the stable pods below what there must be."""
    deployment, state = before.deployment, after.canary
    if state.phase in (*TRIED, "Aborting") and before.progress.desired == deployment.replicas:
        minimum = deployment.replicas - laws.unavailable(deployment)
        was, there_are = (len(available_of(one, state.stable_hash)) for one in (before, after))
        assert there_are >= min(was, minimum)


def no_traffic_without_a_pod(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    if after.canary.weight:
        assert available_of(after, after.canary.template_hash)


def traffic_goes_before_pods(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """A canary that was given up keeps its pods until no router sends it anything, or for 15 s."""
    was, state = before.canary, after.canary
    if was.phase in TRIED and was.weight and state.phase not in (*TRIED, "Promoting", "Completed"):
        assert state.phase == "Aborting"
        assert state.weight == 0
        assert kept(before, after, was.template_hash)
    if was.phase == "Aborting":
        heard = before.routers_at is None or 0 < was.zero_version <= before.routers_at
        waited = before.now >= was.ended_at + 15
        assert heard or waited or (kept(before, after, was.template_hash) and not plan.rollback)
    if was.phase in TRIED and was.weight:
        assert state.template_hash == was.template_hash


def what_failed_is_not_promoted(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    was, state = before.canary, after.canary
    mine = (was.template_hash, was.attempt)
    bad = [run for run in before.runs if (run.template_hash, run.attempt) == mine and run.phase in ("Failed", "Error")]
    if bad and was.phase in TRIED and state.template_hash == was.template_hash:
        assert state.phase == "Aborting"
    strategy = before.deployment.canary
    skipped = was.gone_on == was.step or not strategy or not strategy.background
    if any(run.step == BACKGROUND for run in bad) and was.phase == "Promoting" and not skipped:
        assert state.phase in ("Aborting", "Aborted") or state.template_hash != was.template_hash


def whoever_waits_is_woken(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """Pods, routers, analyses and people tell; else there is a time."""
    state, deployment = after.canary, before.deployment
    if plan.moves or deployment.paused or not deployment.replicas or state.phase in ("", "Completed"):
        return
    if state.phase == "Aborting":
        assert plan.wake_at is not None
        assert plan.wake_at <= state.ended_at + 15
        return
    assert deployment.canary is not None
    step = deployment.canary.steps[state.step] if state.step < len(deployment.canary.steps) else None
    if state.phase == "Paused" and state.paused_by == "step" and isinstance(step, Pause) and step.seconds is not None:
        assert plan.wake_at is not None
        assert plan.wake_at <= state.step_at + step.seconds
    tells = plan.waiting_for or plan.wake_at is not None or any(run.phase not in ENDED for run in after.runs)
    assert tells or state.phase == "Paused" or laws.finished(before)


def the_order_of_inputs_is_irrelevant(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    turned = replace(before, replica_sets=before.replica_sets[::-1], pods=before.pods[::-1], runs=before.runs[::-1])
    assert reconcile(turned) == plan


LAWS: tuple[Law, ...] = (
    never_more_than_both_need,
    the_canary_is_no_larger_than_its_steps,
    stable_pods_serve,
    no_traffic_without_a_pod,
    traffic_goes_before_pods,
    what_failed_is_not_promoted,
    whoever_waits_is_woken,
    the_order_of_inputs_is_irrelevant,
)


def converges(world: CanaryWorld) -> None:
    """When pods do well, analyses are content and people go on, what is asked for runs, and nothing is left to do."""
    world.deployment = replace(world.deployment, paused=False)
    if world.live_hash == "v3":  # whose pods crash for ever
        world.push("v0")
    for _ in range(200):
        before, plan, after = world.look()
        if not plan.moves and laws.finished(before) and world.canary.phase in ("Completed", "Aborted"):
            again = reconcile(after)
            assert again.empty, str(again)
            assert again.progress is after.progress, "a settled workload writes nothing"
            assert world.canary.weight == 0
            assert all(run.phase in ENDED for run in world.runs.values()), "somebody still looks at it"
            return
        if not plan.moves:
            _help(world, plan)
    raise AssertionError(f"it does not settle: {world.where()} {world.snapshot()}")


def _help(world: CanaryWorld, plan: Plan) -> None:
    world.prosper()
    world.hear()
    world.finish("Successful")
    if world.canary.phase == "Paused" and world.canary.template_hash == world.live_hash:
        world.ask("resume")
    world.now += 1 if plan.wake_at is None or plan.waiting_for else max(1.0, plan.wake_at - world.now)


def largest(strategy: Strategy | None, desired: int) -> int:
    """The most pods that any step asks for."""
    assert strategy is not None
    shares = [Fraction(one.weight, 10_000) for one in strategy.steps if isinstance(one, SetWeight)]
    scales = [one for one in strategy.steps if isinstance(one, SetCanaryScale)]
    shares += [Fraction(one.percent, 100) for one in scales if one.percent is not None]
    numbers = [one.replicas for one in scales if one.replicas is not None]
    return max([1, *numbers, *(math.ceil(share * desired) for share in shares)])


def wanted_of(snapshot: Snapshot, template_hash: str) -> int:
    return sum(one.replicas for one in snapshot.replica_sets if one.template_hash == template_hash)


def kept(before: Snapshot, after: Snapshot, template_hash: str) -> bool:
    """No pod of it goes, but for those that have ended or whose node is lost."""
    return before.deployment.replicas == 0 or wanted_of(after, template_hash) >= wanted_of(before, template_hash)


def available_of(snapshot: Snapshot, template_hash: str) -> list[Pod]:
    owners = {one.uid for one in snapshot.replica_sets if one.template_hash == template_hash}
    ripe = snapshot.now - snapshot.deployment.min_ready_seconds
    return [
        pod for pod in laws.active(snapshot)
        if pod.replica_set in owners and pod.ready and pod.phase == "Running" and pod.ready_at <= ripe
    ]  # fmt: skip
