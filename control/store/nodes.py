"""What is placed on a node, as the core wants it, and what was observed there, as rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings

from control.models import Node, Pod, ReplicaSet, Router
from control.store import addresses, leaving, objects, templates, waking
from control.store.routed_pods import results
from deployer.core.container import Subnet
from deployer.core.network import addresses as layout
from deployer.core.node import PodDesired, PodPlaced, PullFailure
from deployer.core.objects.pod import PodSpec
from deployer.core.pod_outcome import PodOutcome
from deployer.core.pod_status import PodStatus
from deployer.ports import EngineError, Wake

STARTING = ("ContainerCreating", "PodInitializing", "Completed")
STATUS_FIELDS = (
    "status", "phase", "ready", "ready_at", "started_at", "restarts", "waiting", "message", "log_tail", "settled",
    "pulls", "attempts", "ip",
)  # fmt: skip
NOT_SET_UP = "it has not been set up yet"


def placed(node_uid: str) -> list[PodPlaced]:
    rows = Pod.objects.filter(node_id=node_uid, orphaned=False)
    found = [pod_placed(row) for row in rows.values_list("uid", "deleted_at", "settled", "started_at")]
    return [*found, *(PodPlaced(uid=uid, deleting=True) for uid in _replaced(node_uid))]


def _replaced(node_uid: str) -> dict[str, str]:
    """Pods that were made again elsewhere while the node was dead: what is left of them here is to go."""
    return Node.objects.values_list("replaced", flat=True).filter(pk=node_uid).first() or {}


def pod_placed(column: tuple[str, float | None, str, float]) -> PodPlaced:
    uid, deleted, settled, started = column
    return PodPlaced(uid=uid, deleting=deleted is not None, settled=settled, started_at=started)


def orphans(node_uid: str) -> set[str]:
    return set(Pod.objects.filter(node_id=node_uid, orphaned=True, deleted_at=None).values_list("uid", flat=True))


def desired(node_uid: str, uids: Iterable[str]) -> dict[str, PodDesired | None]:
    """The full pods; None for one whose template is not known any more (adopted after the database was lost), and for
    one that was replaced."""
    rows = Pod.objects.filter(node_id=node_uid, pk__in=list(uids)).select_related("node", "application")
    rows_by_uid = {row.uid: row for row in rows}
    owners = ReplicaSet.objects.in_bulk({row.replica_set_id for row in rows_by_uid.values() if row.replica_set_id})
    specs: dict[str, tuple[PodSpec, Mapping[str, str], Any]] = {}
    for uid, owner in owners.items():
        if owner.spec:
            specs[uid] = _spec_of_set(owner)
    network = _networking(node_uid, list(rows_by_uid.values()))
    gone = dict.fromkeys(_replaced(node_uid).keys() & set(uids))
    return gone | {uid: _desired(row, owners, specs, network) for uid, row in rows_by_uid.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Networking:
    """What the pods of one node are told of networks and routers. `everywhere`: the version that all routers have."""

    indexes: Mapping[str, int]
    everywhere: int | None
    router_problem: str

    def of(self, row: Pod) -> dict[str, Any]:
        """The fields of `PodDesired` that say where the pod stands, and whether it may be stopped."""
        name, pod_range = addresses.network_of(row), settings.PIERHEAD.pod_range
        index = self.indexes.get(name)
        subnet: Subnet | None = None if index is None else layout.subnet(pod_range, index)
        return {
            "network": name, "subnet": subnet, "probes": results(row.probes), "router_problem": self.router_problem,
            "dns": "" if index is None else layout.addresses(pod_range, index).router,
            "released": leaving.is_released(row.leaving_version, self.everywhere),
            "release_by": (row.deleted_at or 0) + leaving.RELEASED_AFTER_SECONDS if row.deleted_at else 0,
        }  # fmt: skip


def _networking(node_uid: str, rows: list[Pod]) -> Networking:
    """A network that is chosen here is on record before any container is made: for pods that no scheduler placed."""
    for row in addresses.choose_networks(rows):
        Pod.objects.filter(pk=row.pk).update(network=row.network)
    held = any(row.leaving_version for row in rows)
    router = Router.objects.filter(pk=node_uid).values_list("ready", "message", "reason").first()
    problem = NOT_SET_UP if router is None or not router[2] else "" if router[0] else router[1]
    everywhere = leaving.applied_everywhere() if held else None
    return Networking(addresses.network_indexes(rows, in_use=True), everywhere, problem)


def _spec_of_set(owner: ReplicaSet) -> tuple[PodSpec, Mapping[str, str], Any]:
    template = owner.spec["template"]
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    live = annotations.get(templates.CONFIG_ROLLOUT) == "off"
    kept = templates.pack(templates.contents_for(template, owner.namespace)) if live else owner.config.load()
    return PodSpec.model_validate(template["spec"]), annotations, templates.unpack(kept)


def _desired(
    row: Pod,
    owners: Mapping[str, ReplicaSet],
    specs: Mapping[str, tuple[PodSpec, Mapping[str, str], Any]],
    networking: Networking,
) -> PodDesired | None:
    if row.replica_set_id:
        if row.replica_set_id not in specs:
            return None
        spec, annotations, config = specs[row.replica_set_id]
        owner = owners[row.replica_set_id]
        images, set_name = owner.images, owner.name
    else:
        if not row.spec:
            return None
        spec, annotations, images, set_name = PodSpec.model_validate(row.spec), row.annotations, row.images, ""
        config = templates.unpack(templates.pack(templates.contents_for({"spec": row.spec}, row.namespace)))
    assert row.node is not None
    return PodDesired(
        uid=row.uid, namespace=row.namespace, name=row.name, node=row.node.name, node_ip=row.node.host,
        labels=row.labels, annotations=annotations, spec=spec, owner=row.owner, replica_set=set_name,
        application=row.application.name if row.application else "", template_hash=row.template_hash,
        revision=row.revision, commit=row.commit, created_at=row.created_at, deleting_at=row.deleted_at or 0,
        grace_seconds=row.grace_seconds, config=config, images=images, attempts=row.attempts,
        previous=PodStatus.from_dict(row.status) if row.status else None, **networking.of(row),
    )  # fmt: skip


def pull_failures(uids: Iterable[str]) -> dict[str, dict[str, PullFailure]]:
    rows = Pod.objects.filter(pk__in=list(uids)).exclude(pulls={}).values_list("uid", "pulls")
    return {uid: {image: PullFailure(**kept) for image, kept in pulls.items()} for uid, pulls in rows}


def save(node: str, outcomes: Iterable[PodOutcome], wake: Wake, now: float) -> None:
    """Store what became of pods on a node, in the caller's fenced transaction, and wake whom it concerns."""
    by_uid = {one.uid: one for one in outcomes}
    rows = {row.uid: row for row in Pod.objects.filter(pk__in=list(by_uid)).select_related("replica_set")}
    changed, gone, rerouted = [], [], []
    for uid, row in rows.items():
        outcome = by_uid[uid]
        for event in outcome.events:
            objects.record_event(
                "Pod", row.namespace, row.name, event.type, event.reason, event.message, node=node, at=now
            )
        before = _routing_facts(row)
        if outcome.gone:
            gone.append(row)
        elif _take_over(row, outcome):
            changed.append(row)
            rerouted += [row] if _routing_facts(row) != before else []
    objects.update(changed, STATUS_FIELDS)
    _remove(gone, wake, now)
    _forget_replaced(node, {uid for uid, outcome in by_uid.items() if outcome.gone})
    for deployment in {row.replica_set.deployment_id for row in [*changed, *gone] if row.replica_set}:
        wake("reconcile", str(deployment))
    waking.wake_for_pods([*rerouted, *gone], wake)


