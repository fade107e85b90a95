"""Keeping a pod: in which order its parts are made, and everything about it that is more than one container.

What is surplus goes first, so that ports and names are free; then images, before anything is stopped; the network;
new content of config volumes; init containers one after another, a sidecar among them as soon as it has started; then
all main containers together, created before the first is started.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from deployer.core.actions import CreateContainer, EnsureVolume, Step
from deployer.core.container import LABEL_CONTAINER, ContainerSeen
from deployer.core.objects.pod import Container
from deployer.core.pod_containers import ensure_network, has_pause
from deployer.core.pod_creation import image_steps
from deployer.core.pod_desired import CONFIG_ROLLOUT, PodPlan
from deployer.core.pod_ending import verdict
from deployer.core.pod_environment import ConfigProblem
from deployer.core.pod_moves import container_move, judged
from deployer.core.pod_network import PodNetwork, pod_network
from deployer.core.pod_observed import recorded
from deployer.core.pod_probes import probe_findings, with_findings
from deployer.core.pod_scene import Footing, Move, Scene, clear_away, has_ended_for_good, observed_status, waiting
from deployer.core.pod_status import ContainerStatus
from deployer.core.pod_summary import Findings, summarize
from deployer.core.pod_volumes import content_digest, ensure_volume, mounted, own_volumes, volume_name


def keep_pod(scene: Scene) -> PodPlan:
    """The steps towards the pod as it is to run, in the module's order."""
    surplus = tuple(step for seen in scene.seen.surplus for step in _surplus_steps(scene, seen))
    network = pod_network(scene)
    if network.lost:
        return _rebuild(scene, network, surplus)
    inits, mains, initialized = _moves(scene, network.footing)
    moves = (*inits, *mains)
    prepare = tuple(step for move in moves for step in move.prepare)
    steps = _once(
        (
            *surplus,
            *image_steps(scene, _to_come(scene)),
            *_network_steps(scene, network, prepare),
            *_new_content(scene),
            *prepare,
            *(step for move in moves for step in move.start),
        )
    )
    found = Findings(
        containers=tuple(move.status for move in mains),
        init_containers=tuple(move.status for move in inits),
        pause=network.pause,
        pod_ip=network.footing.pod_ip,
        initialized=initialized,
    )
    after = replace(
        found,
        containers=tuple(move.after or move.status for move in mains),
        init_containers=tuple(move.after or move.status for move in inits),
        steps=steps,
    )
    events = (*network.events, *(event for move in moves for event in move.events))
    return PodPlan(steps, summarize(scene, after), summarize(scene, found), events, _wake_at(scene, network, moves))


def read_pod(scene: Scene) -> PodPlan:
    """What is seen of the pod, and no step."""
    spec = scene.desired.spec
    network = pod_network(scene)
    found = Findings(
        containers=tuple(_read(scene, one) for one in spec.containers),
        init_containers=tuple(_read(scene, one) for one in spec.init_containers),
        pause=network.pause,
        pod_ip=network.footing.pod_ip,
        initialized=_is_initialized(scene),
        verdict=verdict(scene),
    )
    status = summarize(scene, found)
    return PodPlan((), status, status)


def _surplus_steps(scene: Scene, seen: ContainerSeen) -> tuple[Step, ...]:
    name = seen.labels.get(LABEL_CONTAINER, "")
    if seen.state == "removing" or scene.failure(seen.name) is not None:
        return ()
    spec = scene.desired.spec
    container = next((one for one in (*spec.init_containers, *spec.containers) if one.name == name), None)
    return clear_away(scene, container, seen)


def _rebuild(scene: Scene, network: PodNetwork, surplus: tuple[Step, ...]) -> PodPlan:
    """All that stood on the lost network goes; the next look finds nothing and begins anew."""
    spec = scene.desired.spec
    steps = (*surplus, *network.steps)
    found = Findings(
        containers=tuple(replace(_read(scene, one), ready=False) for one in spec.containers),
        init_containers=tuple(_read(scene, one) for one in spec.init_containers),
        pause=network.pause,
    )
    after = Findings(
        containers=tuple(_cleared(scene, one) for one in spec.containers),
        init_containers=tuple(_cleared(scene, one) for one in spec.init_containers),
        pause=network.pause_after,
        steps=steps,
    )
    return PodPlan(steps, summarize(scene, after), summarize(scene, found), network.events)


def _cleared(scene: Scene, container: Container) -> ContainerStatus:
    if container in scene.desired.spec.containers and has_ended_for_good(scene, container):
        return _read(scene, container)
    seen = scene.seen.current.get(container.name)
    if seen is None:
        return waiting(scene, container, "ContainerCreating")
    status = observed_status(scene, container, seen)
    return replace(status, container_id="", state="waiting", reason="ContainerCreating", message="", exit_code=None)


