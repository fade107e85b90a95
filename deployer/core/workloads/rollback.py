"""The automatic rollback: when a new revision has failed and an earlier one is known to work.

Level-triggered: it follows from the stored reason, so a pass that was lost is made up for. Never while a rollout is
paused (a person is looking), never when the Deployment opted out, never to a revision that has not been healthy. One
that was overtaken before its rollout was complete counts as healthy when it serves everybody, without a restart.
"""

from __future__ import annotations

from dataclasses import replace

from deployer.core.workloads import conditions, sentences
from deployer.core.workloads.census import Census, Standing
from deployer.core.workloads.history import rollback_target
from deployer.core.workloads.progress import FAILED
from deployer.core.workloads.trial import trial_of
from deployer.core.workloads.values import Progress, ReplicaSet, Rollback, Snapshot


def rollback_of(snapshot: Snapshot, census: Census, after: Progress) -> Rollback | None:
    deployment, current = snapshot.deployment, census.current
    if after.reason not in FAILED or current is None or deployment.paused or not deployment.auto_rollback:
        return None
    target = rollback_target((current.set, *(_judged(snapshot, one) for one in census.old)), current.set)
    if target is None:
        return None
    return Rollback(
        to_revision=target.revision,
        from_revision=current.set.revision,
        reason=after.reason,
        message=sentences.rolled_back(conditions.failure(snapshot, current, after.reason), target),
        log_tail=last_lines(current),
    )


def _judged(snapshot: Snapshot, old: Standing) -> ReplicaSet:
    """The old set, healthy if its pods have proved it by now."""
    deployment = snapshot.deployment
    if old.set.healthy or not deployment.replicas or any(pod.restarts for pod in old.pods):
        return old.set
    trusted = trial_of(deployment, old.set, old.pods, old.available, snapshot.now).trusted
    return replace(old.set, healthy=min(trusted, old.available) >= deployment.replicas)


def last_lines(current: Standing) -> str:
    """Of the pod that failed most often."""
    telling = [pod for pod in current.pods if pod.log_tail and not pod.ready]
    return min(telling, key=lambda pod: (-pod.restarts, pod.name)).log_tail if telling else ""
