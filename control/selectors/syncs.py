"""Following a sync that somebody asked for: from the attempt to the last Deployment that has to roll."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from control.models import Application, Deployment, Pod, Sync
from control.selectors.rollouts import RolloutState, rollout_states


@dataclass(frozen=True, slots=True)
class Followed:
    """`sentence` is what is being waited for. `attempt` is None until it is recorded. `failure` is one sentence."""

    sentence: str
    attempt: Sync | None = None
    done: bool = False
    failure: str = ""
    log_tail: str = ""


def follow(application: Application, last: int, request: str, now: float) -> Followed:
    """`last` is the id of the attempt before; `request` the id of what was asked for, which is gone once answered."""
    row = Application.objects.filter(pk=application.pk).first()
    if row is None:
        return Followed("", failure=f"application {application.name} was removed meanwhile")
    attempt = Sync.objects.filter(application=row, pk__gt=last).first()
    if row.request and (row.request.get("id") == request or attempt is None):
        return Followed(f"application {row.name}: waiting for a worker to look at Git...")
    if attempt is None:  # a failure that was on record already is not recorded twice
        before = Sync.objects.filter(application=row).first()
        if before is None or before.phase == Sync.FAILED:
            return Followed("", before, failure=f"application {row.name}: {row.message}")
        return _rollouts(row, before, now)
    if attempt.phase == Sync.FAILED:
        return Followed("", attempt, failure=f"application {row.name}: {attempt.message}")
    if attempt.phase == Sync.RUNNING:
        return Followed(f"application {row.name}: applying {attempt.commit[:7]}...", attempt)
    return _rollouts(row, attempt, now)


def error_lines(attempt: Sync) -> Iterator[str]:
    """One line for each error: file:line: object: field: message (remedy)."""
    return finding_lines(attempt.errors)


def warning_lines(attempt: Sync) -> Iterator[str]:
    """Likewise; what is warned of did not keep the commit from being applied."""
    return finding_lines(attempt.warnings)


def finding_lines(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for one in found:
        file, line = one.get("file", ""), one.get("line")
        place = [f"{file}:{line}" if line else file, one.get("object", ""), one.get("field", "")]
        said = one.get("message", "") + (f" ({one['remedy']})" if one.get("remedy") else "")
        yield ": ".join([*(part for part in place if part), said])


def _rollouts(row: Application, attempt: Sync, now: float) -> Followed:
    states = rollout_states(list(Deployment.objects.filter(application=row, deleted_at=None)), now)
    states += [_pod_state(pod) for pod in Pod.objects.filter(application=row, deleted_at=None, replica_set=None)]
    states.sort(key=lambda state: (state.namespace, state.name))
    failed = next((state for state in states if state.failure), None)
    if failed is not None:
        return Followed("", attempt, failure=f"application {row.name}: {failed.failure}", log_tail=failed.log_tail)
    waiting = [state for state in states if not state.done]
    if not waiting:
        return Followed("", attempt, done=True)
    first = waiting[0]
    more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
    return Followed(first.sentence + more + (f" {first.trouble}" if first.trouble else ""), attempt)


def _pod_state(pod: Pod) -> RolloutState:
    """A bare pod, as if it were a rollout of one."""
    if pod.phase == "Failed":
        failure = f"pod {pod.namespace}/{pod.name} failed: {pod.message or pod.waiting}"
        return RolloutState(pod.namespace, pod.name, "", failure=failure, log_tail=pod.log_tail)
    done = pod.phase == "Succeeded" or (pod.ready and not pod.replacement)
    trouble = ": ".join(part for part in (pod.waiting, pod.message) if part)
    return RolloutState(
        pod.namespace, pod.name, f'Waiting for pod "{pod.name}" to be ready...', done=done, trouble=trouble
    )
