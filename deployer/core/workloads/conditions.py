"""What a person reads about a Deployment: the conditions Available and Progressing, and the events of a pass.

Kubernetes' types, statuses and reasons, so that every tool that reads them keeps working; the messages carry counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from deployer.core.workloads import progress, sentences
from deployer.core.workloads.census import Census, Standing, is_available
from deployer.core.workloads.rolling import Bounds
from deployer.core.workloads.values import (
    Condition,
    Event,
    NewReplicaSet,
    Pod,
    Progress,
    Rollback,
    Scale,
    Snapshot,
    Truth,
)

_HELD: dict[str, Truth] = {progress.CANARY: "True", progress.CANARY_PAUSED: "Unknown", progress.ABORTED: "False"}


_ORDINARY = frozenset({progress.COMPLETE, progress.PAUSED})
Kind = Literal["Deployment", "Rollout"]


def conditions_of(
    snapshot: Snapshot, census: Census, bounds: Bounds, after: Progress, rollback: Rollback | None = None,
    canary: str = "",
) -> tuple[Condition, ...]:  # fmt: skip
    """`canary`: what one that is under way, or was aborted, has come to."""
    available = _available(census, bounds)
    if rollback:
        return available, Condition("Progressing", "False", rollback.reason, rollback.message)
    if canary and (after.reason in progress.HELD or after.reason not in (*progress.FAILED, *_ORDINARY)):
        waits = sentences.pods(unavailable(snapshot, census.current)) if census.current else ""
        told = f"{canary}; {waits}" if waits and after.reason != progress.ABORTED else canary
        return available, Condition("Progressing", _HELD.get(after.reason, "True"), after.reason, told)
    return available, _progressing(snapshot, census, after)


def failure(snapshot: Snapshot, current: Standing, reason: str, desired: int | None = None) -> str:
    """The sentence about a rollout that failed. `desired`: pods of the new revision, None for all there are to be."""
    deployment = snapshot.deployment
    desired = deployment.replicas if desired is None else desired
    waits = sentences.pods(unavailable(snapshot, current))
    return sentences.failed(
        current.set, reason, deployment.progress_deadline_seconds, current.available, desired, waits
    )


def unavailable(snapshot: Snapshot, standing: Standing) -> list[Pod]:
    min_ready, now = snapshot.deployment.min_ready_seconds, snapshot.now
    return [pod for pod in standing.pods if not is_available(pod, min_ready, now)]


def events_of(
    snapshot: Snapshot,
    census: Census,
    after: Progress,
    made: NewReplicaSet | None,
    scale: Iterable[Scale],
    rollback: Rollback | None,
    *,
    told: bool = False,
) -> tuple[Event, ...]:
    """What happened in this pass, for the Deployment. Nothing is said twice: a reason speaks when it changes. `told`:
    the canary says how it ends."""
    kind, name = snapshot.deployment.kind, snapshot.deployment.name
    found = []
    if made and made.replicas:
        found.append(_event("ScalingReplicaSet", sentences.scaled(made.name, 0, made.replicas), kind, name))
    before = {standing.set.uid: standing.set.replicas for standing in census.standings()}
    for one in scale:
        if one.replicas != before[one.uid]:
            said = sentences.scaled(one.name, before[one.uid], one.replicas)
            found.append(_event("ScalingReplicaSet", said, kind, name))
    if rollback:
        found.append(Event("Warning", "RolledBack", rollback.message, (kind, name)))
    elif after.reason != snapshot.progress.reason and census.current is not None and not told:
        found += _turn(snapshot, census.current, after.reason)
    return tuple(found)


def _turn(snapshot: Snapshot, current: Standing, reason: str) -> list[Event]:
    """The rollout came to an end, good or bad."""
    deployment = snapshot.deployment
    if reason == progress.COMPLETE:
        said = sentences.completed(current.set, deployment.replicas)
        return [_event("RolloutComplete", said, deployment.kind, deployment.name)]
    if reason in progress.FAILED and reason != progress.ABORTED:
        return [Event("Warning", reason, _failing(snapshot, current, reason), (deployment.kind, deployment.name))]
    return []


def _event(reason: str, message: str, kind: Kind, name: str) -> Event:
    return Event("Normal", reason, message, (kind, name))


def _available(census: Census, bounds: Bounds) -> Condition:
    message = sentences.availability(census.available, bounds.minimum, bounds.desired)
    if census.available >= bounds.minimum:
        return Condition("Available", "True", "MinimumReplicasAvailable", message)
    return Condition("Available", "False", "MinimumReplicasUnavailable", message)


def _progressing(snapshot: Snapshot, census: Census, after: Progress) -> Condition:
    deployment, current = snapshot.deployment, census.current
    reason = after.reason
    if reason in progress.FAILED:
        return Condition("Progressing", "False", reason, _failing(snapshot, current, reason))
    if deployment.paused:
        return Condition("Progressing", "Unknown", progress.PAUSED, "Deployment is paused")
    if reason == progress.COMPLETE and current:
        return Condition("Progressing", "True", reason, f'ReplicaSet "{current.set.name}" has successfully progressed.')
    status: Truth = "Unknown" if reason == progress.RESUMED else "True"
    return Condition("Progressing", status, reason, _under_way(snapshot, current))


def _failing(snapshot: Snapshot, current: Standing | None, reason: str) -> str:
    deployment = snapshot.deployment
    if current is None:
        return sentences.not_ended(deployment.progress_deadline_seconds)
    return sentences.stays(failure(snapshot, current, reason), auto_rollback=deployment.auto_rollback)


def _under_way(snapshot: Snapshot, current: Standing | None) -> str:
    deployment = snapshot.deployment
    if current is None:
        return sentences.about_to_start(deployment.template_hash)
    waits = sentences.pods(unavailable(snapshot, current))
    return sentences.progressing(current.set, current.available, deployment.replicas, waits)
