"""The kubelet, from afar and pure: what the containers of one host must become, decided from one listing of them.

Two doors. `attention` is for every look: it goes through all pods of a node and names the few that need more than a
glance, at a cost of microseconds a pod. `plan_pod` is for those few: this pod as desired, its containers as observed,
and now, to the next steps and its status. It is level-triggered: it never assumes that a step was taken, so a turn may
be killed anywhere and repeated. The loop executes the steps in order, inspects what changed, and asks again until
there are none.

The order of a pod: what is surplus goes; its images come first, before anything is stopped; its network; volumes;
init containers one after another; then all main containers together. It ends the other way round (`pod_ending.py`).

Never touches a container without this cluster's and this pod's labels. Never waits: `wake_at` says when to look again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from deployer.core.container import LABEL_COMPONENT, LABEL_POD_UID, ContainerSeen, ImageSeen
from deployer.core.pod_adoption import AdoptedPod, adopt
from deployer.core.pod_desired import Event, PodDesired, PodPlan, PullFailure
from deployer.core.pod_ending import close_pod, end_pod, verdict
from deployer.core.pod_failures import pull_failed, step_failed
from deployer.core.pod_keeping import keep_pod, read_pod
from deployer.core.pod_observed import look
from deployer.core.pod_scene import Scene, with_losses
from deployer.core.pod_summary import transitions

__all__ = [
    "AdoptedPod",
    "Attention",
    "Event",
    "PodDesired",
    "PodPlaced",
    "PodPlan",
    "PullFailure",
    "adopt",
    "attention",
    "plan_pod",
    "pull_failed",
    "settled_digest",
    "step_failed",
]

UPTIME_SLACK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PodPlaced:
    """A pod of a node, for the fast path. `settled` is the digest stored with its last steady status, "" = look.

    `started_at` (our clock) is the latest start of its containers that was recorded, 0 for none.
    """

    uid: str
    deleting: bool = False
    settled: str = ""
    started_at: float = 0


@dataclass(frozen=True, slots=True)
class Attention:
    """`pods`: uids that need work or a new status. `inspect`: ids of containers to inspect before planning them.
    `unknown`: containers of this cluster whose pod is not placed here."""

    pods: frozenset[str]
    inspect: frozenset[str]
    unknown: tuple[ContainerSeen, ...]


def attention(
    placed: Iterable[PodPlaced], observed: Iterable[ContainerSeen], dirty: frozenset[str], now: float
) -> Attention:
    """The pods of a node that a listing shows not to be settled. `dirty` holds pod uids and container ids."""
    by_pod: dict[str, list[ContainerSeen]] = defaultdict(list)
    for seen in observed:
        if LABEL_COMPONENT in seen.labels:
            continue  # the node's router: nobody's pod
        by_pod[seen.labels.get(LABEL_POD_UID, "")].append(seen)
    pods: set[str] = set()
    inspect: set[str] = set()
    for pod in placed:
        containers = by_pod.pop(pod.uid, [])
        if not _is_settled(pod, containers, dirty, now):
            pods.add(pod.uid)
            inspect.update(seen.id for seen in containers if seen.state not in ("removing", "dead"))
    unknown = sorted((seen for group in by_pod.values() for seen in group), key=lambda seen: (seen.name, seen.id))
    return Attention(frozenset(pods), frozenset(inspect), tuple(unknown))


def settled_digest(observed: Iterable[ContainerSeen]) -> str:
    """Identity, name, state and health of a pod's containers, in any order; never "" (a pod may be steady without)."""
    return ";".join(sorted(f"{one.id[:16]}:{one.name}:{one.state}:{one.health}" for one in observed)) or "none"


def plan_pod(
    desired: PodDesired,
    observed: Sequence[ContainerSeen],
    *,
    cluster_id: str,
    pulls: Mapping[str, PullFailure],
    present_images: Mapping[str, ImageSeen] | None = None,
    allow_start: bool = True,
    now: float,
) -> PodPlan:
    """The next steps for one pod, and its status once they are taken; see the module's text.

    `observed` holds this pod's containers, inspected where their state is not known already. `present_images` is keyed
    by whatever reference was asked for (as written, or pinned). Without `allow_start` the pod is only looked at.
    """
    seen = look(desired, observed, cluster_id)
    failures = desired.previous.failures if desired.previous is not None else {}
    scene = with_losses(Scene(desired, seen, cluster_id, {**pulls, **failures}, present_images or {}, now))
    if not allow_start:
        return _told(scene, read_pod(scene))
    if desired.deleting_at:
        return end_pod(scene)
    if (over := verdict(scene)) is not None:
        return _told(scene, close_pod(scene, over))
    return _told(scene, keep_pod(scene))


def _is_settled(pod: PodPlaced, containers: Sequence[ContainerSeen], dirty: frozenset[str], now: float) -> bool:
    if pod.deleting or not pod.settled or pod.uid in dirty or settled_digest(containers) != pod.settled:
        return False
    age = now - pod.started_at
    return not any(seen.id in dirty or _restarted(seen, pod, age) for seen in containers)


def _restarted(seen: ContainerSeen, pod: PodPlaced, age: float) -> bool:
    """Whether it must have started after the latest start recorded.

    An engine rounds: 119 s are "About a minute". At most half of an uptime is lost: 45 s listed at an age of 60 s is
    the same run, 20 s at an age of 60 s is another.
    """
    if seen.uptime_seconds is None or not pod.started_at:
        return False
    return seen.uptime_seconds * 2 + UPTIME_SLACK_SECONDS < age


def _told(scene: Scene, plan: PodPlan) -> PodPlan:
    words = "container {} of {} was removed outside Pierhead; its restart policy is Never"
    lost = (Event("Warning", "Removed", words.format(name, scene.desired)) for name in scene.lost)
    return replace(plan, events=(*lost, *plan.events, *transitions(scene.desired, plan.seen)))
