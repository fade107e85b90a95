"""Plans and statuses in words, for `plan`, `describe`, the timeline and the log. Never shows a value or a content.

One sentence for a step, one for a pod. The words are the same everywhere, so that what a person saw in an event can be
found again on a page.
"""

from __future__ import annotations

from collections.abc import Iterable

from deployer.core.actions import (
    CreateContainer,
    EnsureImage,
    EnsureNetwork,
    EnsurePauseImage,
    EnsureVolume,
    RemoveContainer,
    RemoveVolume,
    RunHook,
    StartContainer,
    Step,
    StopContainer,
)
from deployer.core.pod_status import ContainerStatus, PodStatus


def step_words(step: Step) -> str:
    """What a step does: "pull image nginx:1 unless it is there", "stop container x, 30 s to end by itself"."""
    match step:
        case EnsureNetwork():
            return f"make network {step.name} of namespace {step.namespace}"
        case EnsureImage():
            return _image_words(step)
        case EnsurePauseImage():
            return "make the image of the pause container"
        case EnsureVolume():
            return f"make volume {step.spec.name}" + _with_files(sum(not one.is_folder for one in step.files))
        case CreateContainer():
            return f"create container {step.spec.name} from {step.spec.image}" + _with_files(len(step.files))
        case StartContainer():
            return f"start container {step.name}"
        case RunHook():
            return f"run the postStart hook of container {step.container}"
        case StopContainer():
            return _stop_words(step)
        case RemoveContainer():
            return f"remove container {step.name}"
        case RemoveVolume():
            return f"remove volume {step.name}"


def status_words(pod: str, status: PodStatus, *, deleting: bool = False) -> str:
    """A pod in one sentence: "pod shop/web-x: Pending, 0 of 1 ready; ImagePullBackOff: container web: denied"."""
    lasting = [one for one in status.init_containers if status.initialized and one.state != "terminated"]  # sidecars
    counted = [*status.containers, *lasting]
    ready = sum(one.ready for one in counted)
    phase = "Terminating" if deleting else status.phase
    words = f"pod {pod}: {phase}, {ready} of {len(counted)} ready"
    if status.reason and not deleting:
        words += f"; {status.reason}: {status.message}" if status.message else f"; {status.reason}"
    return words + _restart_words(status)


def container_words(one: ContainerStatus) -> str:
    """A container in one line: "web: running, ready, 2 restarts, last ended with exit code 1"."""
    words = [one.state if not one.reason else f"{one.state} ({one.reason})", "ready" if one.ready else "not ready"]
    if one.restarts:
        words.append(_count(one.restarts, "restart"))
    if one.last is not None and one.last.exit_code is not None:
        words.append(f"last ended with exit code {one.last.exit_code} ({one.last.reason})")
    return f"{one.name}: {', '.join(words)}" + (f": {one.message}" if one.message else "")


def plan_words(steps: Iterable[Step]) -> str:
    """A plan as lines, "nothing to do" for an empty one."""
    return "\n".join(step_words(step) for step in steps) or "nothing to do"


def _image_words(step: EnsureImage) -> str:
    pinned = f" at {step.pinned}" if step.pinned and step.pinned != step.reference else ""
    if step.pull_policy == "Never":
        return f"find image {step.reference}{pinned}, which must be there"
    always = step.pull_policy == "Always" and not step.pinned
    return f"pull image {step.reference}{pinned}" + ("" if always else " unless it is there")


def _stop_words(step: StopContainer) -> str:
    hook = "run the preStop hook of and " if step.pre_stop or step.pre_stop_sleep_seconds else ""
    grace = f", {step.grace_seconds} s to end by itself" if step.grace_seconds else " at once"
    return f"{hook}stop container {step.name}{grace}"


def _with_files(count: int) -> str:
    return f" with {_count(count, 'file')}" if count else ""


def _restart_words(status: PodStatus) -> str:
    return f" ({_count(status.restarts, 'restart')})" if status.restarts else ""


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
