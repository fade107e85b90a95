"""How a pod ends: deleted by someone, done by itself, or out of time.

Deleted: first the routers must let it go; while one of them may still send it traffic, and at most until `release_by`,
nothing is stopped. Then main containers stop, after them sidecars in reverse order, then the network; at last
containers and volumes are removed. The grace period counts from the first stop that was planned, for all of them
together. A pod that is over (all containers ended for good, an init container failed for good, or
activeDeadlineSeconds passed) keeps its containers for their logs; only what still runs beside them is stopped, at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from deployer.core.actions import RemoveContainer, RemoveVolume, Step
from deployer.core.container import LABEL_CONTAINER, PAUSE_CONTAINER, ContainerSeen
from deployer.core.objects.pod import Container
from deployer.core.pod_containers import stop_container
from deployer.core.pod_desired import Event, PodDesired, PodPlan
from deployer.core.pod_network import LOOK_AGAIN_SECONDS
from deployer.core.pod_observed import observe, recorded
from deployer.core.pod_scene import ALIVE, Scene, has_ended_for_good, observed_status, waiting
from deployer.core.pod_status import ContainerStatus, Phase
from deployer.core.pod_summary import Findings, summarize
from deployer.core.pod_volumes import own_volumes, volume_name

PAUSE_GRACE_SECONDS = 1
Verdict = tuple[Phase, str, str]


def verdict(scene: Scene) -> Verdict | None:
    """(phase, reason, message) of a pod that is over; None while it is to run."""
    if (late := _deadline(scene)) is not None:
        return late
    spec = scene.desired.spec
    for container in spec.init_containers:
        if has_ended_for_good(scene, container) and (failed := _failure(scene, container)) is not None:
            return "Failed", "InitContainerFailed", failed
    if not all(has_ended_for_good(scene, one) for one in spec.containers):
        return None
    failures = [words for one in spec.containers if (words := _failure(scene, one)) is not None]
    return ("Failed", "ContainerFailed", "; ".join(failures)) if failures else ("Succeeded", "", "")


def close_pod(scene: Scene, over: Verdict) -> PodPlan:
    """Stop what still runs of a pod that is over; its containers stay."""
    desired = scene.desired
    stages = _stages(scene)
    grace = desired.spec.termination_grace_period_seconds
    steps = tuple(step for stage in stages for step in _stops(scene, stage, grace))
    found = replace(_findings(scene), verdict=over, initialized=True)
    previous_phase = scene.previous.phase if scene.previous is not None else ""
    events: tuple[Event, ...] = ()
    if previous_phase != over[0]:
        words = f"{desired} has {over[0].lower()}" + (f": {over[2]}" if over[2] else "")
        events = (Event("Normal" if over[0] == "Succeeded" else "Warning", over[1] or over[0], words),)
    after = replace(found, steps=steps)
    return PodPlan(steps, summarize(scene, after), summarize(scene, found), events, _retry_at(scene))


def end_pod(scene: Scene) -> PodPlan:
    """The next steps towards nothing being left of a deleted pod."""
    if _is_draining(scene):
        return _drain(scene)
    desired = scene.desired
    events = _stop_events(scene)
    stopping_at = _stopping_at(scene) or scene.now
    steps = _ending_steps(scene, stopping_at)
    cleaned = bool(scene.previous is not None and scene.previous.cleaned) or not own_volumes(desired)
    if not scene.seen and not cleaned:
        names = (volume_name(desired, one) for one in own_volumes(desired))
        steps = tuple(RemoveVolume(name) for name in names if scene.failure(name) is None)
    found = replace(_findings(scene), stopping_at=stopping_at, cleaned=cleaned)
    after = replace(found, steps=steps, cleaned=cleaned or (bool(steps) and not scene.seen))
    gone = not scene.seen and not steps and cleaned
    wake_at = None if gone or steps else _retry_at(scene) or scene.now + LOOK_AGAIN_SECONDS
    return PodPlan(steps, summarize(scene, after), summarize(scene, found), events, wake_at, gone)


def _is_draining(scene: Scene) -> bool:
    """Whether its stop has to wait for the routers. What has begun to stop, or is over anyway, waits no more."""
    if scene.desired.released or scene.now >= scene.desired.release_by or _stopping_at(scene):
        return False
    return _is_alive(scene) and verdict(scene) is None


def _is_alive(scene: Scene) -> bool:
    """Whether anything but its network runs: what does not run is sent nothing."""
    first, sidecars, _ = _stages(scene)
    return any(seen.state in ALIVE for _, seen in (*first, *sidecars))


def _stopping_at(scene: Scene) -> float:
    return scene.previous.stopping_at if scene.previous is not None else 0


def _drain(scene: Scene) -> PodPlan:
    """Nothing is done: the grace period begins with the stop, not here."""
    is_told = scene.previous is not None and scene.previous.draining_at > 0
    words = "leaves the routers before it is stopped"
    told = () if is_told else (Event("Normal", "Draining", f"{scene.desired} {words}"),)
    status = summarize(scene, replace(_findings(scene), draining_at=scene.now))
    status = replace(status, reason="Draining", message=f"it {words}")
    return PodPlan((), status, status, told, scene.desired.release_by)


def _stop_events(scene: Scene) -> tuple[Event, ...]:
    """Told with the first stop."""
    desired = scene.desired
    if _stopping_at(scene) or not scene.seen:
        return ()
    killing = Event("Normal", "Killing", f"{desired} is deleted; it is stopped")
    if desired.released or not _is_alive(scene) or verdict(scene) is not None:
        return (killing,)
    waited = f"{max(0.0, desired.release_by - desired.deleting_at):.0f} s"
    words = f"{desired} is stopped although not every router has let it go within {waited}; requests to it may fail"
    return Event("Warning", "NotDrained", words), killing


def _deadline(scene: Scene) -> Verdict | None:
    seconds = scene.desired.spec.active_deadline_seconds
    if seconds is None or scene.previous is None or not scene.previous.start_time:
        return None
    if scene.previous.reason != "DeadlineExceeded" and scene.now < scene.previous.start_time + seconds:
        return None
    return "Failed", "DeadlineExceeded", f"the pod was active for longer than activeDeadlineSeconds ({seconds} s)"


def _failure(scene: Scene, container: Container) -> str | None:
    status = _status(scene, container)
    if status.exit_code == 0:
        return None
    code = "" if status.exit_code is None else f" with exit code {status.exit_code}"
    reason = f" ({status.reason})" if status.reason not in ("", "Error") else ""
    return f"container {container.name} ended{code}{reason}"


def _status(scene: Scene, container: Container) -> ContainerStatus:
    seen = scene.seen.current.get(container.name)
    if seen is not None:
        return observed_status(scene, container, seen)
    before = recorded(scene.previous, container.name)
    if before is not None and before.state == "terminated":
        return before
    return waiting(scene, container, "ContainerCreating")


def _findings(scene: Scene) -> Findings:
    spec, previous = scene.desired.spec, scene.previous
    pause = scene.seen.current.get(PAUSE_CONTAINER)
    before = recorded(previous, PAUSE_CONTAINER)
    return Findings(
        containers=tuple(_status(scene, one) for one in spec.containers),
        init_containers=tuple(_status(scene, one) for one in spec.init_containers),
        pause=observe(before, pause, is_init=False, exit_code=None, now=scene.now) if pause is not None else before,
        pod_ip=previous.pod_ip if previous is not None else "",
        initialized=previous is not None and previous.initialized,
    )


def _stages(scene: Scene) -> tuple[list[tuple[Container | None, ContainerSeen]], ...]:
    """What is alive, in the order of stopping: containers and strangers, sidecars from the last, the network."""
    spec, current = scene.desired.spec, scene.seen.current
    plain = [one for one in (*spec.containers, *spec.init_containers) if not one.is_sidecar or one in spec.containers]
    sidecars = [one for one in reversed(spec.init_containers) if one.is_sidecar]
    first: list[tuple[Container | None, ContainerSeen]] = [
        (one, current[one.name]) for one in plain if one.name in current
    ]
    first += [(None, seen) for seen in scene.seen.surplus]
    then: list[tuple[Container | None, ContainerSeen]] = [
        (one, current[one.name]) for one in sidecars if one.name in current
    ]
    last: list[tuple[Container | None, ContainerSeen]] = (
        [(None, current[PAUSE_CONTAINER])] if PAUSE_CONTAINER in current else []
    )
    return first, then, last


def _stops(
    scene: Scene, stage: Iterable[tuple[Container | None, ContainerSeen]], grace_seconds: int
) -> tuple[Step, ...]:
    return tuple(
        stop_container(container, seen.name, _grace(seen, grace_seconds))
        for container, seen in stage
        if seen.state in ALIVE and not _is_held(scene, seen)
    )


def _grace(seen: ContainerSeen, grace_seconds: int) -> int:
    is_pause = seen.labels.get(LABEL_CONTAINER) == PAUSE_CONTAINER
    return min(grace_seconds, PAUSE_GRACE_SECONDS) if is_pause else grace_seconds


def _is_held(scene: Scene, seen: ContainerSeen) -> bool:
    return scene.failure(seen.name) is not None


def _ending_steps(scene: Scene, stopping_at: float) -> tuple[Step, ...]:
    """One stage at a time while several are alive; the last one together with the removal."""
    grace = _grace_left(scene.desired, stopping_at, scene.now)
    first, sidecars, network = _stages(scene)
    stops = _stops(scene, first, grace)
    if stops and any(seen.state in ALIVE for _, seen in sidecars):
        return stops
    everything = [*first, *sidecars, *network]
    if not everything:
        return ()
    stops = (*stops, *_stops(scene, sidecars, grace), *_stops(scene, network, grace))
    removals = tuple(
        RemoveContainer(seen.name) for _, seen in everything if seen.state != "removing" and not _is_held(scene, seen)
    )
    return (*stops, *removals)


def _grace_left(desired: PodDesired, stopping_at: float, now: float) -> int:
    spec = desired.spec.termination_grace_period_seconds
    grace = spec if desired.grace_seconds is None else desired.grace_seconds
    return max(0, math.ceil(grace - (now - stopping_at)))


def _retry_at(scene: Scene) -> float | None:
    return min((one.retry_at for one in scene.pulls.values() if one.retry_at > scene.now), default=None)
