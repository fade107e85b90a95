"""What a failed step leaves behind: when it is tried again, and a status that claims nothing which was not done.

The loop calls these when an engine refused a step, goes on with the status they give as `previous`, and plans again:
what failed then waits for its time, everything else moves on. What was done at last is forgotten (`forgiven`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from deployer.core.actions import CreateContainer, EnsureImage, EnsurePauseImage, EnsureVolume, RunHook, Step
from deployer.core.pod_desired import PodDesired, PodPlan, PullFailure
from deployer.core.pod_status import PodStatus

PULL_BACK_OFF_SECONDS = 10.0
STEP_BACK_OFF_SECONDS = 1.0
BACK_OFF_CAP_SECONDS = 300.0
FORGOTTEN_SECONDS = 600.0


def pull_failed(previous: PullFailure | None, image: str, reason: str, message: str, *, now: float) -> PullFailure:
    """EnsureImage failed: tried again after 10 s, 20 s, ... 300 s. Kept by image as written, dropped on success."""
    return _again(previous, image, reason, message, PULL_BACK_OFF_SECONDS, now)


def step_failed(desired: PodDesired, plan: PodPlan, step: Step, reason: str, message: str, *, now: float) -> PodStatus:
    """The status to go on with after `step` of `plan` failed: tried again after 1 s, 2 s, 4 s, ... 300 s.

    `reason` is the engine's word; some are kept as they are (CreateContainerConfigError). Failed pulls are the
    loop's to keep, since several pods share an image.
    """
    if isinstance(step, EnsureImage):
        return plan.seen
    failures = desired.previous.failures if desired.previous is not None else {}
    key = failure_key(step)
    failure = _again(failures.get(key), key, reason, message, STEP_BACK_OFF_SECONDS, now)
    return replace(plan.seen, failures={**plan.seen.failures, key: failure})


def forgiven(failures: Mapping[str, PullFailure], done: Iterable[Step], now: float) -> dict[str, PullFailure]:
    """The failures that still count when these steps are done; old ones of what nobody asks for any more go, too."""
    names = {failure_key(step) for step in done}
    return {name: one for name, one in failures.items() if name not in names and one.retry_at + FORGOTTEN_SECONDS > now}


def failure_key(step: Step) -> str:
    """What a step is for: a container's full name, a volume, a network, an image; the step's own name without one."""
    match step:
        case CreateContainer() | EnsureVolume():
            return step.spec.name
        case RunHook():
            return step.container
        case EnsureImage():
            return step.reference
        case EnsurePauseImage():
            return EnsurePauseImage.__name__
        case _:
            return step.name


def _again(
    before: PullFailure | None, what: str, reason: str, message: str, first_seconds: float, now: float
) -> PullFailure:
    """Worked example with 10 s first: 1 -> 10, 2 -> 20, 3 -> 40, 6 -> 300."""
    failures = before.failures + 1 if before is not None else 1
    delay = min(first_seconds * 2 ** min(failures - 1, 16), BACK_OFF_CAP_SECONDS)
    return PullFailure(what, reason, message, failures, now + delay)
