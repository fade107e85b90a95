"""Pods that wait for a node, the nodes, and what is placed: as the scheduler's values; and its bindings as rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast

from control.models import Event, Namespace, Node, Pod, ReplicaSet
from control.store import addresses, objects, stranded, waking
from control.store.placed_pods import PlacedPods, owner_key
from deployer.core.objects.pod import PodSpec
from deployer.core.scheduling import values
from deployer.core.scheduling.cluster import FAILURES_TO_RANK_LAST
from deployer.core.scheduling.placement import elsewhere
from deployer.core.scheduling.reserve import allocatable
from deployer.core.survival.states import DEAD
from deployer.core.taint import taint_of
from deployer.ports import Wake

FAILURE_WINDOW_SECONDS = 300.0
EVICTING_SECONDS = 2.0
NOT_STARTED = "NotStarted"
"""Of a pod that was given up because of its node (`unstarted.py`)."""
_FAILURES = ("FailedStart", "FailedCreate", "Failed", NOT_STARTED)
_OF_A_NODE = (
    "name", Cast("labels", TextField()), Cast("taints", TextField()), Cast("images", TextField()), "cordoned", "ready",
    "observed_at", "reason", "cpu_millicores", "memory_bytes",
)  # fmt: skip
_placed = PlacedPods()


def load(now: float) -> tuple[list[values.PendingPod], list[values.Node], list[values.PlacedPod], dict[str, Any]]:
    waiting = list(
        Pod.objects.filter(node=None, deleted_at=None, orphaned=False).select_related("replica_set__deployment")
    )
    if not waiting:
        return [], [], [], {}
    return pending(waiting), nodes(now), *_surroundings(now)


def fit_elsewhere(uids: Iterable[str], now: float) -> frozenset[str]:
    """Those of these pods, which their nodes cannot start, that another node would take."""
    rows = list(Pod.objects.filter(pk__in=list(uids), node__isnull=False).select_related("replica_set__deployment"))
    names = dict(Node.objects.values_list("uid", "name"))
    there = {row.uid: names[str(row.node_id)] for row in rows}
    return elsewhere(pending(rows), there, nodes(now), *_surroundings(now))


def _surroundings(now: float) -> tuple[list[values.PlacedPod], dict[str, Any]]:
    """Who is placed where, and the namespaces' labels."""
    return _placed.at(now), dict(Namespace.objects.values_list("name", "labels"))


def nodes(now: float) -> list[values.Node]:
    failures = recent_failures(now)
    found = []
    for name, labels, taints, images, cordoned, ready, observed_at, reason, cpu, memory in Node.objects.values_list(
        *_OF_A_NODE
    ):
        one = _node(name, labels, taints, images, cordoned, ready and observed_at > 0, reason == DEAD, cpu, memory)
        found.append(replace(one, recent_failures=failures[name]) if name in failures else one)
    return found


@lru_cache(maxsize=8192)
def _node(
    name: str, labels: str, taints: str, images: str, cordoned: bool, ready: bool, lost: bool, cpu: int, memory: int
) -> values.Node:
    """Of the columns' texts: nearly all nodes are what they were in the last pass. What is kept is not changed."""
    return values.Node(
        name=name, labels={"kubernetes.io/hostname": name, **json.loads(labels)},
        taints=tuple(taint_of(one) for one in json.loads(taints)), cordoned=cordoned, ready=ready, lost=lost,
        allocatable=allocatable(cpu, memory), images=frozenset(json.loads(images).values()),
    )  # fmt: skip


def recent_failures(now: float) -> dict[str, dict[str, int]]:
    """Node -> owner -> failures to start in the last five minutes (Swarm's rule: five put the node last)."""
    counted: dict[str, dict[str, int]] = {}
    failed = Event.objects.filter(reason__in=_FAILURES, kind="Pod", last_at__gt=now - FAILURE_WINDOW_SECONDS).exclude(
        node=""
    )
    named = Pod.objects.filter(name__in={event.name for event in failed}) if failed else Pod.objects.none()
    owners = {(ns, name): owner for ns, name, owner in named.values_list("namespace", "name", "owner")}
    for event in failed:
        if event.reason == NOT_STARTED:
            counted.setdefault(event.node, {})[values.EVERYBODY] = FAILURES_TO_RANK_LAST
            continue
        owner = owners.get((event.namespace, event.name))
        if owner:
            mine = counted.setdefault(event.node, {})
            key = owner_key(event.namespace, owner)
            mine[key] = mine.get(key, 0) + event.count
    return counted


