"""Deployments as the core sees them, and a reconcile's plan as rows.

`load` reads; `apply` writes everything that a plan says in the caller's (fenced) transaction and wakes whom it
concerns. A pin holds a template as long as Git still asks for what the pin skipped (`workload_values.py`).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, QuerySet

from control.models import Deployment, Pod, ReplicaSet
from control.models.budgets import budgets_of
from control.store import canaries, doubt, incidents, objects, templates, timeline, unstarted, waking
from control.store.statuses import deployment_status
from control.store.workload_values import POD_COLUMNS, pod_values, snapshot
from deployer.core.survival.states import serves
from deployer.core.workloads import values
from deployer.core.workloads.canary import REASON as ABORTED_CANARY
from deployer.ports import Wake

_TO_DELETE = (
    "uid", "namespace", "name", "labels", "placement", "ready", "ip", "resource_version", "node__ready", "node__reason",
)  # fmt: skip
_NAMES_AT_ONCE = 1000
"""Of one query: how many values one may have differs between databases."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A Deployment's rows beside the core's value of them."""

    row: Deployment
    sets: dict[str, ReplicaSet]
    snapshot: values.Snapshot
    has_resumed: bool = False  # its pin ended just now
    wait_until: float = 0.0  # nothing is to be done before

    @property
    def uid(self) -> str:
        return self.row.uid

    @property
    def terminating(self) -> bool:
        return self.row.deleted_at is not None

    @property
    def shares(self) -> bool:
        """It may take something of which there is one for several workloads."""
        return bool(self.snapshot.budgets)


def load(uids: Sequence[str], now: float) -> list[Loaded]:
    """Those that there are, in a handful of queries; a few more for each that is out of the ordinary."""
    rows, waiting = list[Deployment](), list[Loaded]()
    for row in Deployment.objects.filter(pk__in=uids).annotate(**doubt.COLUMNS).order_by("namespace", "name"):
        if doubt.holds(row, now):
            waiting.append(Loaded(row, {}, snapshot(row, (), (), now), wait_until=now + doubt.HOLD_SECONDS))
        else:
            rows.append(row)
    fresh = [row for row in rows if resumed(row)]
    for row in fresh:
        resume(row, "a newer commit changed the template")
    sets = _sets_of(rows)
    pods = pods_by_owner(Pod.objects.filter(replica_set__in=[uid for mine in sets.values() for uid in mine]), sets, now)
    found = []
    for row in rows:
        mine = pods.get(row.uid, [])
        drained = [pod.uid for pod in mine if pod.evicting and not pod.deleting]
        budgets = budgets_of(row.namespace, drained) if drained else ()
        seen = dataclasses.replace(snapshot(row, sets[row.uid].values(), mine, now), budgets=budgets)
        found.append(Loaded(row, sets[row.uid], seen, row in fresh))
    return [*waiting, *found]


def pods_by_owner(
    pods: QuerySet[Pod], sets: Mapping[str, Mapping[str, ReplicaSet]], now: float
) -> dict[str, list[values.Pod]]:
    """Deployment -> the core's values of its pods. `sets`: Deployment -> its replica sets by uid."""
    owners = {uid: owner for owner, mine in sets.items() for uid in mine}
    found: dict[str, list[values.Pod]] = {}
    for pod in pod_values(pods.values_list(*POD_COLUMNS), now):
        if pod.replica_set in owners:
            found.setdefault(owners[pod.replica_set], []).append(pod)
    return found


def _sets_of(rows: Sequence[Deployment]) -> dict[str, dict[str, ReplicaSet]]:
    found: dict[str, dict[str, ReplicaSet]] = {row.uid: {} for row in rows}
    for one in ReplicaSet.objects.filter(deployment__in=list(found)).defer("spec", "config"):
        found[one.deployment_id][one.uid] = one
    for row in rows:
        if any(one.adopted and one.template_hash == row.live_hash for one in found[row.uid].values()):
            _recognise(row)
            found[row.uid] = {one.uid: one for one in row.replica_sets.defer("spec", "config")}
    return found


def _recognise(row: Deployment) -> None:
    """An adopted set whose template Git asks for (again) is whole: its template and config are known now."""
    found = row.replica_sets.filter(adopted=True, template_hash=row.live_hash).first()
    if found is not None:
        template = templates.live_template(row)
        found.spec, found.adopted = {"template": template}, False
        found.labels = (template.get("metadata") or {}).get("labels") or {}
        found.config.store(templates.pack(templates.contents_for(template, row.namespace)))
        objects.update([found], ["spec", "adopted", "labels", "config"])


def resumed(row: Deployment) -> bool:
    """A pin ends when Git asks for something else than what it skipped."""
    return bool(row.pin) and row.pin["skipped_hash"] != row.live_hash


def resume(row: Deployment, why: str) -> None:
    objects.record_event(
        row.kind, row.namespace, row.name, "Normal", "Resumed",
        f"the pin to revision {row.pin['revision']} ended: {why}",
    )  # fmt: skip
    row.pin = {}
    objects.update([row], ["pin"])


