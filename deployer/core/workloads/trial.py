"""A revision on trial: until it has been healthy once, being ready for a moment is not enough.

A container without a readiness probe is ready as soon as it runs. One that crashes after a second is ready for that
second, and in Kubernetes such a push replaces every working pod before the first back-off is over. So, unlike there:

- a revision that was never healthy counts for nothing until one of its pods has stayed ready for `trial_seconds`.
  That costs the first wave of a rollout this time once; the waves after it, and going back, cost nothing;
- until one of its pods is ready at all, not even `maxUnavailable` is given away: an image that cannot be pulled costs
  nobody a pod. Where new pods wait for room, or none may run beside the old ones, old pods go as they do there;
- once one of its pods was restarted, each of its pods has to stay ready for `RETRIAL_SECONDS` to count.

What counts is used to end old pods and to call a rollout complete. The Deployment's status counts as Kubernetes does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployer.core.workloads.values import Deployment, Pod, ReplicaSet

RETRIAL_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Trial:
    """`trusted` are the available pods that count; `proof_at` is when another one may. Not `shown`: it has pods,
    of which none is ready yet, and none waits for room."""

    trusted: int
    proof_at: float | None = None
    shown: bool = True


NO_TRIAL = Trial(0)


def trial_of(deployment: Deployment, revision: ReplicaSet, pods: Sequence[Pod], available: int, now: float) -> Trial:
    """`pods` are the active ones of `revision`, `available` how many of them are."""
    if revision.healthy or not deployment.trial_seconds:
        return Trial(available)
    if not available:
        return Trial(0, shown=not pods or any(pod.ready or _waits_for_room(pod) for pod in pods))
    suspicious = any(pod.restarts for pod in pods)
    needed = max(RETRIAL_SECONDS if suspicious else deployment.trial_seconds, deployment.min_ready_seconds)
    proofs = sorted(pod.ready_at + needed for pod in pods if pod.ready and pod.phase == "Running")
    proven = sum(at <= now for at in proofs)
    if proven and not suspicious:
        return Trial(available)
    return Trial(proven, next((at for at in proofs if at > now), None))


def _waits_for_room(pod: Pod) -> bool:
    """No node takes it: its message says which lack what."""
    return not pod.node and bool(pod.message)
