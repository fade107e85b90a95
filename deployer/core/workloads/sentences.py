"""A rollout in sentences: what its pods wait for, what failed, what became of it. Counts first, causes behind.

Only words; what is true was decided elsewhere. A sentence changes when a count or a cause does and not with the
clock, because an unchanged condition is not written again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from deployer.core.workloads.values import Pod, ReplicaSet


@dataclass(frozen=True, slots=True)
class Kind:
    """A way of not being available, as a verb for one pod and for several. `told`: the cause belongs to it."""

    one: str
    many: str
    told: bool = False


CRASHES = Kind("crashes", "crash", told=True)
NO_IMAGE = Kind("cannot get its image", "cannot get their images", told=True)
HELD_UP = Kind("cannot start", "cannot start", told=True)
UNPLACED = Kind("waits for a node", "wait for a node", told=True)
UNSEEN = Kind("is on a node that is not seen", "are on nodes that are not seen")
NOT_READY = Kind("runs and is not ready", "run and are not ready")
RIPENING = Kind("is ready, but not for long enough yet", "are ready, but not for long enough yet")
STARTING = Kind("is starting", "are starting")
KINDS = (CRASHES, NO_IMAGE, HELD_UP, UNPLACED, UNSEEN, NOT_READY, RIPENING, STARTING)

# A container that is being made is on its way; every other reason to wait holds it up.
ON_ITS_WAY = frozenset({"", "ContainerCreating", "PodInitializing", "Pulling"})
COMMIT_LENGTH = 7


def kind_of(pod: Pod) -> Kind:
    """Why a pod that is not available is not."""
    if pod.phase == "Unknown":
        return UNSEEN
    if pod.waiting == "CrashLoopBackOff":
        return CRASHES
    if "Image" in pod.waiting:
        return NO_IMAGE
    if not pod.node:
        return UNPLACED
    if pod.waiting not in ON_ITS_WAY:
        return HELD_UP
    if pod.ready:
        return RIPENING
    return NOT_READY if pod.phase == "Running" else STARTING


def pods(unavailable: Iterable[Pod]) -> str:
    """ "2 crash (exit code 1), 1 waits for a node (0 of 3 nodes fit: 3 lack memory)"; "" without any."""
    found: dict[Kind, list[Pod]] = {kind: [] for kind in KINDS}
    for pod in sorted(unavailable, key=lambda one: one.name):
        found[kind_of(pod)].append(pod)
    return ", ".join(_counted(kind, group) for kind, group in found.items() if group)


def _counted(kind: Kind, group: list[Pod]) -> str:
    verb = kind.one if len(group) == 1 else kind.many
    cause = next((pod.message or pod.waiting for pod in group if pod.message or pod.waiting), "") if kind.told else ""
    return f"{len(group)} {verb}" + (f" ({cause})" if cause else "")


def revision(one: ReplicaSet) -> str:
    """ "revision 4 (commit abc1234)"."""
    return f"revision {one.revision}" + (f" (commit {one.commit[:COMMIT_LENGTH]})" if one.commit else "")


def progressing(current: ReplicaSet, available: int, desired: int, waits: str) -> str:
    counts = f"{available} of {desired} new pods are available"
    return f'ReplicaSet "{current.name}" is progressing: {counts}' + (f": {waits}" if waits else "")


def failed(current: ReplicaSet, reason: str, deadline_seconds: int, available: int, desired: int, waits: str) -> str:
    """ "revision 4 (commit abc1234) failed: 2 of 3 new pods are not available: 2 crash (exit code 1)"."""
    counts = f"{desired - available} of {desired} new pods are not available" + (f": {waits}" if waits else "")
    if reason == "ProgressDeadlineExceeded":
        counts = f"no progress for {deadline_seconds} s; {counts}"
    return f"{revision(current)} failed: {counts}"


def rolled_back(failure: str, target: ReplicaSet) -> str:
    return f"{failure}; rolled back to {revision(target)}"


def canary_aborted(canary: ReplicaSet, why: str, stable: ReplicaSet) -> str:
    return f"the canary of {revision(canary)} was aborted: {why}; back at {revision(stable)}"


def stays(failure: str, *, auto_rollback: bool) -> str:
    """Why nothing is rolled back."""
    if not auto_rollback:
        return f"{failure}; automatic rollback is switched off, so it is tried again"
    return f"{failure}; there is no healthy revision to go back to, so it is tried again"


def about_to_start(template_hash: str) -> str:
    return f"a revision with template {template_hash} is about to start"


def not_ended(deadline_seconds: int) -> str:
    """Recreate, whose old pods do not go."""
    return f"no progress for {deadline_seconds} s: the new revision waits for old pods that have not ended"


def completed(current: ReplicaSet, desired: int) -> str:
    return f"{revision(current)} is complete: {desired} of {desired} pods are available"


def availability(available: int, minimum: int, desired: int) -> str:
    enough = "has" if available >= minimum else "does not have"
    return f"Deployment {enough} minimum availability: {available} of {desired} pods are available, {minimum} must be."


def scaled(name: str, before: int, after: int) -> str:
    """Kubernetes' words."""
    return f"Scaled {'up' if after > before else 'down'} replica set {name} from {before} to {after}"


def replaced(names: Iterable[str]) -> str:
    made = list(names)
    return f"Created {len(made)} pod{'s' if len(made) > 1 else ''} in place of what is gone: {', '.join(made)}"
