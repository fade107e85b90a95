"""A pod's status out of its containers': phase, conditions, the one reason a person reads, and what to remember.

Phases and conditions are Kubernetes' (`getPhase` of the kubelet; API reference, PodStatus). `reason` and `message`
say in one sentence what keeps the pod from being ready; a steady pod's status does not change from look to look, so
that nothing is written for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployer.core.actions import EnsureVolume, Step
from deployer.core.pod_desired import Event, PodDesired
from deployer.core.pod_failures import forgiven
from deployer.core.pod_scene import Scene
from deployer.core.pod_status import ContainerStatus, Phase, PodCondition, PodStatus
from deployer.core.pod_volumes import content_digest

_QUIET = ("", "Completed", "ContainerCreating", "PodInitializing")


@dataclass(frozen=True, slots=True)
class Findings:
    """What one look has come to. `verdict`: (phase, reason, message) of a pod that is over, else None."""

    containers: tuple[ContainerStatus, ...]
    init_containers: tuple[ContainerStatus, ...] = ()
    pause: ContainerStatus | None = None
    pod_ip: str = ""
    initialized: bool = False
    steps: tuple[Step, ...] = ()
    verdict: tuple[Phase, str, str] | None = None
    draining_at: float = 0  # the first time counts
    stopping_at: float = 0
    cleaned: bool = False


def summarize(scene: Scene, found: Findings) -> PodStatus:
    """The pod's status. `found.steps` are taken as done: volumes are written, old failures are over."""
    previous = scene.previous or PodStatus()
    waiting = _unready(scene, found)
    phase, reason, message = found.verdict or (_phase(found), *_reason(waiting))
    ready = found.verdict is None and phase == "Running" and not waiting
    return PodStatus(
        phase=phase,
        ready=ready,
        ready_at=_ready_at(previous, found, scene.now) if ready else 0,
        reason=reason,
        message=message,
        pod_ip=found.pod_ip,
        host_ip=scene.desired.node_ip,
        start_time=previous.start_time or scene.now,
        containers=found.containers,
        init_containers=found.init_containers,
        conditions=_conditions(scene, previous, found, ready, waiting),
        pause=found.pause,
        initialized=found.initialized,
        volumes=_volumes(scene, previous, found),
        failures=forgiven(previous.failures, found.steps, scene.now),
        draining_at=previous.draining_at or found.draining_at,
        stopping_at=found.stopping_at,
        cleaned=found.cleaned,
    )


def transitions(desired: PodDesired, status: PodStatus) -> tuple[Event, ...]:
    """What has happened to the containers since `desired.previous`, one event for each thing."""
    events: list[Event] = []
    for now in (*status.init_containers, *status.containers):
        before = desired.previous.container(now.name) if desired.previous is not None else None
        events.extend(_container_events(desired, before or ContainerStatus(now.name), now))
    return tuple(events)


def _unready(scene: Scene, found: Findings) -> tuple[ContainerStatus, ...]:
    """Containers that keep the pod from being ready, in the order of the spec, init containers first."""
    sidecars = {one.name for one in scene.desired.spec.init_containers if one.is_sidecar}
    inits = [one for one in found.init_containers if not one.ready and (one.name in sidecars or not _succeeded(one))]
    return (*(inits if not found.initialized else [one for one in inits if one.name in sidecars]),
            *(one for one in found.containers if not one.ready and not _succeeded(one)))  # fmt: skip


def _succeeded(one: ContainerStatus) -> bool:
    return one.state == "terminated" and one.exit_code == 0


def _reason(unready: Sequence[ContainerStatus]) -> tuple[str, str]:
    """The first container with something to say, else the first that is merely not there yet."""
    if not unready:
        return "", ""
    loud = [one for one in unready if one.reason not in _QUIET]
    first = (loud or list(unready))[0]
    reason = first.reason or ("PodInitializing" if first.is_init and not first.ready_once else "ContainersNotReady")
    return reason, f"container {first.name}: {first.message or _plainly(first)}"


def _plainly(one: ContainerStatus) -> str:
    if one.state == "running" and one.is_init:
        return "runs before the others"
    if one.state == "running":
        return "runs, and is not ready yet"
    if one.state == "terminated":
        return "ended" if one.exit_code is None else f"ended with exit code {one.exit_code}"
    return {"PodInitializing": "waits for the init containers", "ContainerCreating": "is being created"}.get(
        one.reason, "is waiting"
    )


def _phase(found: Findings) -> Phase:
    """Running as soon as one main container has been started, also between two runs of it; before that Pending."""
    if not found.initialized:
        return "Pending"
    started = [one for one in found.containers if one.state != "waiting" or one.last is not None or one.started_at]
    return "Running" if started and len(started) == len(found.containers) else "Pending"


def _ready_at(previous: PodStatus, found: Findings, now: float) -> float:
    """Ready since then without a break: a container that ended and came back between two looks starts it anew."""
    before = {(one.container_id, one.started_at) for one in previous.containers}
    same = before == {(one.container_id, one.started_at) for one in found.containers}
    return previous.ready_at if previous.ready and same else now


def _conditions(
    scene: Scene, previous: PodStatus, found: Findings, ready: bool, unready: Sequence[ContainerStatus]
) -> tuple[PodCondition, ...]:
    before = {one.type: one for one in previous.conditions}
    names = ", ".join(one.name for one in unready)
    over = found.verdict is not None
    why = ("PodCompleted", "") if over else ("ContainersNotReady", f"containers that are not ready: {names}")
    said = ("", "") if ready else why
    initializing = ("", "") if found.initialized else ("ContainersNotInitialized", f"containers not done: {names}")
    rows = (
        ("PodScheduled", True, ("", "")),
        ("Initialized", found.initialized, initializing),
        ("ContainersReady", ready, said),
        ("Ready", ready, said),
    )
    return tuple(_condition(before.get(kind), kind, status, words, scene.now) for kind, status, words in rows)


def _condition(
    before: PodCondition | None, kind: str, status: bool, words: tuple[str, str], now: float
) -> PodCondition:
    changed_at = before.changed_at if before is not None and before.status == status else now
    return PodCondition(kind, status, changed_at, *words)


def _volumes(scene: Scene, previous: PodStatus, found: Findings) -> Mapping[str, str]:
    written = {
        step.spec.name: content_digest(scene.desired, step) for step in found.steps if isinstance(step, EnsureVolume)
    }
    return {**previous.volumes, **written}


def _container_events(desired: PodDesired, before: ContainerStatus, now: ContainerStatus) -> list[Event]:
    events: list[Event] = []
    what = f"container {now.name} of {desired}"
    if now.state == "running" and now.started_at and before.started_at != now.started_at:
        events.append(Event("Normal", "Started", f"{what} was started"))
    same = now.container_id == before.container_id
    if same and now.restarts > before.restarts and now.last is not None and now.last != before.last:
        events.append(Event("Warning", "Restarted", f"{what} {_ending(now)} and was started again"))
    if now.state == "waiting" and now.reason != before.reason and now.reason not in _QUIET:
        told = f": {now.message}" if now.message else ""
        events.append(Event("Warning", _event_reason(now.reason), f"{what}: {now.reason}{told}"))
    return events


def _event_reason(reason: str) -> str:
    return {"CrashLoopBackOff": "BackOff", "ImagePullBackOff": "BackOff"}.get(reason, "Failed")


def _ending(one: ContainerStatus) -> str:
    if one.last is None or one.last.exit_code is None:
        return "ended"
    if one.last.reason == "OOMKilled":
        return "used more memory than its limit, was ended"
    return f"ended with exit code {one.last.exit_code}"
