"""Emptying a node that is drained: a pod there goes when others can do without it.

A pod on such a node stops counting, so its set makes a new one, which is placed elsewhere; until that is available the
old one serves. So a drain starts before it stops, like a rollout, and never takes availability below what the
Deployment allows. Kubernetes' own drain deletes first, unless a PodDisruptionBudget forbids it.

A pod that does not serve goes at once, and so does one whose template is not known: nothing can replace it.
"""

from __future__ import annotations

from deployer.core.workloads.census import Census, is_available
from deployer.core.workloads.rolling import Bounds
from deployer.core.workloads.values import DeletePod, Pod, Snapshot

REASON = "its node is drained"


def evictions(snapshot: Snapshot, census: Census, bounds: Bounds) -> tuple[DeletePod, ...]:
    """Who may go now. 3 desired, 0 unavailable, one evicted: 2 + 1 - 3 = 0; with its replacement 3 + 1 - 3 = 1."""
    min_ready, now = snapshot.deployment.min_ready_seconds, snapshot.now
    serving: list[Pod] = []
    gone: list[Pod] = []
    for standing in census.standings():
        for pod in standing.evicted:
            bound = census.may_grow(standing) and is_available(pod, min_ready, now)
            (serving if bound else gone).append(pod)
    spare = census.available + len(serving) - bounds.minimum
    serving.sort(key=lambda pod: pod.name)
    gone.sort(key=lambda pod: pod.name)
    return tuple(DeletePod(pod.uid, pod.name, REASON) for pod in (*gone, *serving[: max(0, spare)]))