def _moves(scene: Scene, footing: Footing) -> tuple[list[Move], list[Move], bool]:
    """Moves of the init containers, of the main ones, and whether all init containers are done."""
    spec = scene.desired.spec
    initialized = _is_initialized(scene)
    inits: list[Move] = []
    reached = True
    for container in spec.init_containers:
        if initialized and not container.is_sidecar:
            inits.append(Move(_read(scene, container)))
        elif initialized or reached:
            inits.append(container_move(scene, container, footing))
            reached = reached and _has_passed(container, inits[-1])
        else:
            inits.append(Move(_read(scene, container)))
    if not initialized and not reached:
        return inits, [Move(waiting(scene, one, "PodInitializing")) for one in spec.containers], False
    return inits, [container_move(scene, one, footing) for one in spec.containers], True


def _is_initialized(scene: Scene) -> bool:
    """Whether the init containers are done: recorded so with this network, or a main container runs already."""
    spec = scene.desired.spec
    if not spec.init_containers:
        return True
    if any(one.name in scene.seen.current and not has_ended_for_good(scene, one) for one in spec.containers):
        return True
    return scene.previous is not None and scene.previous.initialized and scene.same_sandbox


def _has_passed(container: Container, move: Move) -> bool:
    """An init container has passed when it ended with 0, a sidecar when it runs and its startup probe has passed."""
    if container.is_sidecar:
        return move.status.state == "running" and move.status.started and not move.prepare and not move.start
    return move.status.state == "terminated" and move.status.exit_code == 0


def _read(scene: Scene, container: Container) -> ContainerStatus:
    """The status of a container that is not to be moved now."""
    seen = scene.seen.current.get(container.name)
    if seen is None:
        before = recorded(scene.previous, container.name)
        kept = before is not None and (before.state == "terminated" or has_ended_for_good(scene, container))
        return before if before is not None and kept else waiting(scene, container, "PodInitializing")
    status = observed_status(scene, container, seen)
    if seen.state != "running":
        return status
    found = probe_findings(scene.desired, container, seen, status)
    return judged(scene, container, found, with_findings(status, found)).status


def _to_come(scene: Scene) -> tuple[Container, ...]:
    """The containers whose images will be needed, main ones first: those are waited for by people."""
    spec = scene.desired.spec
    initialized = _is_initialized(scene)
    return (*spec.containers, *(one for one in spec.init_containers if one.is_sidecar or not initialized))


def _network_steps(scene: Scene, network: PodNetwork, prepare: Iterable[Step]) -> tuple[Step, ...]:
    desired = scene.desired
    if has_pause(desired) or desired.spec.host_network:
        return network.steps
    creates = any(isinstance(step, CreateContainer) for step in prepare)
    return (ensure_network(desired),) if creates else ()


def _new_content(scene: Scene) -> tuple[EnsureVolume, ...]:
    """Config volumes in use whose content has changed, where no rollout will replace the pod for it.

    An object that has gone meanwhile changes nothing: what was written stays, as in Kubernetes.
    """
    desired = scene.desired
    if desired.owner and desired.annotations.get(CONFIG_ROLLOUT) != "off":
        return ()
    used = {
        volume.name
        for container in (*desired.spec.init_containers, *desired.spec.containers)
        if container.name in scene.seen.current
        for volume in mounted(desired, container)
    }
    written = scene.previous.volumes if scene.previous is not None else {}
    steps = []
    for volume in own_volumes(desired):
        if volume.name not in used or volume.empty_dir is not None:
            continue
        if scene.failure(volume_name(desired, volume)) is not None:
            continue
        try:
            step = ensure_volume(desired, volume, scene.cluster_id)
        except ConfigProblem:
            continue
        if written.get(step.spec.name) != content_digest(desired, step):
            steps.append(step)
    return tuple(steps)


def _once(steps: Iterable[Step]) -> tuple[Step, ...]:
    """A volume that several containers share, or an image, is asked for once: the first time."""
    kept: list[Step] = []
    volumes: set[str] = set()
    for step in steps:
        if isinstance(step, EnsureVolume):
            if step.spec.name in volumes:
                continue
            volumes.add(step.spec.name)
        kept.append(step)
    return tuple(kept)


def _wake_at(scene: Scene, network: PodNetwork, moves: Iterable[Move]) -> float | None:
    times = [network.wake_at, *(move.wake_at for move in moves)]
    deadline = scene.desired.spec.active_deadline_seconds
    if deadline is not None:
        began_at = scene.previous.start_time if scene.previous is not None else 0
        times.append((began_at or scene.now) + deadline)
    return min((time for time in times if time is not None), default=None)
