"""Pods in kubectl's words, and counts of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control.models import Deployment, Pod, ReplicaSet
from deployer.core.pod_status import iso_time


@dataclass(frozen=True, slots=True)
class Counts:
    """Pods of a replica set that are not being deleted: all, ready, and ready for `minReadySeconds`."""

    present: int = 0
    ready: int = 0
    available: int = 0


@dataclass(frozen=True, slots=True)
class PodWords:
    """A line of `get pods`: ready of total containers, STATUS, restarts and when the last one was (0: never)."""

    ready: int
    total: int
    status: str
    restarts: int
    restarted_at: float


def counts_by_set(rows: Iterable[ReplicaSet], owners: Mapping[str, Deployment], now: float) -> dict[str, Counts]:
    """Replica set uid -> counts, in one query."""
    minimum = {row.uid: float(owners[row.deployment_id].spec.get("minReadySeconds") or 0) for row in rows}
    made = {uid: [0, 0, 0] for uid in minimum}
    pods = Pod.objects.filter(replica_set__in=minimum, deleted_at=None)
    for uid, ready, ready_at in pods.values_list("replica_set_id", "ready", "ready_at"):
        count = made[str(uid)]
        count[0] += 1
        count[1] += ready
        count[2] += ready and now - ready_at >= minimum[str(uid)]
    return {uid: Counts(*count) for uid, count in made.items()}


def pod_words(row: Pod, spec: Mapping[str, Any] | None = None) -> PodWords:
    """`spec` is the pod's: needed where `needs_spec` says so."""
    given = spec or {}
    names = {one["name"] for one in given.get("initContainers") or () if one.get("restartPolicy") == "Always"}
    sidecars = [one for one in row.status.get("initContainerStatuses") or () if one["name"] in names]
    lasting = [*sidecars, *(row.status.get("containerStatuses") or ())]
    return PodWords(
        ready=sum(bool(one["ready"]) for one in lasting) if row.ready or not _node_lost(row) else 0,
        total=len(lasting) or len(given.get("containers") or ()) + len(names),
        status=_status_word(row, names),
        restarts=row.restarts,
        restarted_at=max((_restarted_at(one) for one in lasting), default=0.0),
    )


def why_waiting(row: Pod) -> str:
    """One sentence for a pod that is not ready, "" for one that is."""
    if row.ready or row.phase in ("Succeeded", "Failed"):
        return ""
    if row.node is None:
        return row.message or "the scheduler has not looked at it yet"
    return ": ".join(part for part in (row.waiting, row.message) if part)


def needs_spec(row: Pod) -> bool:
    """Nothing was seen of it yet, or it has init containers, of which the spec knows which are sidecars."""
    return not row.status.get("containerStatuses") or bool(row.status.get("initContainerStatuses"))


def shown_conditions(row: Pod) -> list[dict[str, Any]]:
    """The pod's conditions, made when its node has told nothing yet, and without a Ready that is out of date."""
    kept = [
        {name: value for name, value in one.items() if name != "pierhead" and value is not None}
        for one in row.status.get("conditions") or ()
    ]
    if not kept:
        return [_scheduled(row)]
    return [_not_ready(row, one) if one["type"] == "Ready" and not row.ready else one for one in kept]


def container_statuses(row: Pod) -> list[dict[str, Any]]:
    """Init containers first."""
    return [*(row.status.get("initContainerStatuses") or ()), *(row.status.get("containerStatuses") or ())]


def seconds_of(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time; 0 for none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _scheduled(row: Pod) -> dict[str, Any]:
    if row.node_id:
        return {"type": "PodScheduled", "status": "True", "lastTransitionTime": iso_time(row.scheduled_at)}
    message = row.message or "no node was chosen yet"
    return {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
        "lastTransitionTime": iso_time(row.created_at),
    }  # fmt: skip


def _not_ready(row: Pod, condition: dict[str, Any]) -> dict[str, Any]:
    """A node that is not seen cannot say that its pods are not ready any more: the row does."""
    if condition["status"] == "True" and _node_lost(row):
        return {**condition, "status": "False", "reason": "NodeUnknown", "message": "its node does not answer"}
    return condition


def _status_word(row: Pod, sidecars: set[str]) -> str:
    """kubectl's STATUS column (kubernetes/pkg/printers `printPod`)."""
    if row.deleted_at is not None:
        return "Terminating"
    if _node_lost(row) and row.phase in ("Pending", "Running"):
        return "Unknown"
    init = row.status.get("initContainerStatuses") or ()
    for position, one in enumerate(init):
        word = "" if one["name"] in sidecars and one.get("started") else _init_word(one, position, len(init))
        if word:
            return word
    return _container_word(row) or str(row.status.get("reason") or "") or _waiting(row) or row.phase


def _waiting(row: Pod) -> str:
    return row.waiting if row.phase == "Pending" and row.waiting and row.node_id else ""


def _init_word(one: Mapping[str, Any], position: int, total: int) -> str:
    state, detail = _state(one)
    if state == "terminated" and detail.get("exitCode") == 0:
        return ""
    if state == "terminated":
        return f"Init:{detail.get('reason') or 'ExitCode:' + str(detail.get('exitCode'))}"
    if state == "waiting" and detail.get("reason") not in (None, "", "PodInitializing"):
        return f"Init:{detail['reason']}"
    return f"Init:{position}/{total}"


def _container_word(row: Pod) -> str:
    word, running = "", False
    for one in reversed(row.status.get("containerStatuses") or ()):
        state, detail = _state(one)
        if state == "running":
            running = running or bool(one["ready"])
        elif state == "waiting":
            word = detail.get("reason") or word
        else:
            word = detail.get("reason") or f"ExitCode:{detail.get('exitCode')}"
    if word == "Completed" and running:
        return "Running" if row.ready else "NotReady"
    return str(word)


def _state(one: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    return next(iter(one["state"].items()), ("waiting", {}))


def _restarted_at(one: Mapping[str, Any]) -> float:
    ended = (one.get("lastState") or {}).get("terminated") or {}
    return seconds_of(ended.get("finishedAt", "")) if one.get("restartCount") else 0.0


def _node_lost(row: Pod) -> bool:
    return row.node is not None and not row.node.ready


def phases(rows: Sequence[Pod]) -> str:
    """`3 Running / 1 Pending`, as describe writes it."""
    words = ("Running", "Pending", "Succeeded", "Failed", "Unknown")
    return " / ".join(f"{sum(row.phase == word for row in rows)} {word}" for word in words[:4])
