"""The next move of one container: created, started, hooked, stopped, made again, left alone, or waiting for what.

`container_move` looks at one container of a pod whose network stands and answers with steps, in two parts (what
prepares it, what starts it), and with its status in Kubernetes' words. It is the same for init containers, sidecars
and main ones; in which order they may move is `node.py`'s.

Who restarts what. A container that crashes is brought back by its engine, by its restart policy, with the engine's own
back-off: nothing is done here. A container found *stopped* although its policy says otherwise was stopped by someone
(or by us, for a failing probe): it is started at once, unless it has been crashing; then Kubernetes' back-off holds
(the first at once, then 10 s, 20 s, ... 300 s; ten minutes of running end the series).

CrashLoopBackOff against a slow start: only ends count. A container that runs and is not ready is just that. One that
has ended twice in a row counts as looping until it has run for `proof_seconds`, or until its readiness probe passes.
"""

from __future__ import annotations

from dataclasses import replace

from deployer.core.actions import RemoveContainer, StartContainer
from deployer.core.container import LABEL_SPEC_HASH, ContainerSeen
from deployer.core.objects.pod import Container
from deployer.core.pod_containers import container_name, ensure_image, image_seen, post_start, spec_hash, stop_container
from deployer.core.pod_creation import absent_move, creating_reason, creation_move, failure_reason
from deployer.core.pod_desired import Event
from deployer.core.pod_observed import attempt_of
from deployer.core.pod_probes import ProbeFindings, failed_probe, probe_findings, waits_for, with_findings
from deployer.core.pod_scene import (
    Footing,
    Move,
    Scene,
    clear_away,
    drift_event,
    observed_status,
    wants_restart,
)
from deployer.core.pod_status import UNHEALTHY, ContainerStatus

BACK_OFF_SECONDS = 10.0
BACK_OFF_CAP_SECONDS = 300.0
PROOF_CAP_SECONDS = 60.0


def container_move(scene: Scene, container: Container, footing: Footing) -> Move:
    """What to do about one container now, and its status."""
    seen = scene.seen.current.get(container.name)
    if seen is None:
        return absent_move(scene, container, footing)
    status = observed_status(scene, container, seen)
    if seen.state == "exited" and not wants_restart(scene.desired, container, status.exit_code):
        return Move(status)
    if (altered := _altered(scene, container, footing, seen)) is not None:
        return _made_again(scene, container, footing, seen, status, altered)
    match seen.state:
        case "created":
            return _created(scene, container, footing, seen, status)
        case "running":
            return _running(scene, container, footing, seen, status)
        case "paused":
            return _paused(scene, container, seen, status)
        case "restarting":
            return _restarting(status)
        case _:
            return _ended(scene, container, footing, seen, status)


def back_off_seconds(crashes: int) -> float:
    """Ends in a row -> seconds before the next start: 1 -> 0, 2 -> 10, 3 -> 20, 7 -> 300."""
    return 0.0 if crashes < 2 else min(BACK_OFF_SECONDS * 2 ** min(crashes - 2, 16), BACK_OFF_CAP_SECONDS)


def proof_seconds(crashes: int) -> float:
    """How long a container that has crashed must run before it counts as running: 1 -> 0, 2 -> 10, 3 -> 20, 5 -> 60."""
    return min(back_off_seconds(crashes), PROOF_CAP_SECONDS)


# A container that someone changed.


def _altered(scene: Scene, container: Container, footing: Footing, seen: ContainerSeen) -> tuple[str, str] | None:
    """Why it cannot stay: (event reason, words), or None. Labels cannot be changed, names can."""
    if footing.attach and seen.labels.get(LABEL_SPEC_HASH) != spec_hash(scene.desired, container, footing.attach):
        return "Changed", "is not made as its pod says; it is made again"
    if seen.name != container_name(scene.desired, container.name, attempt_of(seen)):
        return "Renamed", f"was renamed to {seen.name} outside Pierhead; it is made again"
    return None


def _made_again(
    scene: Scene,
    container: Container,
    footing: Footing,
    seen: ContainerSeen,
    status: ContainerStatus,
    altered: tuple[str, str],
) -> Move:
    """Nothing is stopped before all that the new one needs is there."""
    move = creation_move(scene, container, footing, clear_away(scene, container, seen), ())
    if not move.prepare:
        missing = image_seen(scene.desired, container, scene.present) is None
        pull = (ensure_image(scene.desired, container),) if missing and move.wake_at is None else ()
        return Move(status, prepare=pull, wake_at=move.wake_at)
    made = replace(status, container_id="", state="waiting", reason="ContainerCreating", ready=False, started=False)
    return replace(move, status=status, after=made, events=(drift_event(scene, container, *altered), *move.events))


# A container that is there.


def _created(
    scene: Scene, container: Container, footing: Footing, seen: ContainerSeen, status: ContainerStatus
) -> Move:
    """Created and never started. One with files of its own is made again: nobody knows if they were written."""
    if (failure := scene.failure(seen.name)) is not None:
        told = replace(status, reason=failure_reason(failure, "RunContainerError"), message=failure.message)
        return Move(told, wake_at=failure.retry_at)
    if not footing.attach:
        return Move(replace(status, reason=creating_reason(scene, container), message=footing.problem))
    if any(mount.sub_path for mount in container.volume_mounts):
        return creation_move(scene, container, footing, (RemoveContainer(seen.name),), ())
    return Move(replace(status, reason=creating_reason(scene, container)), start=(StartContainer(seen.name),))