def pending(rows: list[Pod]) -> list[values.PendingPod]:
    parsed: dict[str, tuple[PodSpec, Mapping[str, str]]] = {}
    for row in rows:
        key = row.replica_set_id or row.uid
        if key not in parsed:
            parsed[key] = _template(row.replica_set, row)
    return [_pending(row, *parsed[row.replica_set_id or row.uid]) for row in rows]


def _template(owner: ReplicaSet | None, row: Pod) -> tuple[PodSpec, Mapping[str, str]]:
    if owner is None:
        return PodSpec.model_validate(row.spec), row.annotations
    template = owner.spec["template"]
    return PodSpec.model_validate(template["spec"]), (template.get("metadata") or {}).get("annotations") or {}


def _pending(row: Pod, spec: PodSpec, annotations: Mapping[str, str]) -> values.PendingPod:
    summary = row.placement
    strategy: Any = annotations.get("pierhead.io/placement", "")
    return values.PendingPod(
        uid=row.uid, namespace=row.namespace, name=row.name, labels=row.labels,
        owner=owner_key(row.namespace, row.owner or f"Pod/{row.name}"), template_hash=row.template_hash,
        requests=values.Resources(summary.get("cpu", 0), summary.get("memory", 0)), node_selector=spec.node_selector,
        node_name=spec.node_name, affinity=spec.affinity, tolerations=spec.tolerations,
        spread=spec.topology_spread_constraints,
        host_ports=frozenset((ip, port, protocol) for ip, port, protocol in summary.get("ports", ())),
        images=tuple(container.image for container in spec.containers),
        strategy=strategy if strategy in ("pack", "spread") else "", urgency=_urgency(row), created_at=row.created_at,
    )  # fmt: skip


def _urgency(row: Pod) -> int:
    """Percent of the desired pods that are missing, of a revision that was healthy once; else 0: nobody misses it."""
    owner = row.replica_set
    if owner is None or not owner.healthy:
        return 0
    progress = owner.deployment.progress
    desired = max(1, int(progress.get("desired", 0)))
    return 100 * max(0, desired - int(progress.get("available", 0))) // desired


def is_evicting(now: float) -> bool:
    """Whether pods of a host that has just died are still to be counted out: what is most needed is not known yet."""
    return (
        Pod.objects.filter(
            node__evicting_at__gt=now - EVICTING_SECONDS, deleted_at=None, orphaned=False, replica_set__isnull=False
        )
        .exclude(waiting=stranded.NODE_DEAD)
        .exists()
    )


def bind(bound: Mapping[str, str], waiting: Mapping[str, str], wake: Wake, now: float) -> None:
    """Give each pod its node, guarded by "has none yet". In the caller's fenced transaction: nothing oversubscribes."""
    uids = dict(Node.objects.filter(name__in=set(bound.values())).values_list("name", "uid"))
    rows = list(Pod.objects.filter(pk__among=[*bound, *waiting], node=None, deleted_at=None))
    moved, told = [], []
    for row in rows:
        if row.uid in bound and bound[row.uid] in uids:
            row.node_id, row.scheduled_at, row.message, row.waiting = uids[bound[row.uid]], now, "", ""
            moved.append(row)
        elif row.uid in waiting and row.message != waiting[row.uid]:
            row.message, row.waiting = waiting[row.uid], "Unschedulable"
            told.append(row)
    addresses.choose_networks(moved)
    objects.update(moved, ["node", "scheduled_at", "message", "waiting", "network"])
    objects.update(told, ["message", "waiting"])
    for row in told:
        objects.record_event("Pod", row.namespace, row.name, "Warning", "FailedScheduling", row.message, at=now)
    waking.wake_for_new_networks(moved, wake)
    wake("converge", {str(row.node_id) for row in moved})
    waking.wake_evictions(wake, {str(row.node_id) for row in moved})
    owners = {row.replica_set_id for row in told if row.replica_set_id}
    wake("reconcile", set(ReplicaSet.objects.filter(pk__in=owners).values_list("deployment_id", flat=True)))