def apply(decided: Sequence[tuple[Loaded, values.Plan]], wake: Wake) -> None:
    """Write the plans. To be called inside a fenced transaction; may be called again with plans made anew."""
    now = decided[0][0].snapshot.now
    to_make: list[tuple[Deployment, ReplicaSet, str]] = []
    for loaded, plan in decided:
        sets = {**{one.name: one for one in loaded.sets.values()}, **loaded.sets}
        if plan.create_replica_set:
            made = _create_set(loaded.row, plan.create_replica_set, now)
            loaded.sets[made.uid] = sets[made.uid] = sets[made.name] = made
        _write_sets(plan, sets)
        to_make += [(loaded.row, sets[pod.replica_set], pod.name) for pod in plan.create_pods]
    if to_make and _create_pods(to_make, now):
        wake("schedule", "cluster")
    doomed = [pod for _, plan in decided for pod in plan.delete_pods]
    unstarted.tell(doomed, now)
    delete_pods([(pod.uid, pod.reason) for pod in doomed], wake, now)
    tell_held({held.uid: held.why for _, plan in decided for held in plan.held}, now)
    objects.delete([loaded.sets[uid] for loaded, plan in decided for uid, _ in plan.delete_replica_sets])
    for loaded, plan in decided:
        canaries.write(loaded.row, plan, wake, now)
    to_tell = _write_statuses(decided, now)
    for loaded, plan in decided:
        if plan.rollback:
            _pin_back(loaded.row, plan.rollback, loaded.sets.values(), now)
        if plan.rollback or plan.canary is not None or loaded.has_resumed:
            to_tell.append(loaded.row)
    _wake_tellers(to_tell, wake)
    objects.record_events([_told(loaded.row, event, now) for loaded, plan in decided for event in plan.events])


def _told(row: Deployment, event: values.Event, now: float) -> objects.Told:
    kind, name = event.object
    return objects.Told(kind, row.namespace, name, event.type, event.reason, event.message, "", now)


def tear_down(loaded: Loaded, wake: Wake) -> None:
    """A Deployment that was pruned: first its pods end, then its records go."""
    pods = Pod.objects.filter(replica_set__deployment=loaded.row)
    doomed = [(uid, "the Deployment was pruned") for uid in pods.values_list("uid", flat=True)]
    delete_pods(doomed, wake, loaded.snapshot.now)
    if not pods.exists():
        objects.delete(list(loaded.sets.values()))
        objects.delete([loaded.row])


def delete_pods(doomed: Iterable[tuple[str, str]], wake: Wake, now: float) -> None:
    """Ask for the pods' end, and wake whom it concerns. Those on no node go at once.

    One that may have traffic, in a namespace with Services, is stopped when all routers have let it go
    (`leaving.py`): its deletion's resource version is what they have to reach. Of pods on a host that does not serve
    they have let go already, and they look again when it is back: a thousand lost pods wake nobody a thousand times.
    """
    uids = [uid for uid, _ in doomed]
    found = Pod.objects.filter(pk__among=uids, deleted_at=None).select_related("node").only(*_TO_DELETE)
    rows = list(found) if uids else []
    unplaced = [row for row in rows if row.node_id is None]
    placed = [row for row in rows if row.node_id is not None]
    for row in placed:
        row.deleted_at, row.settled = now, ""
    objects.delete(unplaced)
    objects.update(placed, ["deleted_at", "settled"])
    there = [row for row in placed if row.node is not None and serves(row.node.ready, row.node.reason)]
    if _leave(placed).intersection(row.uid for row in there):
        waking.wake_all(wake)
    else:
        waking.wake_for_pods(there, wake)
    wake("converge", {str(row.node_id) for row in placed})


def _leave(rows: list[Pod]) -> set[str]:
    """Those that a router may have to let go. Of which Services is not asked: a selector may have moved on in the
    very commit that ends its old pods, and routers know only later."""
    reachable = [row for row in rows if row.ready or row.ip]
    namespaces = waking.selectors_of(reachable).keys() if reachable else set()
    served = [row for row in reachable if row.namespace in namespaces]
    for row in served:
        row.leaving_version = row.resource_version
    if served:
        Pod.objects.filter(pk__in=[row.pk for row in served]).update(leaving_version=F("resource_version"))
    return {row.uid for row in served}


def _create_set(row: Deployment, new: values.NewReplicaSet, now: float) -> ReplicaSet:
    assert new.template_hash == row.live_hash, "a pinned revision is never pruned"
    template = templates.live_template(row)
    made = ReplicaSet(
        namespace=row.namespace, name=new.name, labels=(template.get("metadata") or {}).get("labels") or {},
        application_id=row.application_id, commit=row.commit, spec={"template": template}, deployment=row,
        template_hash=new.template_hash, revision=new.revision, replicas=new.replicas, max_replicas=new.max_replicas,
        created_at=now,
    )  # fmt: skip
    made.config.store(templates.pack(templates.contents_for(template, row.namespace)))
    objects.create([made])
    return made


