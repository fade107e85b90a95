"""Pods of a dead node: whose Deployments are asked for replacements, what is made again elsewhere, and who waits.

A Deployment's own reconcile counts such pods out (`deployer/core/workloads/census.py`) and makes others. A bare pod has
nobody who would, so it is made again here, from its own manifest. Its containers may still be on the host: their
uid stays in `Node.replaced` until they have been removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Q

from control.models import Node, Pod, ReplicaSet
from control.store import objects, templates, waking
from control.store.nodes import replacement
from deployer.core.objects.pod import PodSpec
from deployer.core.survival.patience import FOR_EVER, patience_seconds, tie
from deployer.ports import Wake

NODE_DEAD = "NodeDead"
_WANTED = Q(deleted_at=None) | ~Q(replacement={})
"""Pods that Git asks for: also one that was ending there so that another one takes its name."""
NOT_STARTED_SECONDS = 15.0
MOST_REMEMBERED = 20_000
_remembered: dict[str, float] = {}
"""Replica set -> its pods' patience. A template never changes, a new one is a new replica set; that of an adopted set
may become known later."""


def evict(nodes: Sequence[Node], wake: Wake, now: float) -> None:
    """When it begins. To be called in a fenced transaction; what is left over `overdue` finds."""
    pods = Pod.objects.filter(_WANTED, node__in=nodes, orphaned=False)
    owned: dict[str, list[tuple[str, str]]] = {}
    owners = set[str]()
    rows = pods.exclude(replica_set=None).values_list("node_id", "uid", "replica_set_id", "replica_set__deployment_id")
    for node, uid, replica_set, owner in rows:
        owned.setdefault(node, []).append((uid, replica_set))
        owners.add(owner)
    patience = patience_of({replica_set for mine in owned.values() for _, replica_set in mine})
    bare: dict[str, list[Pod]] = {}
    for pod in pods.filter(replica_set=None):
        bare.setdefault(str(pod.node_id), []).append(pod)
    for row in nodes:
        mine = owned.get(row.uid, [])
        staying = [uid for uid, replica_set in mine if not _is_lost(patience[replica_set], row, now)]
        again = [pod for pod in bare.get(row.uid, ()) if _is_due(pod, row, now)]
        _make_again(again, wake, now)
        waiting = [pod for pod in bare.get(row.uid, ()) if pod not in again and _lost_at(pod, row) > now]
        waiting += Pod.objects.filter(pk__in=staying).select_related("replica_set") if staying else ()
        for pod in waiting:
            _tell(pod, row, now)
        moved = len(mine) + len(bare.get(row.uid, ())) - len(waiting)
        words = f"{moved} {'pod is' if moved == 1 else 'pods are'} replaced elsewhere"
        words += f", {len(waiting)} wait for it: see `get pods`" if waiting else ""
        objects.record_event("Node", "", row.name, "Warning", "Evicting", words, node=row.name, at=now)
    wake("reconcile", owners)


def overdue(wake: Wake, now: float) -> None:
    """Bare pods whose toleration has ended since: nothing else wakes for them."""
    rows = Pod.objects.filter(_WANTED, node__evicting_at__gt=0, replica_set=None, orphaned=False).select_related("node")
    due = [pod for pod in rows if pod.node is not None and _is_due(pod, pod.node, now)]
    if due:
        _make_again(due, wake, now)


def patience_of(sets: Iterable[str]) -> dict[str, float]:
    """Replica set -> how long its pods wait for a dead host, in seconds. One whose template is lost cannot replace."""
    wanted = set(sets)
    found = {uid: _remembered[uid] for uid in wanted if uid in _remembered}
    if len(found) < len(wanted):
        rows = ReplicaSet.objects.filter(pk__in=wanted - found.keys()).values_list("uid", "spec")
        fresh = {uid: _patience(spec) for uid, spec in rows if spec}
        if len(_remembered) + len(fresh) > MOST_REMEMBERED:
            _remembered.clear()
        _remembered.update(fresh)
        found |= fresh
    return dict.fromkeys(wanted, FOR_EVER) | found


def lost_at(evicting_at: float, declared_dead_by: str, patience: float) -> float | None:
    """When a pod there is given up; None: not, as its host is not dead, or it waits for it."""
    if not evicting_at or (patience == FOR_EVER and not declared_dead_by):
        return None
    return evicting_at if declared_dead_by else evicting_at + patience


def given_up_at(since: float, patience: float) -> float | None:
    """Of a pod that had not started when its host was cut off from us: nobody can start it there, so it is made
    elsewhere. What may have come of it all the same is removed when the host is back."""
    return None if patience == FOR_EVER else since + max(NOT_STARTED_SECONDS, patience)


def _patience(spec: Mapping[str, Any]) -> float:
    return patience_seconds(PodSpec.model_validate(spec["template"]["spec"])) if spec else FOR_EVER


def _is_lost(patience: float, row: Node, now: float) -> bool:
    at = lost_at(row.evicting_at, row.declared_dead_by, patience)
    return at is not None and at <= now


def _lost_at(pod: Pod, row: Node) -> float:
    if pod.replica_set is not None:
        patience = patience_of([pod.replica_set.uid])[pod.replica_set.uid]
    else:
        patience = patience_seconds(PodSpec.model_validate(pod.spec)) if pod.spec else FOR_EVER
    found = lost_at(row.evicting_at, row.declared_dead_by, patience)
    return FOR_EVER if found is None else found


def _is_due(pod: Pod, row: Node, now: float) -> bool:
    return is_made_again(pod) and _lost_at(pod, row) <= now


def is_made_again(pod: Pod) -> bool:
    """A bare pod that has not done its work yet and whose end nobody wants; or one that another one is to follow."""
    if pod.replica_set is not None:
        return False
    is_over = pod.phase in ("Succeeded", "Failed") or pod.deleted_at is not None
    return bool(pod.replacement) or (bool(pod.spec) and not is_over)


def _make_again(pods: list[Pod], wake: Wake, now: float) -> None:
    """In the place of the old row, since names are unique; the old uid is remembered with its node."""
    for pod in pods:
        node = Node.objects.get(pk=pod.node_id)
        node.replaced = {**node.replaced, pod.uid: f"{pod.namespace}/{pod.name}"}
        node.save(update_fields=["replaced"])
        objects.delete([pod])
        objects.create([again(pod, now)])
        objects.record_event(
            "Pod", pod.namespace, pod.name, "Warning", NODE_DEAD,
            f"its node {node.name} is dead; it is made again elsewhere", node=node.name, at=now,
        )  # fmt: skip
    if pods:
        waking.wake_for_pods(pods, wake)
        wake("schedule", "cluster")


def again(pod: Pod, now: float) -> Pod:
    """The same bare pod, to be placed anew; or the one that was to follow it."""
    if pod.replacement:
        return replacement(pod, now)
    return Pod(
        namespace=pod.namespace, name=pod.name, labels=pod.labels, annotations=pod.annotations, spec=pod.spec,
        images=pod.images, application_id=pod.application_id, commit=pod.commit, source_file=pod.source_file,
        manifest_hash=pod.manifest_hash, created_at=now,
        placement=templates.bare_placement(pod.namespace, pod.labels, pod.annotations, pod.spec),
    )  # fmt: skip


def _tell(pod: Pod, row: Node, now: float) -> None:
    """Why a pod of a dead node is not replaced (yet), on the pod."""
    at = _lost_at(pod, row)
    if at != FOR_EVER:
        words = f"it tolerates that for {at - row.evicting_at:g} s, then it is replaced elsewhere"
    else:
        stored = pod.replica_set.spec["template"]["spec"] if pod.replica_set and pod.replica_set.spec else pod.spec
        tied = tie(PodSpec.model_validate(stored)) if stored else "its template is not known any more"
        why = tied or "it tolerates node.kubernetes.io/unreachable"
        words = f"it waits for it, since {why}; `manage.py node declare-dead {row.name}` replaces it"
    pod.waiting, pod.message = NODE_DEAD, f"its node {row.name} is dead; {words}"
    objects.update([pod], ["waiting", "message"])
    objects.record_event(
        "Pod", pod.namespace, pod.name, "Warning", NODE_DEAD, pod.message, node=row.name, at=now
    )  # fmt: skip
