"""Taints with the effect NoExecute: pods that do not tolerate them end, and say why.

`deployer/core/survival/taint_eviction.py` decides. They end as in any rollout (routers let them go, then they are
stopped), without asking PodDisruptionBudgets. Deployments make others by their own reconcile; bare pods are made again
elsewhere, as when a node is drained (`draining.py`).

Only while the node answers: what becomes of pods of a host that does not is judged by the heartbeat (`stranded.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from control.models import Event, Node, Pod
from control.models.residents import residents, residents_of
from control.store import objects
from control.store.draining import end_bare
from control.store.waking import EVICT
from control.store.workloads import delete_pods
from deployer.core.survival.taint_eviction import Eviction, plan
from deployer.core.taint import standing
from deployer.ports import Wake

LOOP = EVICT
REASON = "TaintManagerEviction"
"""Kubernetes' own, of its events."""


def evict(node: str, wake: Wake, now: float) -> float | None:
    """End those whose time has come, tell the others when it will; in the caller's transaction.

    Returns when the next one's comes, None: nobody's. May be repeated: who was asked to go is not there any more.
    """
    row = Node.objects.filter(pk=node, ready=True).only("uid", "name", "taints").first()
    taints = standing(row.taints) if row is not None else ()
    if row is None or not taints:
        return None
    pods = {one.uid: one for one in Pod.objects.filter(node=node, deleted_at=None, orphaned=False).defer("status")}
    found = plan(row.name, taints, residents(pods.values()), now)
    _end(row, found.due, pods, wake, now)
    _announce(row, found.later, now)
    return found.wake_at


def _end(row: Node, due: Sequence[Eviction], pods: Mapping[str, Pod], wake: Wake, now: float) -> None:
    if not due:
        return
    words = "1 pod is evicted that does" if len(due) == 1 else f"{len(due)} pods are evicted that do"
    told = [objects.Told("Node", "", row.name, "Normal", "Evicting", f"{words} not tolerate its taints (any more)",
                         row.name, now)]  # fmt: skip
    objects.record_events([*told, *(_told(row, one, one.why, now) for one in due)])
    for one in due:
        if pods[one.pod.uid].replica_set_id is None:
            end_bare(pods[one.pod.uid], one.why, wake, now)
    owned = {one.pod.uid: one.why for one in due if pods[one.pod.uid].replica_set_id}
    delete_pods(owned.items(), wake, now)
    wake("reconcile", set(Pod.objects.filter(pk__in=owned).values_list("replica_set__deployment_id", flat=True)))


def _announce(row: Node, later: Sequence[Eviction], now: float) -> None:
    """Once, however often it is looked at."""
    if not later:
        return
    since = now - objects.EVENT_FOLD_SECONDS
    known = set(Event.objects.filter(kind="Pod", reason=REASON, node=row.name, last_at__gt=since)
                .values_list("namespace", "name", "message"))  # fmt: skip
    fresh = [one for one in later if (one.pod.namespace, one.pod.name, one.announced) not in known]
    objects.record_events([_told(row, one, one.announced, now) for one in fresh])


def tell_spared(row: Node, before: Iterable[Mapping[str, str]], now: float) -> None:
    """Its taints were others `before`: whoever was to go in a while, and may stay now, says so."""
    was, taints = standing(before), standing(row.taints)
    if not was or was == taints:
        return
    there = residents_of(row.uid)
    now_found = plan(row.name, taints, there, now)
    staying = {one.uid for one in there} - {one.pod.uid for one in (*now_found.due, *now_found.later)}
    spared = [one for one in plan(row.name, was, there, now).later if one.pod.uid in staying]
    words = f"it stays: no taint of node {row.name} has it evicted any more"
    objects.record_events([_told(row, one, words, now) for one in spared])


def _told(row: Node, one: Eviction, words: str, now: float) -> objects.Told:
    return objects.Told("Pod", one.pod.namespace, one.pod.name, "Normal", REASON, words, row.name, now)