def _write_sets(plan: values.Plan, sets: dict[str, ReplicaSet]) -> None:
    changed: dict[str, ReplicaSet] = {}
    if plan.reuse:
        uid, revision = plan.reuse
        sets[uid].revision = revision
        changed[uid] = sets[uid]
    for scale in plan.scale:
        found = sets.get(scale.uid) or sets[scale.name]
        found.replicas, found.max_replicas = scale.replicas, scale.max_replicas
        changed[found.uid] = found
    for uid in plan.mark_healthy:
        sets[uid].healthy, sets[uid].failed = True, False
        changed[uid] = sets[uid]
    objects.update(list(changed.values()), ["revision", "replicas", "max_replicas", "healthy", "failed"])


def _create_pods(wanted: Sequence[tuple[Deployment, ReplicaSet, str]], now: float) -> int:
    """Pods by name, of these sets. A name that is there was made by an earlier pass: it only moves the counter."""
    taken = set[tuple[str, str]]()
    for start in range(0, len(wanted), _NAMES_AT_ONCE):
        some = wanted[start : start + _NAMES_AT_ONCE]
        there = Pod.objects.filter(
            namespace__in={row.namespace for row, _, _ in some}, name__in=[name for _, _, name in some]
        )
        taken.update(there.values_list("namespace", "name"))
    owners = ReplicaSet.objects.filter(pk__in={owner.uid for _, owner, _ in wanted})
    full = {one.uid: one for one in owners.only("uid", "spec", "created_count")}
    summaries = {uid: templates.placement_of(found.spec["template"]) for uid, found in full.items()}
    costs = {uid: _deletion_cost(found.spec["template"]) for uid, found in full.items()}
    made = [
        Pod(
            namespace=row.namespace, name=name, application_id=row.application_id, commit=owner.commit,
            labels={**owner.labels, "pod-template-hash": owner.template_hash}, replica_set=owner,
            owner=row.pods_owner, template_hash=owner.template_hash, revision=owner.revision,
            placement=summaries[owner.uid], created_at=now, deletion_cost=costs[owner.uid],
        )
        for row, owner, name in wanted
        if (row.namespace, name) not in taken
    ]  # fmt: skip
    objects.create(made)
    counted = Counter(owner.uid for _, owner, _ in wanted)
    for uid, found in full.items():
        found.created_count += counted[uid]
    objects.write(list(full.values()), ["created_count"])
    return len(made)


def tell_held(words: Mapping[str, str], now: float) -> None:
    """What a drain waits for (uid -> why), on each pod, and once as its event."""
    if not words:
        return
    pods = [pod for pod in Pod.objects.filter(pk__among=words) if pod.message != words[pod.uid]]
    for pod in pods:
        pod.message = words[pod.uid]
        objects.record_once("Pod", pod.namespace, pod.name, "Normal", "DrainWaits", pod.message, at=now)
    objects.update(pods, ["message"])


def _write_statuses(decided: Sequence[tuple[Loaded, values.Plan]], now: float) -> list[Deployment]:
    """Those whose progress is another one now: somebody is to be told."""
    changed, told = list[Deployment](), list[Deployment]()
    for loaded, plan in decided:
        row, progress = loaded.row, dataclasses.asdict(plan.progress)
        status = deployment_status(row.status, plan, now)
        if progress != row.progress or status != row.status:
            if progress["reason"] != row.progress.get("reason"):
                told.append(row)
            row.progress, row.status = progress, status
            changed.append(row)
    objects.update(changed, ["progress", "status"])
    for row in changed:
        timeline.note(row, now)
    return told


def _wake_tellers(rows: Collection[Deployment], wake: Wake) -> None:
    """People are told when it fails and when that is over, and its Git host how the commit fares."""
    wake(incidents.LOOP, {row.uid for row in rows})
    wake("status", {str(row.application_id) for row in rows if row.application_id})


def _pin_back(row: Deployment, rollback: values.Rollback, sets: Iterable[ReplicaSet], now: float) -> None:
    by_revision = {one.revision: one for one in sets}
    failed, target = by_revision[rollback.from_revision], by_revision[rollback.to_revision]
    ReplicaSet.objects.filter(pk=failed.pk).update(failed=True)
    by = rollback.by or "Pierhead"
    row.pin = pin(row, target, by=by, reason=rollback.message, now=now, log_tail=rollback.log_tail)
    row.pin["automatic"] = not rollback.by
    if rollback.reason == ABORTED_CANARY:
        row.pin["aborted"] = True
    objects.update([row], ["pin"])


def pin(row: Deployment, target: ReplicaSet, *, by: str, reason: str, now: float, log_tail: str = "") -> dict[str, Any]:
    """The pin that holds `target` for as long as Git asks for what it asks for now."""
    return {
        "revision": target.revision, "template_hash": target.template_hash, "commit": target.commit,
        "skipped_hash": row.live_hash, "skipped_commit": row.commit, "by": by, "reason": reason, "log_tail": log_tail,
        "at": now, "automatic": False,
    }  # fmt: skip


def _deletion_cost(template: dict[str, Any]) -> int:
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    text = str(annotations.get("controller.kubernetes.io/pod-deletion-cost", "0"))
    return int(text) if text.lstrip("-").isdigit() else 0
