"""What must hold whatever happens: after every pass (before, plan, after), and in the end.

Every law recounts by itself and shares no arithmetic with what it judges.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from deployer.core.workloads.deployment import reconcile
from deployer.core.workloads.values import Deployment, Plan, Pod, ReplicaSet, Snapshot
from tests.core.workloads.world import BROKEN, World

Law = Callable[[Snapshot, Plan, Snapshot], None]
UNTIMED = ("NewReplicaSetAvailable", "ProgressDeadlineExceeded", "DeploymentPaused")
FAILED = ("ProgressDeadlineExceeded", "CrashLoopBackOff")


def never_more_than_the_ceiling(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """total <= desired + surge, unless it was more already, and then it does not grow."""
    ceiling = before.deployment.replicas + surge(before.deployment)
    assert wanted(after) <= max(ceiling, wanted(before))
    assert len(active(after)) <= max(ceiling, wanted(before), len(active(before)))


def never_fewer_than_the_minimum(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """No pass of a rolling update takes availability below desired - unavailable."""
    deployment = before.deployment
    if deployment.strategy == "RollingUpdate" and before.progress.desired == deployment.replicas:
        minimum = deployment.replicas - unavailable(deployment)
        assert available(after) >= min(available(before), minimum)


def a_revision_on_trial_costs_nobody(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """Until a pod of a revision that was never healthy has stayed ready for long enough, the old pods carry on."""
    deployment, one = before.deployment, current(before)
    resized = before.progress.desired != deployment.replicas
    if deployment.strategy == "Recreate" or resized or one is None or one.healthy or not deployment.trial_seconds:
        return
    own = pods_of(one, before)
    long = 10 if any(pod.restarts for pod in own) else deployment.trial_seconds
    if not any(pod.ready and pod.phase == "Running" and pod.ready_at + long <= before.now for pod in own):
        minimum = deployment.replicas - unavailable(deployment)
        old_before, old_after = (
            replace(at, pods=tuple(pod for pod in at.pods if is_old(pod, at))) for at in (before, after)
        )
        assert available(old_after) >= min(available(old_before), minimum)


def pods_are_what_is_wanted(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """Both levels are decided in one pass."""
    if not plan.rollback:
        for one in after.replica_sets:
            assert len(pods_of(one, after)) == one.replicas


def old_pods_end_before_new_ones_start(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """Recreate: the new set grows only when no old pod is left."""
    if before.deployment.strategy == "Recreate" and not before.deployment.paused and grown(before, after):
        old = [pod for pod in before.pods if pod.phase not in ("Failed", "Succeeded") and is_old(pod, before)]
        assert not old


def the_order_of_inputs_is_irrelevant(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    turned = replace(before, replica_sets=before.replica_sets[::-1], pods=before.pods[::-1])
    shifted = replace(before, pods=before.pods[len(before.pods) // 2 :] + before.pods[: len(before.pods) // 2])
    assert reconcile(turned) == reconcile(shifted) == plan


def names_are_never_used_twice(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """A plan of the present state asks for pods that do not exist; the store refuses none."""
    assert not {new.name for new in plan.create_pods} & {pod.name for pod in before.pods}


def whoever_waits_is_woken(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """A pass that does nothing in an unfinished state has a time or a pod to wait for; and never oversleeps."""
    if plan.moves or before.deployment.paused:
        return
    deployment, progress = before.deployment, plan.progress
    if not finished(before):
        assert plan.wake_at is not None or plan.waiting_for
    if progress.reason not in UNTIMED:
        deadline = progress.last_progress_at + deployment.progress_deadline_seconds
        assert plan.wake_at is not None
        assert plan.wake_at <= deadline + 1
    for pod in active(before):
        if pod.ready and pod.phase == "Running" and pod.ready_at + deployment.min_ready_seconds > before.now:
            assert plan.wake_at is not None
            assert plan.wake_at <= pod.ready_at + deployment.min_ready_seconds


def success_is_final(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    """After success there is no deadline, however the pods fare; what falls over within 30 s has not succeeded."""
    same = plan.create_replica_set is None and plan.reuse is None and current(before) is not None
    if same and before.progress.reason == "NewReplicaSetAvailable":
        is_watched = before.now - before.progress.last_progress_at < 30
        assert plan.progress.reason not in (FAILED[:1] if is_watched else FAILED)


def only_what_failed_goes_back_and_only_to_what_was_healthy(before: Snapshot, plan: Plan, after: Snapshot) -> None:
    if plan.rollback:
        target = next(one for one in before.replica_sets if one.revision == plan.rollback.to_revision)
        assert target.healthy
        assert not target.failed
        assert not before.deployment.paused
        assert plan.progress.reason in FAILED


LAWS: tuple[Law, ...] = (
    never_more_than_the_ceiling,
    never_fewer_than_the_minimum,
    a_revision_on_trial_costs_nobody,
    pods_are_what_is_wanted,
    old_pods_end_before_new_ones_start,
    the_order_of_inputs_is_irrelevant,
    names_are_never_used_twice,
    whoever_waits_is_woken,
    success_is_final,
    only_what_failed_goes_back_and_only_to_what_was_healthy,
)


def converges(world: World) -> None:
    """When pods do well and time goes on, what is asked for runs, and then nothing is left to do.

    A broken template is left by a rollback; where there can be none, a person pushes another one.
    """
    world.change(paused=False)
    helped = world.deployment.auto_rollback and any(one.healthy and not one.failed for one in world.sets.values())
    if world.deployment.template_hash == BROKEN and not helped:
        world.push("v0")
    for _ in range(80):
        before, plan, after = world.look()
        broken = world.deployment.template_hash == BROKEN and world.deployment.replicas > 0
        if not plan.moves and finished(before) and not broken:
            again = reconcile(after)
            assert again.empty, str(again)
            assert again.progress is after.progress, "a settled workload writes nothing"
            return
        if not plan.moves:
            world.prosper()
            world.now += 1 if plan.wake_at is None or plan.waiting_for else max(1.0, plan.wake_at - world.now)
    raise AssertionError(f"it does not settle: {world.snapshot()}")


def applies_twice_as_once(world: World) -> None:
    """A worker with a snapshot that is out of date does nothing twice."""
    stale = world.snapshot()
    world.apply(reconcile(stale))
    once = world.snapshot()
    world.apply(reconcile(stale))
    twice = world.snapshot()
    assert once.pods == twice.pods
    assert wanted(once) == wanted(twice)


def surge(deployment: Deployment) -> int:
    if deployment.strategy == "Recreate" or deployment.stop_first:
        return 0
    return math.ceil(part(deployment.max_surge, deployment.replicas))


def unavailable(deployment: Deployment) -> int:
    least = 1 if surge(deployment) == 0 else 0
    return min(deployment.replicas, max(least, math.floor(part(deployment.max_unavailable, deployment.replicas))))


def part(amount: int | str, desired: int) -> Fraction:
    return Fraction(int(amount[:-1]) * desired, 100) if isinstance(amount, str) else Fraction(amount)


def active(snapshot: Snapshot) -> list[Pod]:
    return [pod for pod in snapshot.pods if not pod.deleting and pod.phase not in ("Failed", "Succeeded")]


def available(snapshot: Snapshot) -> int:
    ripe = snapshot.now - snapshot.deployment.min_ready_seconds
    return sum(pod.ready and pod.phase == "Running" and pod.ready_at <= ripe for pod in active(snapshot))


def wanted(snapshot: Snapshot) -> int:
    return sum(one.replicas for one in snapshot.replica_sets)


def pods_of(one: ReplicaSet, snapshot: Snapshot) -> list[Pod]:
    return [pod for pod in active(snapshot) if pod.replica_set == one.uid]


def current(snapshot: Snapshot) -> ReplicaSet | None:
    hashes = {one.template_hash: one for one in snapshot.replica_sets}
    return hashes.get(snapshot.deployment.template_hash)


def is_old(pod: Pod, snapshot: Snapshot) -> bool:
    one = current(snapshot)
    return one is None or pod.replica_set != one.uid


def grown(before: Snapshot, after: Snapshot) -> bool:
    one, other = current(before), current(after)
    return other is not None and other.replicas > (one.replicas if one else 0)


def finished(snapshot: Snapshot) -> bool:
    one = current(snapshot)
    return (
        one is not None
        and one.replicas == snapshot.deployment.replicas == wanted(snapshot) == available(snapshot)
        and len(active(snapshot)) == one.replicas
    )
