"""Deployments as the core sees them, and a reconcile's plan as rows.

`load` reads; `apply` writes everything that a plan says in the caller's (fenced) transaction and wakes whom it
concerns. A pin holds a template as long as Git still asks for what the pin skipped (`workload_values.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F

from control.models import Deployment, Pod, ReplicaSet
from control.models.budgets import budgets_of
from control.store import canaries, doubt, incidents, objects, templates, timeline, unstarted, waking
from control.store.statuses import deployment_status
from control.store.workload_values import POD_COLUMNS, pod_values, snapshot
from deployer.core.survival.states import serves
from deployer.core.workloads import values
from deployer.core.workloads.canary import REASON as ABORTED_CANARY
from deployer.ports import Wake


@dataclass(frozen=True, slots=True)
class Loaded:
    """A Deployment's rows beside the core's value of them."""

    row: Deployment
    sets: dict[str, ReplicaSet]
    snapshot: values.Snapshot
    has_resumed: bool = False  # its pin ended just now
    wait_until: float = 0.0  # nothing is to be done before

    @property
    def terminating(self) -> bool:
        return self.row.deleted_at is not None


def load(uid: str, now: float) -> Loaded | None:
    row = Deployment.objects.filter(pk=uid).annotate(**doubt.COLUMNS).first()
    if row is None:
        return None
    if doubt.holds(row, now):
        return Loaded(row, {}, snapshot(row, (), (), now), wait_until=now + doubt.HOLD_SECONDS)
    if has_resumed := resumed(row):
        resume(row, "a newer commit changed the template")
    sets = {found.uid: found for found in row.replica_sets.defer("spec", "config")}
    if any(one.adopted and one.template_hash == row.live_hash for one in sets.values()):
        _recognise(row)
        sets = {found.uid: found for found in row.replica_sets.defer("spec", "config")}
    pods = pod_values(Pod.objects.filter(replica_set__deployment_id=uid).values_list(*POD_COLUMNS), now)
    drained = [pod.uid for pod in pods if pod.evicting and not pod.deleting]
    budgets = budgets_of(row.namespace, drained) if drained else ()
    seen = dataclasses.replace(snapshot(row, sets.values(), pods, now), budgets=budgets)
    return Loaded(row, sets, seen, has_resumed)


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


def apply(loaded: Loaded, plan: values.Plan, wake: Wake) -> None:
    """Write the plan. To be called inside a fenced transaction; may be called again with a plan made anew."""
    row, now = loaded.row, loaded.snapshot.now
    sets = {**{one.name: one for one in loaded.sets.values()}, **loaded.sets}
    if plan.create_replica_set:
        made = _create_set(row, plan.create_replica_set, now)
        sets[made.uid] = sets[made.name] = made
    _write_sets(plan, sets)
    if plan.create_pods and _create_pods(row, [(sets[pod.replica_set], pod.name) for pod in plan.create_pods], now):
        wake("schedule", "cluster")
    unstarted.tell(plan.delete_pods, now)
    delete_pods([(pod.uid, pod.reason) for pod in plan.delete_pods], wake, now)
    tell_held({held.uid: held.why for held in plan.held}, now)
    for uid, _ in plan.delete_replica_sets:
        objects.delete([sets[uid]])
    canaries.write(row, plan, wake, now)
    _write_status(row, plan, wake, now)
    if plan.rollback:
        _pin_back(row, plan.rollback, sets.values(), now)
    if plan.rollback or plan.canary is not None or loaded.has_resumed:
        _wake_tellers(row, wake)
    for event in plan.events:
        kind, name = event.object
        objects.record_event(kind, row.namespace, name, event.type, event.reason, event.message, at=now)


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
    rows = list(Pod.objects.filter(pk__in=uids, deleted_at=None).select_related("node")) if uids else []
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


def _create_pods(row: Deployment, wanted: list[tuple[ReplicaSet, str]], now: float) -> int:
    """The pods that a plan names. A name that exists already was made by an earlier pass: it only moves the counter."""
    taken = set(
        Pod.objects.filter(namespace=row.namespace, name__in=[name for _, name in wanted]).values_list(
            "name", flat=True
        )
    )
    full = {owner.uid: ReplicaSet.objects.get(pk=owner.uid) for owner, _ in wanted}
    summaries = {uid: templates.placement_of(found.spec["template"]) for uid, found in full.items()}
    made = [
        Pod(
            namespace=row.namespace, name=name, application_id=row.application_id, commit=owner.commit,
            labels={**owner.labels, "pod-template-hash": owner.template_hash}, replica_set=owner,
            owner=row.pods_owner, template_hash=owner.template_hash, revision=owner.revision,
            placement=summaries[owner.uid], created_at=now,
            deletion_cost=_deletion_cost(full[owner.uid].spec["template"]),
        )
        for owner, name in wanted
        if name not in taken
    ]  # fmt: skip
    objects.create(made)
    for uid, found in full.items():
        found.created_count += sum(1 for owner, _ in wanted if owner.uid == uid)
        ReplicaSet.objects.filter(pk=uid).update(created_count=found.created_count)
    return len(made)


def tell_held(words: Mapping[str, str], now: float) -> None:
    """What a drain waits for (uid -> why), on each pod, and once as its event."""
    if not words:
        return
    pods = [pod for pod in Pod.objects.filter(pk__in=list(words)) if pod.message != words[pod.uid]]
    for pod in pods:
        pod.message = words[pod.uid]
        objects.record_once("Pod", pod.namespace, pod.name, "Normal", "DrainWaits", pod.message, at=now)
    objects.update(pods, ["message"])


def _write_status(row: Deployment, plan: values.Plan, wake: Wake, now: float) -> None:
    progress, was = dataclasses.asdict(plan.progress), row.progress.get("reason")
    status = deployment_status(row.status, plan, now)
    if progress != row.progress or status != row.status:
        row.progress, row.status = progress, status
        objects.update([row], ["progress", "status"])
        if progress["reason"] != was:
            _wake_tellers(row, wake)
        timeline.note(row, now)


def _wake_tellers(row: Deployment, wake: Wake) -> None:
    """People are told when it fails and when that is over, and its Git host how the commit fares."""
    wake(incidents.LOOP, row.uid)
    if row.application_id:
        wake("status", str(row.application_id))


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
