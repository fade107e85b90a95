"""What a look at one pod works on: the scene, the answer for one container, and what both halves of the kubelet ask.

Shared by `pod_creation.py` (a container that is not there), `pod_moves.py` (one that is), `pod_network.py` and
`node.py`. Holds no steps of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from deployer.core.actions import RemoveContainer, Step
from deployer.core.container import PAUSE_CONTAINER, ContainerSeen, ImageSeen
from deployer.core.objects.pod import Container
from deployer.core.pod_containers import has_pause, restart_policy, stop_container
from deployer.core.pod_desired import Event, PodDesired, PullFailure
from deployer.core.pod_observed import PodSeen, observe, recorded
from deployer.core.pod_status import ContainerStatus, PodStatus

ALIVE = ("running", "paused", "restarting")
"""Engine states of a container that has to be stopped before it can be removed."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a look at one pod is given. `pulls`: what was refused and when it may be tried again,
    keyed by image, or by the full name of a container, volume or network. `present` is keyed by reference.
    `lost` names containers that are gone and will not be made again (`with_losses`)."""

    desired: PodDesired
    seen: PodSeen
    cluster_id: str
    pulls: Mapping[str, PullFailure]
    present: Mapping[str, ImageSeen]
    now: float
    lost: tuple[str, ...] = ()

    @property
    def previous(self) -> PodStatus | None:
        return self.desired.previous

    @property
    def same_sandbox(self) -> bool:
        """Whether the records were made with the pause container that is there now (or the pod needs none)."""
        if not has_pause(self.desired) or self.previous is None:
            return True
        pause, before = self.seen.current.get(PAUSE_CONTAINER), self.previous.pause
        return pause is not None and before is not None and pause.id == before.container_id

    def failure(self, *keys: str) -> PullFailure | None:
        """The first of these (an image, a full container name, ...) that waits for its next try, not due yet."""
        found = next((self.pulls[key] for key in keys if key in self.pulls), None)
        return found if found is not None and found.retry_at > self.now else None


@dataclass(frozen=True, slots=True)
class Footing:
    """The network a container is put on. `attach` "" means that it is not there yet, `problem` says why. `since`: the
    pause container's start by the host's clock, 0 without one: what started before it is on a network that is gone."""

    attach: str
    pod_ip: str = ""
    since: float = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """`prepare` of all containers comes before `start` of any. `status` is true now, `after` once both are done."""

    status: ContainerStatus
    prepare: tuple[Step, ...] = ()
    start: tuple[Step, ...] = ()
    events: tuple[Event, ...] = ()
    wake_at: float | None = None
    after: ContainerStatus | None = None


def with_losses(scene: Scene) -> Scene:
    """The scene, with containers recorded as ended that ran once, must not run twice, and are gone.

    Nobody knows how such a container ended: Kubernetes' ContainerStatusUnknown, exit code 137.
    """
    spec = scene.desired.spec
    lost = tuple(one.name for one in (*spec.init_containers, *spec.containers) if _is_lost(scene, one))
    if not lost or scene.previous is None:
        return scene

    def told(one: ContainerStatus) -> ContainerStatus:
        if one.name not in lost:
            return one
        ended = replace(one, state="terminated", reason="ContainerStatusUnknown", exit_code=137, ready=False)
        return replace(ended, message="it was removed outside Pierhead while it ran", finished_at=scene.now)

    previous = replace(
        scene.previous,
        containers=tuple(map(told, scene.previous.containers)),
        init_containers=tuple(map(told, scene.previous.init_containers)),
    )
    return replace(scene, desired=replace(scene.desired, previous=previous), lost=lost)


def _is_lost(scene: Scene, container: Container) -> bool:
    before = recorded(scene.previous, container.name)
    if before is None or container.name in scene.seen.current or not (before.container_id and before.started_at):
        return False
    return before.state != "terminated" and restart_policy(scene.desired, container) == "no" and scene.same_sandbox


def observed_status(scene: Scene, container: Container, seen: ContainerSeen) -> ContainerStatus:
    return observe(
        recorded(scene.previous, container.name),
        seen,
        is_init=container in scene.desired.spec.init_containers,
        exit_code=scene.desired.exits.get(seen.id),
        now=scene.now,
    )


def waiting(scene: Scene, container: Container, reason: str, message: str = "") -> ContainerStatus:
    """The status of a container that does not exist (yet), with what is remembered of the one before."""
    before = recorded(scene.previous, container.name) or ContainerStatus(container.name)
    return replace(
        before,
        container_id="",
        image=container.image,
        state="waiting",
        reason=reason,
        message=message,
        exit_code=None,
        ready=False,
        started=False,
        engine_state="",
        is_init=container in scene.desired.spec.init_containers,
    )


def wants_restart(desired: PodDesired, container: Container, exit_code: int | None) -> bool:
    """Whether a container that ended with this code is to run again."""
    policy = restart_policy(desired, container)
    return policy == "always" or (policy == "on-failure" and exit_code != 0)


def has_ended_for_good(scene: Scene, container: Container) -> bool:
    """Whether it ran, ended, and is not to run again; also if its remains have been cleared away since."""
    seen = scene.seen.current.get(container.name)
    if seen is None and container in scene.desired.spec.init_containers and not scene.same_sandbox:
        return False
    status = recorded(scene.previous, container.name) if seen is None else observed_status(scene, container, seen)
    if status is None or status.state != "terminated":
        return False
    return not wants_restart(scene.desired, container, status.exit_code)


def clear_away(scene: Scene, container: Container | None, seen: ContainerSeen) -> tuple[Step, ...]:
    """Stop it if it runs, and remove it."""
    grace = scene.desired.spec.termination_grace_period_seconds
    stop = (stop_container(container, seen.name, grace),) if seen.state in ALIVE else ()
    return (*stop, RemoveContainer(seen.name))


def drift_event(scene: Scene, container: Container, reason: str, words: str) -> Event:
    return Event("Warning", reason, f"container {container.name} of {scene.desired} {words}")