def _routing_facts(row: Pod) -> tuple[Any, ...]:
    """What routers ask of a pod; of one that they probe, each run of each container as well."""
    runs: tuple[Any, ...] = ()
    if row.placement.get("probed"):
        status = PodStatus.from_dict(row.status) if row.status else None
        found = status.all_containers() if status is not None else ()
        runs = tuple((one.name, one.container_id, one.state, one.started, one.started_at) for one in found)
    return (row.ready, row.ip, row.phase in ("Succeeded", "Failed"), row.deleted_at is not None, runs)


def broken_off(node: str, pods: Mapping[str, EngineError], now: float) -> None:
    """The engine did not answer in the middle of a pod's turn: the pod says so until the next turn knows better."""
    rows = list(Pod.objects.filter(pk__in=list(pods)))
    for row in rows:
        error = pods[row.uid]
        row.message = error.sentence
        if not row.ready:
            row.waiting = error.reason
        objects.record_event("Pod", row.namespace, row.name, "Warning", error.reason, error.sentence, node=node, at=now)
    objects.update(rows, ["message", "waiting"])


def _take_over(row: Pod, outcome: PodOutcome) -> bool:
    """Copy the outcome onto the row; False when nothing a person or a loop would see has changed."""
    status = outcome.status
    fresh: dict[str, Any] = {
        "settled": "" if row.deleted_at is not None else outcome.settled,
        "pulls": {image: dataclasses.asdict(failure) for image, failure in outcome.pulls.items()},
    }
    if status is not None:
        waiting, message, log_tail = trouble(status)
        fresh.update(
            status=status.to_dict(), phase=status.phase, ready=status.ready, ready_at=status.ready_at,
            started_at=status.last_start_at, restarts=status.restarts, waiting=waiting, message=message,
            log_tail=log_tail, attempts=status.attempts, ip=status.pod_ip,
        )  # fmt: skip
    before = {name: getattr(row, name) for name in fresh}
    for name, value in fresh.items():
        setattr(row, name, value)
    return before != fresh


