"""A Deployment's next step, from everything that is known about it.

A pass counts the pods, judges the progress, and decides on one kind of move: go back, scale in proportion, grow the
new set, or shrink the old ones. Then every set's pods are made equal to the number it has got, in the same plan, so
there is no second hop. A canary (`canary.py`) has its pods apart from all that. What cannot be decided yet has a time
to look again at (`wake_at`) or pods to wait for (`waiting_for`).

Pure: no clock, no I/O, no randomness. The same snapshot gives the same plan, in whatever order its parts come, so a
pass may be lost, repeated, or made from a snapshot that is out of date.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from deployer.core.canary.values import NO_CANARY
from deployer.core.workloads import canary, history, recreate, replicaset, rolling, scaling, sentences
from deployer.core.workloads import progress as progressing
from deployer.core.workloads.canary import Trying
from deployer.core.workloads.census import Census, Standing, take
from deployer.core.workloads.conditions import conditions_of, events_of, failure, unavailable
from deployer.core.workloads.eviction import LOOK_AGAIN_SECONDS, evictions
from deployer.core.workloads.loss import losses
from deployer.core.workloads.rollback import last_lines, rollback_of
from deployer.core.workloads.rolling import Bounds, bounds_of
from deployer.core.workloads.values import (
    DeletePod,
    Event,
    Held,
    NewPod,
    NewReplicaSet,
    Plan,
    Progress,
    Rollback,
    Scale,
    Snapshot,
)


def reconcile(snapshot: Snapshot) -> Plan:
    census = take(snapshot)
    bounds = bounds_of(snapshot.deployment)
    tried = canary.trying(snapshot, census)
    targets = _targets(snapshot, census, bounds, tried)
    started = _started(snapshot, census, _created(snapshot, census, bounds, targets))
    after = progressing.progress_of(snapshot, census, started, tried.reason if tried else "")
    if tried is not None:
        tried = _judged(snapshot, census, tried, after)
        targets = _targets(snapshot, census, bounds, tried)
    rollback = rollback_of(snapshot, census, after) if tried is None else _back(snapshot, census, after, tried)
    if rollback:
        return _rolled_back(snapshot, census, bounds, after, rollback, tried)
    made = _created(snapshot, census, bounds, targets)
    scale = _scaled(snapshot, census, bounds, targets)
    pods = _pods(snapshot, census, targets, made)
    evicted, held = evictions(snapshot, _sides(snapshot, census, bounds, tried), pods.deleted)
    told = tried is not None and tried.state.phase in ("Aborting", "Aborted")
    events = events_of(snapshot, census, after, made, scale, None, told=told)
    return _with_canary(snapshot, tried, Plan(
        progress=after,
        conditions=conditions_of(snapshot, census, bounds, after, canary=canary.sentence(tried)),
        create_replica_set=made,
        reuse=_reused(census) if tried is None or tried.is_about(snapshot) else None,
        scale=scale,
        create_pods=pods.created,
        delete_pods=pods.deleted + losses(census) + evicted,
        delete_replica_sets=_forgotten(snapshot, census, targets),
        mark_healthy=_healthy(snapshot, census, after),
        events=events + pods.events,
        waiting_for=_waiting_for(snapshot, census, after),
        held=held,
        wake_at=_wake_at(snapshot, census, after, held),
    ))  # fmt: skip


def _targets(snapshot: Snapshot, census: Census, bounds: Bounds, tried: Trying | None) -> dict[str, int]:
    """Set name -> replicas, for the sets that change."""
    if tried is None:
        return _move(snapshot, census, bounds)
    if tried.is_apart:
        targets = canary.targets(snapshot, census, bounds, tried)
    else:
        targets = canary.kept(snapshot, tried, _move(snapshot, census, bounds))
    return targets | canary.doomed(tried, census)


def _judged(snapshot: Snapshot, census: Census, tried: Trying, after: Progress) -> Trying:
    """With what the rollout's own rules say of the canary's pods."""
    if tried.state.is_under_way and after.reason in progressing.FAILED and census.current is not None:
        why = failure(snapshot, census.current, after.reason, census.current.replicas)
        return canary.failed(snapshot, census, tried, why, last_lines(census.current))
    return canary.ended(snapshot, census, tried, after)


def _back(snapshot: Snapshot, census: Census, after: Progress, tried: Trying) -> Rollback | None:
    if tried.turn.back:
        return canary.rollback_of(tried)
    return rollback_of(snapshot, census, after) if tried.state.phase == "Completed" else None


def _sides(snapshot: Snapshot, census: Census, bounds: Bounds, tried: Trying | None) -> tuple[tuple[Census, int], ...]:
    if tried is None or not tried.is_apart:
        return ((census, bounds.minimum),)
    return (canary.aside(snapshot, census, tried), bounds.minimum), *canary.alone(tried)


def _with_canary(snapshot: Snapshot, tried: Trying | None, plan: Plan) -> Plan:
    if tried is None:
        return replace(plan, canary=NO_CANARY) if snapshot.canary != NO_CANARY else plan
    turn = tried.turn
    times = [at for at in (plan.wake_at, turn.wake_at) if at is not None]
    return replace(
        plan, canary=turn.state if turn.state != snapshot.canary else None, begin_runs=turn.begin, end_runs=turn.end,
        events=plan.events + canary.events(snapshot, tried), wake_at=min(times, default=None),
    )  # fmt: skip


def _move(snapshot: Snapshot, census: Census, bounds: Bounds) -> dict[str, int]:
    """Set name -> replicas, for the sets that change: one kind of move."""
    deployment = snapshot.deployment
    is_rolling = deployment.strategy == "RollingUpdate"
    resized = _is_scaling(snapshot)
    if deployment.paused or (is_rolling and resized):
        targets = scaling.step(census, bounds, rolling=is_rolling, resized=resized)
        if targets or deployment.paused:
            return targets
    if not is_rolling:
        return recreate.step(census, deployment.replicas)
    return rolling.step(census, bounds)


def _is_scaling(snapshot: Snapshot) -> bool:
    """Somebody asked for another number of replicas since the last pass."""
    return snapshot.progress.desired not in (-1, snapshot.deployment.replicas)


def _created(snapshot: Snapshot, census: Census, bounds: Bounds, targets: dict[str, int]) -> NewReplicaSet | None:
    if census.current is not None or census.name not in targets:
        return None
    return NewReplicaSet(
        name=census.name,
        template_hash=snapshot.deployment.template_hash,
        revision=history.next_revision(census),
        replicas=targets[census.name],
        max_replicas=bounds.ceiling,
    )


def _reused(census: Census) -> tuple[str, int] | None:
    """A set of the template exists already: going back to it makes it the newest revision."""
    revision = history.next_revision(census)
    if census.current is None or census.current.set.revision >= revision:
        return None
    return census.current.set.uid, revision


def _started(snapshot: Snapshot, census: Census, made: NewReplicaSet | None) -> str:
    """The reason with which this pass begins a revision, "" if it does not."""
    if made:
        return progressing.NEW_REPLICA_SET
    if census.current is not None and snapshot.progress.of_template != snapshot.deployment.template_hash:
        return progressing.FOUND_REPLICA_SET
    return ""


def _rolled_back(
    snapshot: Snapshot, census: Census, bounds: Bounds, after: Progress, rollback: Rollback, tried: Trying | None
) -> Plan:
    """Nothing else moves: the template in force changes, and the next pass sees it, and any scaling as well."""
    return _with_canary(snapshot, tried, Plan(
        progress=replace(after, desired=snapshot.progress.desired),
        conditions=conditions_of(snapshot, census, bounds, after, rollback),
        rollback=rollback,
        events=events_of(snapshot, census, after, None, (), rollback),
        wake_at=snapshot.now,
    ))  # fmt: skip


def _scaled(snapshot: Snapshot, census: Census, bounds: Bounds, targets: dict[str, int]) -> tuple[Scale, ...]:
    resized = snapshot.deployment.paused or _is_scaling(snapshot)
    scale = []
    for standing in census.standings():
        one = standing.set
        replicas = targets.get(one.name, standing.replicas)
        if replicas != one.replicas:
            scale.append(Scale(one.uid, one.name, replicas, bounds.ceiling, _why(census, standing, targets)))
        elif resized and replicas and one.max_replicas != bounds.ceiling:
            scale.append(Scale(one.uid, one.name, replicas, bounds.ceiling, f"{bounds.desired} are desired now"))
    return tuple(scale)


def _why(census: Census, standing: Standing, targets: dict[str, int]) -> str:
    if standing.set.name not in targets:
        return "its template is not known, so what is gone is not replaced"
    return "it is the current revision" if standing is census.current else "it is an old revision"


@dataclass(frozen=True, slots=True)
class _Pods:
    created: tuple[NewPod, ...] = ()
    deleted: tuple[DeletePod, ...] = ()
    events: tuple[Event, ...] = ()


def _pods(snapshot: Snapshot, census: Census, targets: dict[str, int], made: NewReplicaSet | None) -> _Pods:
    """Every set's pods are made equal to the number that it has now."""
    created: tuple[NewPod, ...] = ()
    deleted: tuple[DeletePod, ...] = ()
    events: tuple[Event, ...] = ()
    if made:
        created = replicaset.new_pods(made.name, made.name, 0, made.replicas)
    for standing in census.standings():
        one = standing.set
        wanted = targets.get(one.name, standing.replicas)
        missing = wanted - len(standing.pods)
        if missing > 0:
            fresh = replicaset.new_pods(one.uid, one.name, one.created_count, missing)
            created += fresh
            if wanted <= one.replicas:
                events += (_replaced(one.name, fresh),)
        if missing < 0 or standing.ended:
            deleted += replicaset.doomed_pods(standing, wanted, census, snapshot)
    return _Pods(created, deleted, events)