def _running(
    scene: Scene, container: Container, footing: Footing, seen: ContainerSeen, status: ContainerStatus
) -> Move:
    found = probe_findings(scene.desired, container, seen, status)
    status = with_findings(status, found)
    if (words := failed_probe(scene.desired, container, found, status)) is not None:
        return _killed(scene, container, seen, status, UNHEALTHY, words)
    hook = post_start(container, seen.name)
    if hook is not None and (failure := scene.pulls.get(seen.name)) is not None:
        words = f"{scene.desired}: postStart hook of container {container.name} failed: {failure.message}"
        return _killed(scene, container, seen, status, "FailedPostStartHook", words)
    if status.started_at and status.started_at < footing.since:
        words = f"{scene.desired}: the pod's network was made anew; container {container.name} is restarted to join it"
        return _killed(scene, container, seen, status, "SandboxChanged", words)
    if hook is not None and status.started_at and status.hooked_at != status.started_at:
        return Move(status, start=(hook,), after=replace(status, hooked_at=status.started_at))
    return judged(scene, container, found, status)


def _killed(
    scene: Scene, container: Container, seen: ContainerSeen, status: ContainerStatus, reason: str, words: str
) -> Move:
    """Stopped now; whether and when it starts again is decided when it has ended."""
    grace = scene.desired.spec.termination_grace_period_seconds
    return Move(
        status,
        prepare=(stop_container(container, seen.name, grace),),
        after=replace(status, killed_at=status.started_at, killed_for=reason),
        events=(Event("Warning", reason, words),),
    )


def judged(scene: Scene, container: Container, found: ProbeFindings, status: ContainerStatus) -> Move:
    """Ready, not ready, or not to be believed yet. `status` knows of `found` already (`with_findings`)."""
    believed_at = status.started_seen_at + proof_seconds(status.crashes)
    # A start in the future was before somebody set the clock back: nobody knows how long ago.
    if not found.proves_ready and status.started_seen_at <= scene.now < believed_at:
        words = f"ended {status.crashes} times in a row; counts as running after {proof_seconds(status.crashes):.0f} s"
        return Move(replace(status, reason="CrashLoopBackOff", message=words), wake_at=believed_at)
    runs_on = container.is_sidecar or not status.is_init  # an init container is there to end
    ready = status.started and found.is_ready
    said = waits_for(scene.desired, found, status) or status.message
    return Move(replace(status, ready=ready and runs_on, message=said))


def _paused(scene: Scene, container: Container, seen: ContainerSeen, status: ContainerStatus) -> Move:
    """Resumed; one that cannot be is stopped, and then started like any other."""
    event = drift_event(scene, container, "Paused", "was paused outside Pierhead; it is resumed")
    if seen.name not in scene.pulls:
        return Move(status, start=(StartContainer(seen.name),), events=(event,))
    stop = stop_container(container, seen.name, scene.desired.spec.termination_grace_period_seconds)
    return Move(status, prepare=(stop,), after=replace(status, killed_at=status.started_at, killed_for="Paused"))


def _restarting(status: ContainerStatus) -> Move:
    """The engine is about to start it again, and an event tells when it has."""
    if status.crashes < 2:
        return Move(replace(status, state="terminated"))
    return Move(_crash_loop(status, "the engine starts it again"))


def _ended(scene: Scene, container: Container, footing: Footing, seen: ContainerSeen, status: ContainerStatus) -> Move:
    """Ended, and to run again, but the engine will not do it."""
    if (failure := scene.failure(seen.name)) is not None:
        reason = failure_reason(failure, "RunContainerError")
        told = replace(status, state="waiting", reason=reason, message=failure.message)
        return Move(told, wake_at=failure.retry_at)
    if not footing.attach:
        return Move(status)
    due_at = status.exit_seen_at + back_off_seconds(status.crashes)
    if status.exit_seen_at <= scene.now < due_at:
        seconds = back_off_seconds(status.crashes)
        return Move(_crash_loop(status, f"back-off of {seconds:.0f} s before it is started again"), wake_at=due_at)
    return Move(status, start=(StartContainer(seen.name),), events=_stopped_event(scene, container, seen, status))


def _crash_loop(status: ContainerStatus, then: str) -> ContainerStatus:
    how = status.reason if status.exit_code is None else f"{status.reason}, exit code {status.exit_code}"
    words = f"ended {status.crashes} times in a row ({how}); {then}"
    return replace(status, state="waiting", reason="CrashLoopBackOff", message=words)


def _stopped_event(
    scene: Scene, container: Container, seen: ContainerSeen, status: ContainerStatus
) -> tuple[Event, ...]:
    """Nothing to tell when we ended it ourselves, for a probe or because its hook failed."""
    if status.killed_at == status.started_at or seen.name in scene.pulls:
        return ()
    if status.message:
        words = f"could not be started by the engine ({status.message}); it is started again"
        return (drift_event(scene, container, "StartFailed", words),)
    return (drift_event(scene, container, "Stopped", "was stopped outside Pierhead; it is started again"),)
