"""What a pod's containers stand on: the namespace's network, the host's, or the pod's own pause container.

A pause container that has stopped or is gone takes the pod's network with it: its containers run on, but nothing
reaches them. Then the pod is made anew (Kubernetes: "pod sandbox changed"): its containers are removed, init
containers run again, all with a new attempt. Docker brings a pause container back by itself; what started before it
came back is restarted to join it (`pod_moves.py`).

A container that has ended for good is left where it is, and under restartPolicy Never nothing is run a second time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from deployer.core.actions import EnsurePauseImage, StartContainer, Step
from deployer.core.container import LABEL_SPEC_HASH, PAUSE_CONTAINER, ContainerSeen
from deployer.core.pod_containers import (
    container_name,
    create_pause,
    ensure_network,
    has_pause,
    pause_hash,
    pod_network_name,
    stop_container,
)
from deployer.core.pod_desired import Event
from deployer.core.pod_observed import attempt_of, next_attempt, observe, recorded
from deployer.core.pod_scene import ALIVE, Footing, Scene, clear_away, has_ended_for_good
from deployer.core.pod_status import ContainerStatus

LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """`lost` names the containers to clear away because the network under them is gone; `steps` then clear them."""

    footing: Footing
    pause: ContainerStatus | None = None
    steps: tuple[Step, ...] = ()
    events: tuple[Event, ...] = ()
    wake_at: float | None = None
    lost: bool = False
    pause_after: ContainerStatus | None = None


def pod_network(scene: Scene) -> PodNetwork:
    """The pod's network as it is, with the steps that make it or clear away what it took along."""
    desired = scene.desired
    if desired.spec.host_network:
        return PodNetwork(Footing("host", desired.node_ip))
    if not has_pause(desired):
        return PodNetwork(Footing(pod_network_name(desired), _address(scene, desired.spec.containers[0].name)))
    seen = scene.seen.current.get(PAUSE_CONTAINER)
    if (why := _gone(scene, seen)) is not None and (clearing := _clearing(scene, seen)):
        words = f"the network container of {desired} {why}; its containers are made again"
        event = Event("Warning", "SandboxChanged", words)
        before = recorded(scene.previous, PAUSE_CONTAINER)
        return PodNetwork(Footing(""), before, clearing, (event,), lost=True, pause_after=_forgotten(before))
    if seen is None:
        return _made(scene)
    return _as_it_is(scene, seen)


def _gone(scene: Scene, seen: ContainerSeen | None) -> str | None:
    """Why the pod's network no longer exists, in words; None while it does."""
    if seen is None:
        return "was removed outside Pierhead"
    if seen.state == "exited":
        return "has stopped"
    if seen.labels.get(LABEL_SPEC_HASH) != pause_hash(scene.desired):
        return "is not made as its pod says"
    if seen.name != container_name(scene.desired, PAUSE_CONTAINER, attempt_of(seen)):
        return f"was renamed to {seen.name} outside Pierhead"
    return None


def _clearing(scene: Scene, pause: ContainerSeen | None) -> tuple[Step, ...]:
    """Main containers that are not done, then init containers, last the pause container itself."""
    spec = scene.desired.spec
    steps: list[Step] = []
    for container in (*spec.containers, *reversed(spec.init_containers)):
        seen = scene.seen.current.get(container.name)
        is_main = container in spec.containers
        if seen is None or (is_main and has_ended_for_good(scene, container)):
            continue
        if is_main and spec.restart_policy == "Never" and seen.state in ALIVE:
            steps.append(stop_container(container, seen.name, spec.termination_grace_period_seconds))
        else:
            steps.extend(clear_away(scene, container, seen))
    if pause is not None:
        steps.extend(clear_away(scene, None, pause))
    return tuple(steps)


def _made(scene: Scene) -> PodNetwork:
    desired = scene.desired
    before = recorded(scene.previous, PAUSE_CONTAINER)
    create = create_pause(desired, next_attempt(desired, scene.seen, PAUSE_CONTAINER), scene.cluster_id)
    name = create.spec.name
    failure = scene.failure(pod_network_name(desired), EnsurePauseImage.__name__, name)
    if failure is not None:
        return PodNetwork(Footing("", problem=failure.message), before, wake_at=failure.retry_at)
    steps = (ensure_network(desired), EnsurePauseImage(), create, StartContainer(name))
    return PodNetwork(Footing(f"container:{name}"), before, steps)


def _as_it_is(scene: Scene, seen: ContainerSeen) -> PodNetwork:
    status = observe(recorded(scene.previous, PAUSE_CONTAINER), seen, is_init=False, exit_code=None, now=scene.now)
    if seen.state == "running":
        return PodNetwork(
            Footing(f"container:{seen.name}", _address(scene, PAUSE_CONTAINER), status.started_at), status
        )
    if seen.state == "restarting":
        return PodNetwork(Footing(""), status, wake_at=scene.now + LOOK_AGAIN_SECONDS)
    if (failure := scene.failure(seen.name)) is not None:
        return PodNetwork(Footing("", problem=failure.message), status, wake_at=failure.retry_at)
    return PodNetwork(Footing(f"container:{seen.name}"), status, (StartContainer(seen.name),))


def _address(scene: Scene, name: str) -> str:
    """The address of the container that owns the network; the recorded one while it was not inspected again."""
    seen, before = scene.seen.current.get(name), recorded(scene.previous, name)
    if seen is None or seen.state != "running":
        return ""
    if seen.detail is not None:
        return seen.detail.ip
    same = before is not None and before.container_id == seen.id
    return scene.previous.pod_ip if same and scene.previous is not None else ""


def _forgotten(before: ContainerStatus | None) -> ContainerStatus | None:
    return replace(before, container_id="", started_at=0) if before is not None else None
