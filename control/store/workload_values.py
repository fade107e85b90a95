"""Deployments, replica sets and pods as the core sees them.

Which template is in force is settled here: Git's (`live_hash`), or the one that a pin holds as long as Git still asks
for what the pin skipped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast

from control.models import Deployment, ReplicaSet
from control.store import canaries, stranded, unstarted
from deployer.core.canary.values import Run
from deployer.core.workloads import values

_NAMES = (
    "uid", "name", "replica_set_id", "node_id", "phase", "ready", "ready_at", "created_at", "deleted_at", "restarts",
    "deletion_cost", "waiting", "message", "log_tail", "node__ready", "node__draining", "node__evicting_at",
    "node__declared_dead_by", "node__witnesses", "node__reason_changed_at", "scheduled_at", "started_at",
)  # fmt: skip
# Whether there are any is all that is asked of witnesses: parsed for each pod, they would cost more than all the rest.
POD_COLUMNS = tuple(Cast(name, TextField()) if name == "node__witnesses" else name for name in _NAMES)
_UID, _OWNER, _PHASE, _MESSAGE, _EVICTING_AT, _SEEN, _SCHEDULED_AT, _STARTED_AT = map(
    _NAMES.index,
    ("uid", "replica_set_id", "phase", "message", "node__evicting_at", "node__ready", "scheduled_at", "started_at"),
)


def snapshot(
    row: Deployment, sets: Iterable[ReplicaSet], pods: Iterable[values.Pod], now: float,
    runs: Iterable[Run] | None = None,
) -> values.Snapshot:  # fmt: skip
    """`runs`: the analyses of its canaries, where they are at hand."""
    found = list(sets)
    seen = values.Snapshot(
        deployment=deployment_value(row, found),
        replica_sets=tuple(replica_set_value(one) for one in found),
        pods=tuple(pods),
        progress=values.Progress(**row.progress),
        now=now,
    )
    return canaries.tried(row, seen, runs)


def in_force(row: Deployment) -> str:
    """The template hash that should run now."""
    return str(row.pin["template_hash"]) if row.pin else row.live_hash


def deployment_value(row: Deployment, sets: Iterable[ReplicaSet]) -> values.Deployment:
    spec = row.spec
    strategy = spec.get("strategy") or {}
    rolling = strategy.get("rollingUpdate") or strategy.get("canary") or {}
    commit = row.commit
    if row.pin:
        commit = next((one.commit for one in sets if one.template_hash == row.pin["template_hash"]), commit)
    return values.Deployment(
        uid=row.uid,
        namespace=row.namespace,
        name=row.name,
        generation=row.generation,
        replicas=row.replicas if row.deleted_at is None else 0,
        strategy=strategy.get("type") or "RollingUpdate",
        max_surge=_number(rolling.get("maxSurge"), "25%"),
        max_unavailable=_number(rolling.get("maxUnavailable"), "25%"),
        paused=row.paused or bool(spec.get("paused")),
        min_ready_seconds=_number(spec.get("minReadySeconds"), 0),
        progress_deadline_seconds=_number(spec.get("progressDeadlineSeconds"), 600),
        revision_history_limit=_number(spec.get("revisionHistoryLimit"), 10),
        template_hash=in_force(row),
        commit=commit,
        auto_rollback=row.annotations.get("pierhead.io/auto-rollback") != "off",
        stop_first=_has_host_port(spec["template"]["spec"]),
        pinned=bool(row.pin),
        kind="Rollout" if row.workload == "Rollout" else "Deployment",
    )


def replica_set_value(row: ReplicaSet) -> values.ReplicaSet:
    return values.ReplicaSet(
        uid=row.uid,
        name=row.name,
        template_hash=row.template_hash,
        revision=row.revision,
        replicas=row.replicas,
        max_replicas=row.max_replicas,
        created_at=row.created_at,
        created_count=row.created_count,
        healthy=row.healthy,
        commit=row.commit,
        failed=row.failed,
        adopted=row.adopted,
    )


def pod_values(columns: Iterable[tuple[Any, ...]], now: float) -> list[values.Pod]:
    """Pods out of POD_COLUMNS. Templates are read of those whose nodes are not seen, or cannot start them: they say how
    long pods wait."""
    found = list(columns)
    stuck = {column[_UID]: column for column in found if _is_stuck(column)}
    troubled = (column for column in found if column[_EVICTING_AT] or column[_SEEN] is False)  # None: it has no node
    patience = stranded.patience_of({column[_OWNER] for column in (*troubled, *stuck.values())} - {None})
    due = {uid: stranded.given_up_at(one[_SCHEDULED_AT], patience.get(one[_OWNER], 0.0)) for uid, one in stuck.items()}
    lost = unstarted.given_up({uid: at for uid, at in due.items() if at is not None}, now) if due else {}
    return [_pod_value(column, patience.get(column[_OWNER], 0.0), lost.get(column[_UID])) for column in found]


def _is_stuck(column: tuple[Any, ...]) -> bool:
    """It has a node that is seen, has never started, and says why."""
    has_failed = column[_PHASE] == "Pending" and bool(column[_MESSAGE]) and not column[_STARTED_AT]
    return has_failed and bool(column[_SEEN]) and not column[_EVICTING_AT]


def _pod_value(column: tuple[Any, ...], patience: float, lost_at: float | None) -> values.Pod:
    """A pod on a node that is not seen is Unknown, whatever was observed last: it must not pay for another one."""
    (uid, name, owner, node, phase, ready, ready_at, created, deleted, restarts, cost, waiting, message, log, seen,
     draining, evicting_at, declared_dead_by, witnesses, changed_at, scheduled_at, _) = column  # fmt: skip
    if evicting_at:
        lost_at = stranded.lost_at(evicting_at, declared_dead_by, patience)
    elif node and not seen and phase == "Pending" and witnesses not in (None, "{}"):
        lost_at = stranded.given_up_at(max(changed_at, scheduled_at), patience)
    if node and not seen:
        phase, ready, ready_at = "Unknown", False, 0
    return values.Pod(
        uid=uid, name=name, replica_set=owner, node=node or "", phase=phase, ready=ready, ready_at=ready_at,
        created_at=created, deleting=deleted is not None, restarts=restarts, deletion_cost=cost, waiting=waiting,
        message=message, log_tail=log, evicting=bool(draining),
        lost_at=lost_at,
    )  # fmt: skip


def _number(value: Any, default: Any) -> Any:
    return default if value is None else value


def _has_host_port(pod_spec: dict[str, Any]) -> bool:
    return any(
        port.get("hostPort") for container in pod_spec.get("containers") or () for port in container.get("ports") or ()
    )
