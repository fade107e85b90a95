"""Is the rollout getting anywhere? The reason of the Progressing condition, and what the deadline counts from.

Kubernetes' rule (pkg/controller/deployment/progress.go). Progress is: more updated pods, fewer old ones, more ready or
more available ones than were stored last. Without any for `progressDeadlineSeconds` the rollout has timed out; that
holds for one that never started as well. After success there is no deadline any more, however the pods fare. A pause
does not count, and the deadline starts anew when it ends. Time has no event, so whoever waits needs `deadline_at`.

One reason is Pierhead's own: CrashLoopBackOff. Docker starts a crashed container again after 0.1 s, then after twice
as long each time, so five restarts take about 7 s. When more new pods have crashed that often than are ready, waiting
for the deadline would teach nothing. The same evidence counts for `WATCH_SECONDS` after success, against a revision
that fell over as soon as it had replaced the one before; later crashes are no reason to go back.

A canary has reasons of its own, given as `held`: it is tried, it waits for a person, it was aborted. None is timed; the
deadline starts anew when it waits for its pods again.
"""

from __future__ import annotations

from deployer.core.workloads.census import Census, Standing
from deployer.core.workloads.values import Deployment, Pod, Progress, Snapshot

NEW_REPLICA_SET = "NewReplicaSetCreated"
FOUND_REPLICA_SET = "FoundNewReplicaSet"
UPDATED = "ReplicaSetUpdated"
COMPLETE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
CRASHING = "CrashLoopBackOff"
PAUSED = "DeploymentPaused"
RESUMED = "DeploymentResumed"
CANARY = "CanaryInProgress"
CANARY_PAUSED = "CanaryPaused"
ABORTED = "RolloutAborted"

FAILED = frozenset({TIMED_OUT, CRASHING, ABORTED})
HELD = frozenset({CANARY, CANARY_PAUSED, ABORTED})
UNTIMED = frozenset({COMPLETE, TIMED_OUT, PAUSED, *HELD})

CRASHES_ARE_EVIDENCE = 5  # restarts
WATCH_SECONDS = 30.0
NO_DEADLINE = 2**31 - 1  # as Kubernetes: the largest int32 is "none"
CLOCK_STEP_SECONDS = 0.01  # "later than the deadline" must hold when the wake-up comes


def progress_of(snapshot: Snapshot, census: Census, started: str, held: str = "") -> Progress:
    """The progress to store. `started` is the reason when this pass begins a revision, else ""; `held` that of a canary
    which waits for something else than pods."""
    deployment, before = snapshot.deployment, snapshot.progress
    reason, at = _reason(snapshot, census, started, held)
    after = Progress(
        observed_generation=deployment.generation,
        updated=census.updated,
        ready=census.ready,
        available=census.available,
        replicas=census.pods,
        last_progress_at=at,
        reason=reason,
        desired=deployment.replicas,
        of_template=deployment.template_hash if started or census.current is not None else before.of_template,
    )
    return before if after == before else after


def is_complete(deployment: Deployment, census: Census) -> bool:
    """updated = total = available = desired, and they are trusted. The pass that asks observes the generation."""
    trusted = census.current.trusted if census.current else 0
    return deployment.replicas == census.updated == census.pods == census.available == trusted


def deadline_at(deployment: Deployment, progress: Progress) -> float | None:
    """When the deadline will have passed, None when nothing is timed."""
    if progress.reason in UNTIMED or not _has_deadline(deployment):
        return None
    return progress.last_progress_at + deployment.progress_deadline_seconds + CLOCK_STEP_SECONDS


def crashing(current: Standing) -> list[Pod]:
    """New pods that cannot stay up: not ready, restarted often, and waiting to be started again."""
    return [pod for pod in current.pods if pod.waiting == CRASHING and _is_evidence(pod)]


def _is_evidence(pod: Pod) -> bool:
    return not pod.ready and pod.ready_at == 0 and pod.restarts >= CRASHES_ARE_EVIDENCE


def _reason(snapshot: Snapshot, census: Census, started: str, held: str) -> tuple[str, float]:
    deployment, before, now = snapshot.deployment, snapshot.progress, snapshot.now
    succeeded = before.reason == COMPLETE and census.current is not None and not started
    if deployment.paused:
        return (before.reason if succeeded or before.reason == TIMED_OUT else PAUSED), before.last_progress_at
    if held:
        return held, before.last_progress_at if before.reason == held else now
    if succeeded:
        fell = now - before.last_progress_at < WATCH_SECONDS and _is_crashing(census)
        return CRASHING if fell else COMPLETE, before.last_progress_at
    if census.current is not None and is_complete(deployment, census):
        return COMPLETE, now
    if started:
        return started, now
    if before.reason == PAUSED:
        return RESUMED, now
    if before.reason in HELD:
        return (CRASHING if _is_crashing(census) else UPDATED), now
    return _unfinished(snapshot, census)


def _unfinished(snapshot: Snapshot, census: Census) -> tuple[str, float]:
    """A rollout under way: it moved, it stands still, it is over time, or it cannot work."""
    deployment, before, now = snapshot.deployment, snapshot.progress, snapshot.now
    at = before.last_progress_at
    if _moved_on(before, census) or before.reason in ("", COMPLETE):
        return UPDATED, now
    if before.reason == TIMED_OUT:
        return TIMED_OUT, at
    if _has_deadline(deployment) and at + deployment.progress_deadline_seconds < now:
        return TIMED_OUT, at
    return CRASHING if _is_crashing(census) else before.reason, at


def _is_crashing(census: Census) -> bool:
    return census.current is not None and len(crashing(census.current)) > census.current.ready


def _moved_on(before: Progress, census: Census) -> bool:
    return (
        census.updated > before.updated
        or census.pods - census.updated < before.replicas - before.updated
        or census.ready > before.ready
        or census.available > before.available
    )


def _has_deadline(deployment: Deployment) -> bool:
    return 0 < deployment.progress_deadline_seconds < NO_DEADLINE