def trouble(status: PodStatus) -> tuple[str, str, str]:
    """What keeps a pod from being ready, in Kubernetes' word and a sentence, and the last lines of a failed run."""
    all_of = (*status.init_containers, *status.containers)
    log_tail = next((one.last.log_tail for one in all_of if one.last and one.last.log_tail), "")
    stuck = [one for one in all_of if not one.ready and one.reason and one.reason not in STARTING]
    if stuck and not status.ready:
        return stuck[0].reason, stuck[0].message or status.message, log_tail
    return "", "" if status.ready else status.message, log_tail


def _remove(gone: list[Pod], wake: Wake, now: float) -> None:
    again = [row for row in gone if row.replacement]
    objects.delete(gone)
    for row in again:
        objects.create([replacement(row, now)])
    if gone:
        wake("schedule", "cluster")


def _forget_replaced(node: str, gone: set[str]) -> None:
    row = Node.objects.filter(name=node).only("uid", "replaced").first() if gone else None
    if row is not None and gone & row.replaced.keys():
        row.replaced = {uid: name for uid, name in row.replaced.items() if uid not in gone}
        row.save(update_fields=["replaced"])


def replacement(row: Pod, now: float) -> Pod:
    """The bare pod that its manifest asks for now, in the place of the one that is gone."""
    kept = row.replacement
    return Pod(
        namespace=row.namespace, name=row.name, labels=kept["labels"], annotations=kept["annotations"],
        spec=kept["spec"], application_id=row.application_id, commit=kept["commit"], source_file=kept["source_file"],
        manifest_hash=kept["manifest_hash"], images=kept.get("images", {}), created_at=now,
        placement=templates.bare_placement(row.namespace, kept["labels"], kept["annotations"], kept["spec"]),
    )  # fmt: skip


def saw(node_uid: str, now: float) -> None:
    Node.objects.filter(pk=node_uid).update(observed_at=now)
