"""One look at a pod's containers, sorted and remembered.

`look` separates what belongs to the pod: the current container of each name, and what is surplus. `observe` joins one
container as the engine shows it with what was recorded before, which is where restarts and crashes are counted.

How a restart is counted. Docker raises its restart count when a container with a restart policy *ends*, and starts
the count anew with every start that it was asked for. So a count that has grown is that many restarts, one that has
shrunk is an asked-for start plus the count itself, and a new start time at an unchanged count is one asked-for start,
unless the end before it was counted already (state `restarting`).

Never plans a step and never touches a container that does not carry this cluster's and this pod's labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from deployer.core.container import (
    LABEL_ATTEMPT,
    LABEL_CLUSTER,
    LABEL_CONTAINER,
    LABEL_POD_UID,
    PAUSE_CONTAINER,
    ContainerDetail,
    ContainerSeen,
)
from deployer.core.pod_containers import has_pause
from deployer.core.pod_desired import PodDesired
from deployer.core.pod_status import ContainerStatus, LastExit, PodStatus, StatusState

CRASH_RESET_SECONDS = 600.0
"""A run of this length ends a series of crashes (Kubernetes')."""

ADOPTED_SECONDS = 60.0
"""A container without a record that has been up for this long was started, and had its hook, in an earlier life."""

_GOING = ("removing", "dead")
_STATES: dict[str, StatusState] = {
    "created": "waiting",
    "running": "running",
    "paused": "running",
    "restarting": "waiting",
    "exited": "terminated",
}


@dataclass(frozen=True, slots=True)
class PodSeen:
    """This pod's containers: `current` by container name, and `surplus` (older attempts, names not in the spec)."""

    current: Mapping[str, ContainerSeen]
    surplus: tuple[ContainerSeen, ...]
    attempts: Mapping[str, int]  # the highest attempt seen of each name, also of those that are going

    def __bool__(self) -> bool:
        return bool(self.current or self.surplus)


def look(desired: PodDesired, observed: Iterable[ContainerSeen], cluster_id: str) -> PodSeen:
    """Sort what is this pod's. Of several containers of one name the highest attempt is current."""
    known = {one.name for one in (*desired.spec.init_containers, *desired.spec.containers)}
    if has_pause(desired):
        known.add(PAUSE_CONTAINER)
    current: dict[str, ContainerSeen] = {}
    surplus: list[ContainerSeen] = []
    attempts: dict[str, int] = {}
    for seen in sorted((one for one in observed if _is_own(desired, one, cluster_id)), key=_newest_first):
        name = seen.labels.get(LABEL_CONTAINER, "")
        attempts.setdefault(name, attempt_of(seen))
        if name in known and name not in current and seen.state not in _GOING:
            current[name] = seen
        else:
            surplus.append(seen)
    return PodSeen(current, tuple(surplus), attempts)


def attempt_of(seen: ContainerSeen) -> int:
    text = seen.labels.get(LABEL_ATTEMPT, "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def next_attempt(desired: PodDesired, seen: PodSeen, name: str) -> int:
    """An attempt above every one that was seen or recorded."""
    before = desired.previous.container(name) if desired.previous is not None else None
    recorded = before.attempt + 1 if before is not None else 0
    return max(desired.attempts.get(name, 0), seen.attempts.get(name, -1) + 1, recorded)


def recorded(previous: PodStatus | None, name: str) -> ContainerStatus | None:
    return previous.container(name) if previous is not None else None


def observe(
    before: ContainerStatus | None, seen: ContainerSeen, *, is_init: bool, exit_code: int | None, now: float
) -> ContainerStatus:
    """What is known of a container after this look.

    `before` is what was recorded under its name, of this container or of the one it replaced. `exit_code` is that of
    the last `die` event, if one was heard. `ready` is left False: it depends on the probes (`pod_moves.py`).
    """
    same = before if before is not None and before.container_id == seen.id else None
    detail = seen.detail or _remembered(same)
    ends = _ends(same, seen, detail)
    started_anew = same is None or detail.started_at != same.started_at
    restarts = _restarts(before, same, seen, detail)
    return ContainerStatus(
        name=seen.labels.get(LABEL_CONTAINER, ""),
        container_id=seen.id,
        image=seen.image,
        image_id=detail.image_id,
        state=_STATES.get(seen.state, "terminated"),
        reason=_reason(seen, detail, same),
        message=detail.error,
        exit_code=_exit_code(seen, same, exit_code),
        started_at=detail.started_at,
        finished_at=detail.finished_at,
        restarts=restarts,
        restarted_at=now if same and restarts > same.restarts else same.restarted_at if same else 0,
        last=_last_exit(before, same, seen, detail, ends, exit_code),
        is_init=is_init,
        started=not started_anew and same is not None and same.started,
        ready_once=not started_anew and same is not None and same.ready_once,
        attempt=attempt_of(seen),
        engine_state=seen.state,
        engine_restarts=detail.restart_count,
        started_seen_at=_started_seen_at(same, seen, detail, started_anew, now),
        exit_seen_at=now if ends else same.exit_seen_at if same else 0,
        crashes=_crashes(before, same, seen, detail, ends),
        hooked_at=_hooked_at(before, same, seen, detail),
        killed_at=same.killed_at if same else 0,
        killed_for=same.killed_for if same else "",
    )


def _is_own(desired: PodDesired, seen: ContainerSeen, cluster_id: str) -> bool:
    return seen.labels.get(LABEL_CLUSTER) == cluster_id and seen.labels.get(LABEL_POD_UID) == desired.uid


def _newest_first(seen: ContainerSeen) -> tuple[int, str, str]:
    return (-attempt_of(seen), seen.name, seen.id)


def _remembered(same: ContainerStatus | None) -> ContainerDetail:
    """In place of an inspection: what the last one said of this container. What a running one says is ours."""
    if same is None:
        return ContainerDetail()
    return ContainerDetail(
        exit_code=same.exit_code or 0,
        oom_killed=same.reason == "OOMKilled",
        restart_count=same.engine_restarts,
        started_at=same.started_at,
        finished_at=same.finished_at,
        error="" if same.state == "running" else same.message,
        image_id=same.image_id,
    )


def _ends(same: ContainerStatus | None, seen: ContainerSeen, detail: ContainerDetail) -> int:
    """How many runs have ended since the last look (since the first start, if there was none)."""
    stopped = seen.state in ("exited", "restarting") and detail.started_at > 0
    if same is None:
        return max(detail.restart_count, 1 if stopped or detail.finished_at > 0 else 0)
    grown = max(0, detail.restart_count - same.engine_restarts)
    return max(grown, 1 if detail.finished_at not in (0, same.finished_at) else 0)


def _restarts(
    before: ContainerStatus | None, same: ContainerStatus | None, seen: ContainerSeen, detail: ContainerDetail
) -> int:
    count = detail.restart_count
    if before is None:
        return attempt_of(seen) + count
    if same is None:
        return before.restarts + count + (1 if before.started_at else 0)
    gained = count - same.engine_restarts if count >= same.engine_restarts else count + 1
    restarted = same.started_at and detail.started_at != same.started_at and same.engine_state != "restarting"
    return same.restarts + (gained or (1 if restarted else 0))


def _crashes(
    before: ContainerStatus | None,
    same: ContainerStatus | None,
    seen: ContainerSeen,
    detail: ContainerDetail,
    ends: int,
) -> int:
    if seen.state == "running" and (seen.uptime_seconds or 0) >= CRASH_RESET_SECONDS:
        return 0
    if not ends:
        return before.crashes if before is not None else 0
    stopped = seen.state in ("exited", "restarting")
    began_at = detail.started_at if stopped or same is None else same.started_at
    lasted = detail.finished_at - began_at if began_at and ends == 1 else 0
    if lasted >= CRASH_RESET_SECONDS:
        return 1
    return (before.crashes if before is not None else 0) + ends


def _started_seen_at(
    same: ContainerStatus | None, seen: ContainerSeen, detail: ContainerDetail, started_anew: bool, now: float
) -> float:
    if not started_anew and same is not None and same.started_seen_at:
        return same.started_seen_at
    if seen.state not in ("running", "paused"):
        return same.started_seen_at if same is not None else now if detail.started_at else 0
    return now - (seen.uptime_seconds or 0)


def _reason(seen: ContainerSeen, detail: ContainerDetail, same: ContainerStatus | None) -> str:
    if seen.state in ("exited", "restarting"):
        return _exit_reason(detail, _exit_code(seen, same, None))
    return "Paused" if seen.state == "paused" else ""


def _exit_reason(detail: ContainerDetail, exit_code: int | None) -> str:
    if detail.oom_killed:
        return "OOMKilled"
    if exit_code is None:
        return "Unknown"
    return "Completed" if exit_code == 0 else "Error"


def _exit_code(seen: ContainerSeen, same: ContainerStatus | None, heard: int | None) -> int | None:
    """The exit code while it is stopped; the engine's word first, then what was heard or known."""
    if seen.state not in ("exited", "restarting"):
        return None
    if seen.detail is not None:
        return seen.detail.exit_code
    return heard if heard is not None or same is None else same.exit_code


def _last_exit(
    before: ContainerStatus | None,
    same: ContainerStatus | None,
    seen: ContainerSeen,
    detail: ContainerDetail,
    ends: int,
    heard: int | None,
) -> LastExit | None:
    """The end of the latest run. While it runs again the engine no longer knows the exit code: an event does."""
    if not ends:
        return before.last if before is not None else None
    stopped = seen.state in ("exited", "restarting")
    exit_code = _exit_code(seen, same, heard) if stopped else heard
    reason = _exit_reason(detail if stopped else replace(detail, oom_killed=False), exit_code)
    return LastExit(exit_code, reason, detail.finished_at)


def _hooked_at(
    before: ContainerStatus | None, same: ContainerStatus | None, seen: ContainerSeen, detail: ContainerDetail
) -> float:
    """A pod whose records were lost is taken as it runs: its postStart hooks are not repeated an hour later."""
    if same is not None:
        return same.hooked_at
    adopted = before is None and seen.state == "running" and (seen.uptime_seconds or 0) >= ADOPTED_SECONDS
    return detail.started_at if adopted else 0
