"""A container that is not there: what it waits for, or the steps that make it.

In this order: another try that is not due yet, its image, the pod's network, the objects that its environment and
volumes refer to. Each has Kubernetes' word (ErrImagePull, ImagePullBackOff, ContainerCreating,
CreateContainerConfigError, CreateContainerError). Nothing is created before its image is there, and nothing that
stands in its place is cleared away before it can be created.
"""

from __future__ import annotations

from deployer.core.actions import EnsureImage, EnsureVolume, StartContainer, Step
from deployer.core.objects.pod import Container
from deployer.core.pod_containers import (
    Creation,
    container_name,
    create_container,
    ensure_image,
    image_seen,
    pod_network_name,
)
from deployer.core.pod_desired import Event, PodDesired, PullFailure
from deployer.core.pod_environment import ConfigProblem, needs_pod_ip
from deployer.core.pod_observed import next_attempt, recorded
from deployer.core.pod_scene import Footing, Move, Scene, drift_event, has_ended_for_good, waiting
from deployer.core.pod_volumes import ensure_volume, mounted, own_volumes, volume_name

_PULL_REASONS_KEPT = ("ErrImageNeverPull", "InvalidImageName")
_REASONS_KEPT = ("CreateContainerConfigError", "InvalidImageName", "PostStartHookError")


def image_steps(scene: Scene, containers: tuple[Container, ...]) -> tuple[EnsureImage, ...]:
    """Pulls for those of `containers` that do not exist, each image once, none that waits for another try."""
    steps: dict[str, EnsureImage] = {}
    for one in containers:
        absent = one.name not in scene.seen.current and not has_ended_for_good(scene, one)
        if absent and image_seen(scene.desired, one, scene.present) is None and _pull_failure(scene, one) is None:
            steps.setdefault(one.image, ensure_image(scene.desired, one))
    return tuple(steps.values())


def absent_move(scene: Scene, container: Container, footing: Footing) -> Move:
    before = recorded(scene.previous, container.name)
    if before is not None and has_ended_for_good(scene, container):
        return Move(before)
    removed = before is not None and bool(before.container_id) and scene.same_sandbox
    event = drift_event(scene, container, "Removed", "was removed outside Pierhead; it is made again")
    return creation_move(scene, container, footing, (), (event,) if removed else ())


def creation_move(
    scene: Scene, container: Container, footing: Footing, clearing: tuple[Step, ...], events: tuple[Event, ...]
) -> Move:
    """Clear away what is in its place, then create and start it; or say what it waits for, and clear nothing."""
    made = _creation(scene, container, footing)
    if isinstance(made, Move):
        return made
    create, volumes = made
    skipped = tuple(Event("Warning", "InvalidEnvironmentVariableNames", one) for one in create.skipped)
    return Move(
        waiting(scene, container, creating_reason(scene, container)),
        prepare=(*clearing, *volumes, create.step),
        start=(StartContainer(create.step.spec.name),),
        events=(*events, *skipped),
    )


def _creation(scene: Scene, container: Container, footing: Footing) -> tuple[Creation, tuple[EnsureVolume, ...]] | Move:
    """The creating step and the volumes it needs, or the move that waits for what is missing."""
    desired = scene.desired
    attempt = _free_attempt(scene, container)
    if (failure := scene.failure(container_name(desired, container.name, attempt))) is not None:
        told = waiting(scene, container, failure_reason(failure, "CreateContainerError"), failure.message)
        return Move(told, wake_at=failure.retry_at)
    if (failure := scene.failure(*_ground(desired, container))) is not None:
        told = waiting(scene, container, creating_reason(scene, container), failure.message)
        return Move(told, wake_at=failure.retry_at)
    if (pull := _pull_failure(scene, container)) is not None:
        return Move(waiting(scene, container, _pull_reason(pull), pull.message), wake_at=pull.retry_at)
    image = image_seen(desired, container, scene.present)
    pinned = desired.images.get(container.image, "")
    unknown_ip = needs_pod_ip(container) and not footing.pod_ip
    if (image is None and not pinned) or not footing.attach or unknown_ip:
        return Move(waiting(scene, container, creating_reason(scene, container), footing.problem))
    try:
        create = create_container(
            desired,
            container,
            attempt,
            cluster_id=scene.cluster_id,
            image=pinned or (image.id if image is not None else ""),
            image_user=image.user if image is not None else None,
            network=footing.attach,
            pod_ip=footing.pod_ip,
        )
        own = own_volumes(desired)
        volumes = [ensure_volume(desired, one, scene.cluster_id) for one in mounted(desired, container) if one in own]
    except ConfigProblem as problem:
        return Move(waiting(scene, container, "CreateContainerConfigError", problem.sentence))
    return create, tuple(volumes)


def creating_reason(scene: Scene, container: Container) -> str:
    initialized = not scene.desired.spec.init_containers or (scene.previous is not None and scene.previous.initialized)
    return "ContainerCreating" if initialized or container not in scene.desired.spec.containers else "PodInitializing"


def _pull_failure(scene: Scene, container: Container) -> PullFailure | None:
    if image_seen(scene.desired, container, scene.present) is not None:
        return None
    pinned = scene.desired.images.get(container.image, "")
    found = scene.pulls.get(container.image) or (scene.pulls.get(pinned) if pinned else None)
    return found if found is not None and found.retry_at > scene.now else None


def _pull_reason(pull: PullFailure) -> str:
    if pull.reason in _PULL_REASONS_KEPT:
        return pull.reason
    return "ErrImagePull" if pull.failures <= 1 else "ImagePullBackOff"


def failure_reason(failure: PullFailure, otherwise: str) -> str:
    """Kubernetes' word for a refused create or start; a word that people know is kept."""
    return failure.reason if failure.reason in _REASONS_KEPT else otherwise


def _free_attempt(scene: Scene, container: Container) -> int:
    """The next attempt whose name no stranger holds: `a` + `b-c` and `a-b` + `c` give the same."""
    attempt = next_attempt(scene.desired, scene.seen, container.name)
    while True:
        failure = scene.pulls.get(container_name(scene.desired, container.name, attempt))
        if failure is None or failure.reason != "NameConflict":
            return attempt
        attempt += 1


def _ground(desired: PodDesired, container: Container) -> tuple[str, ...]:
    """What must be made before this container: a failure of any of it is kept under these names."""
    return pod_network_name(desired), *(volume_name(desired, one) for one in mounted(desired, container))