def _replaced(name: str, fresh: tuple[NewPod, ...]) -> Event:
    return Event("Normal", "SuccessfulCreate", sentences.replaced(pod.name for pod in fresh), ("ReplicaSet", name))


def _forgotten(snapshot: Snapshot, census: Census, targets: dict[str, int]) -> tuple[tuple[str, str], ...]:
    """Old revisions are pruned when nothing moves and all is well."""
    if targets or census.current is None or not progressing.is_complete(snapshot.deployment, census):
        return ()
    return history.forgotten(census, snapshot.deployment.revision_history_limit)


def _healthy(snapshot: Snapshot, census: Census, after: Progress) -> tuple[str, ...]:
    current = census.current
    if current is None or after.reason != progressing.COMPLETE or (current.set.healthy and not current.set.failed):
        return ()
    complete = snapshot.deployment.replicas > 0 and progressing.is_complete(snapshot.deployment, census)
    return (current.set.uid,) if complete else ()


def _waiting_for(snapshot: Snapshot, census: Census, after: Progress) -> tuple[str, ...]:
    """The pods whose next change lets the rollout go on."""
    if after.reason == progressing.COMPLETE and census.available == snapshot.deployment.replicas == census.pods:
        return ()
    waited = [pod for standing in census.standings() for pod in unavailable(snapshot, standing)]
    if snapshot.deployment.strategy == "Recreate":
        waited += [pod for pod in recreate.remaining(census) if pod.deleting]
    return tuple(sorted(pod.name for pod in waited))


def _wake_at(snapshot: Snapshot, census: Census, after: Progress, held: tuple[Held, ...]) -> float | None:
    again = snapshot.now + LOOK_AGAIN_SECONDS if any(one.by_budget for one in held) else None
    deadline = progressing.deadline_at(snapshot.deployment, after)
    proof = census.current.trial.proof_at if census.current else None
    times = [at for at in (deadline, census.available_at, census.lost_at, proof, again) if at is not None]
    return min(times, default=None)
