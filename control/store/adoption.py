"""Taking running containers back into the records: after the database was lost, or a host came back.

A container of this cluster whose pod is not on record is never removed for that. Its pod's row is made again from
its labels; it joins the replica set of its template hash, or waits as an orphan until its Deployment is known.
"""

from __future__ import annotations

from collections.abc import Iterable

from control.models import Deployment, Node, Pod, ReplicaSet
from control.store import objects, templates, waking
from deployer.core.node import AdoptedPod
from deployer.ports import Wake


def adopt(node: Node, found: Iterable[AdoptedPod], wake: Wake, now: float) -> int:
    """Make rows for pods that are on the node and not on record. Returns how many were taken in."""
    known = set(Pod.objects.filter(pk__in=[pod.uid for pod in found]).values_list("uid", flat=True))
    count = 0
    for pod in sorted(found, key=lambda one: (one.namespace, one.name, one.uid)):
        if pod.uid not in known and _adopt(node, pod, now):
            count += 1
    for deployment in claim(wake, now):
        wake("reconcile", deployment)
    return count


def claim(wake: Wake, now: float, namespace: str | None = None) -> set[str]:
    """Give orphans whose Deployment is on record to it. Returns the deployments' uids."""
    orphans = Pod.objects.filter(orphaned=True, deleted_at=None).select_related("node")
    if namespace is not None:
        orphans = orphans.filter(namespace=namespace)
    claimed: set[str] = set()
    for row in orphans.order_by("namespace", "name"):
        kind, _, name = row.claimed_owner.partition("/")
        rows = Deployment.objects.filter(namespace=row.namespace, name=name)
        owner = rows.first() if kind in ("Deployment", "Rollout") else None
        if owner is not None:
            _join(row, owner, now)
            waking.wake_for_pods([row], wake)
            wake("converge", str(row.node_id))
            waking.wake_evictions(wake, [str(row.node_id)])
            claimed.add(owner.uid)
    return claimed


def _adopt(node: Node, pod: AdoptedPod, now: float) -> bool:
    same_name = Pod.objects.filter(namespace=pod.namespace, name=pod.name).select_related("node").first()
    if same_name is not None:
        if same_name.node is not None:
            _tell_stranger(node, same_name, now)
            return False  # two hosts claim one name: the one on record stands, the other waits for a person
        objects.delete([same_name])
    row = Pod(
        uid=pod.uid, namespace=pod.namespace, name=pod.name, node=node, template_hash=pod.template_hash,
        revision=pod.revision, commit=pod.commit, created_at=now, scheduled_at=now, orphaned=True,
        claimed_owner=pod.owner, phase="Running",
    )  # fmt: skip
    objects.create([row])
    objects.record_event(
        "Pod", pod.namespace, pod.name, "Normal", "Adopted",
        f"its containers were found running on node {node.name} and taken into the records again",
        node=node.name, at=now,
    )  # fmt: skip
    return True


def _tell_stranger(node: Node, known: Pod, now: float) -> None:
    assert known.node is not None
    objects.record_once(
        "Pod", known.namespace, known.name, "Warning", "NotAdopted",
        f"containers of another pod of this name run on node {node.name}, left over there; it is this one, on node "
        f"{known.node.name}, that counts: remove the others by hand (`docker ps --filter "
        f"label=pierhead.io/pod={known.name}` shows them)",
        node=node.name, at=now,
    )  # fmt: skip


def _join(row: Pod, owner: Deployment, now: float) -> None:
    found = owner.replica_sets.filter(template_hash=row.template_hash).first() or _set_for(row, owner, now)
    _give_up_pending(found)
    row.replica_set, row.orphaned, row.owner, row.claimed_owner = found, False, owner.pods_owner, ""
    row.labels = {**found.labels, "pod-template-hash": found.template_hash}
    row.application_id, row.settled = owner.application_id, ""
    if found.spec:
        row.placement = templates.placement_of(found.spec["template"])
    objects.update(
        [row], ["replica_set", "orphaned", "owner", "claimed_owner", "labels", "application", "settled", "placement"]
    )
    if found.replicas < found.pods.filter(deleted_at=None).count():
        found.replicas = found.pods.filter(deleted_at=None).count()
        objects.update([found], ["replicas"])


def _set_for(row: Pod, owner: Deployment, now: float) -> ReplicaSet:
    """The replica set of the pod's template: whole if Git still asks for it, else known by its hash alone."""
    same = row.template_hash == owner.live_hash
    template = templates.live_template(owner) if same else None
    made = ReplicaSet(
        namespace=owner.namespace, name=f"{owner.name}-{row.template_hash}", deployment=owner,
        application_id=owner.application_id, commit=row.commit, template_hash=row.template_hash,
        revision=max(row.revision, 1), created_at=now, adopted=not same,
        spec={"template": template} if template else {},
        labels=(template.get("metadata") or {}).get("labels") or {} if template else {}, healthy=same,
    )  # fmt: skip
    if template:
        made.config.store(templates.pack(templates.contents_for(template, owner.namespace)))
    objects.create([made])
    return made


def _give_up_pending(found: ReplicaSet) -> None:
    """A pod that waits for a node gives way to one that runs already: nothing is doubled."""
    waiting = found.pods.filter(node=None, deleted_at=None).order_by("-created_at", "name").first()
    if waiting is not None:
        objects.delete([waiting])
