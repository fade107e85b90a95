"""Pods as the routers see them: those that Services select anywhere, and all of one node.

A pod's row says where it is and whether it is ready. What its template says (named ports, probes) is read once for
each replica set and process: a template never changes, a new one is a new replica set.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from control.models import Pod, ReplicaSet
from control.store.addresses import named_network
from deployer.core.network import probes
from deployer.core.network.splits import OWNERS
from deployer.core.network.values import ContainerProbe, NetworkCheck, ProbeKind, ProbeResult, RoutedPod
from deployer.core.objects.pod import Container, PodSpec
from deployer.core.pod_probes import pod_probe_ports
from deployer.core.pod_status import PodStatus

MOST_REMEMBERED = 4096
_COLUMNS = (
    "uid", "namespace", "name", "node_id", "ip", "labels", "ready", "deleted_at", "network", "owner", "revision",
    "template_hash", "replica_set_id", "placement", "phase", "leaving_version",
)  # fmt: skip
_OVER = ("Succeeded", "Failed")
_remembered: dict[str, TemplateFacts] = {}


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """What routing asks of a pod template. `probed`: the containers that run on, () when the router probes none."""

    ports: Mapping[str, int] = field(default_factory=dict)
    readiness: NetworkCheck | None = None
    host_network: bool = False
    probed: tuple[Container, ...] = ()


@dataclass(frozen=True, slots=True)
class RoutedPods:
    """`before`: of this node's pods, the results on record. `due_at`: when another probe begins, None for never."""

    pods: tuple[RoutedPod, ...] = ()
    leaving: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, tuple[ProbeResult, ...]] = field(default_factory=dict)
    due_at: float | None = None


def load(node: str, selectors: Mapping[str, Collection[Mapping[str, str]]], now: float) -> RoutedPods:
    """`selectors`: namespace -> what its Services select by. Deleted pods count until nothing is left of them."""
    rows = Pod.objects.filter(
        Q(node_id=node) | Q(namespace__in=list(selectors)) | Q(leaving_version__gt=0), node__isnull=False
    )
    columns = [dict(zip(_COLUMNS, row, strict=True)) for row in rows.values_list(*_COLUMNS)]
    wanted = [
        one for one in columns if one["node_id"] == node or one["leaving_version"] or _is_selected(one, selectors)
    ]
    facts = _facts(wanted)
    due, before, due_at = _probes(node, wanted, facts, now)
    pods = (_pod(one, facts[one["uid"]], due.get(one["uid"], ())) for one in wanted)
    leaving = {one["uid"]: one["leaving_version"] for one in wanted if one["deleted_at"] is not None}
    return RoutedPods(tuple(sorted(pods, key=lambda pod: (pod.key, pod.uid))), leaving, before, due_at)


def owned_by(workloads: Collection[str]) -> tuple[RoutedPod, ...]:
    """Of these workloads ("shop/web"), the labels of every pod that has a node: all that is asked of them here."""
    names = {f"{kind}/{one.partition('/')[2]}" for one in workloads for kind in OWNERS}
    rows = Pod.objects.filter(owner__in=names, node__isnull=False).values_list(
        "uid", "namespace", "name", "labels", "owner"
    )
    return tuple(
        RoutedPod(uid, namespace, name, "", "", labels, owner=owner) for uid, namespace, name, labels, owner in rows
    )


def results(kept: Mapping[str, Mapping[str, Any]]) -> tuple[ProbeResult, ...]:
    """`Pod.probes` as the core's values."""
    return tuple(_result(key, found) for key, found in sorted(kept.items()))


def kept(found: Iterable[ProbeResult]) -> dict[str, dict[str, Any]]:
    """The core's values as `Pod.probes` keeps them."""
    return {
        f"{one.container}/{one.kind}": {
            "started_at": one.started_at, "passing": one.passing, "message": one.message,
        }
        for one in found
    }  # fmt: skip


def has_network_probes(spec: PodSpec) -> bool:
    return bool(_probed(spec))


def _is_selected(one: Mapping[str, Any], selectors: Mapping[str, Collection[Mapping[str, str]]]) -> bool:
    return any(wanted.items() <= one["labels"].items() for wanted in selectors.get(one["namespace"], ()))


def _facts(wanted: Iterable[Mapping[str, Any]]) -> dict[str, TemplateFacts]:
    """By pod uid. Two queries at most, none when all templates are remembered and no pod is a bare one."""
    owners = {one["uid"]: one["replica_set_id"] for one in wanted}
    sets = _facts_of_sets({owner for owner in owners.values() if owner})
    bare = [uid for uid, owner in owners.items() if not owner]
    specs = dict(Pod.objects.filter(pk__in=bare).exclude(spec={}).values_list("uid", "spec")) if bare else {}
    return {
        uid: sets.get(owner, TemplateFacts()) if owner else facts_of(specs.get(uid)) for uid, owner in owners.items()
    }


def _facts_of_sets(owners: Set[str]) -> dict[str, TemplateFacts]:
    known = {uid: found for uid in owners if (found := _remembered.get(uid)) is not None}
    unknown = owners - known.keys()
    if unknown:
        for uid, spec in ReplicaSet.objects.filter(pk__in=unknown).values_list("uid", "spec"):
            if spec:  # that of an adopted set may become known later
                known[uid] = facts_of(spec["template"]["spec"])
    if len(_remembered) + len(unknown) > MOST_REMEMBERED:
        _remembered.clear()
    _remembered.update(known)
    return known


def facts_of(body: Mapping[str, Any] | None) -> TemplateFacts:
    if not body:
        return TemplateFacts()
    spec = PodSpec.model_validate(body)
    ports = pod_probe_ports(spec)
    checks = (probes.network_check(one.readiness_probe, ports) for one in spec.containers if one.readiness_probe)
    readiness = next((check for check in checks if check is not None), None)
    return TemplateFacts(ports, readiness, spec.host_network, _probed(spec))


def _probed(spec: PodSpec) -> tuple[Container, ...]:
    """All containers that run on, when any of them is probed: a probe may name another one's port."""
    lasting = (*spec.containers, *(one for one in spec.init_containers if one.is_sidecar))
    return lasting if any(map(_is_probed, lasting)) else ()


def _is_probed(one: Container) -> bool:
    found = (one.startup_probe, one.liveness_probe, one.readiness_probe)
    return any(probe is not None and probe.exec is None for probe in found)


def _probes(
    node: str, wanted: Iterable[Mapping[str, Any]], facts: Mapping[str, TemplateFacts], now: float
) -> tuple[dict[str, tuple[ContainerProbe, ...]], dict[str, tuple[ProbeResult, ...]], float | None]:
    """Of this node's pods: the probes to be made now, the results on record, and when the next probe begins."""
    probed = [
        one["uid"] for one in wanted
        if one["node_id"] == node and one["deleted_at"] is None and facts[one["uid"]].probed
    ]  # fmt: skip
    due: dict[str, tuple[ContainerProbe, ...]] = {}
    before: dict[str, tuple[ProbeResult, ...]] = {}
    due_ats: list[float] = []
    rows = Pod.objects.filter(pk__in=probed).values_list("uid", "status", "probes") if probed else ()
    for uid, stored, found in rows:
        status = PodStatus.from_dict(stored) if stored else None
        if status is not None:
            statuses = {one.name: one for one in status.all_containers()}
            due[uid], next_due = probes.due_probes(facts[uid].probed, statuses, now)
            before[uid] = results(found)
            due_ats += [next_due] if next_due is not None else []
    return due, before, min(due_ats, default=None)


def _pod(one: Mapping[str, Any], facts: TemplateFacts, due: tuple[ContainerProbe, ...]) -> RoutedPod:
    network = one["network"] or named_network(one["namespace"], one["owner"] or one["name"], one["placement"])
    is_over = one["phase"] in _OVER  # then its last address may be another pod's by now
    return RoutedPod(
        uid=one["uid"], namespace=one["namespace"], name=one["name"], node=one["node_id"],
        ip="" if is_over else one["ip"], labels=one["labels"], ready=one["ready"] and not is_over,
        leaving=one["deleted_at"] is not None, ports=facts.ports, host_network=facts.host_network,
        network=network, owner=one["owner"], revision=one["revision"], template_hash=one["template_hash"],
        readiness=facts.readiness, probes=due,
    )  # fmt: skip


def _result(key: str, found: Mapping[str, Any]) -> ProbeResult:
    container, _, word = key.partition("/")
    kinds: dict[str, ProbeKind] = {"startup": "startup", "liveness": "liveness", "readiness": "readiness"}
    return ProbeResult(container, kinds[word], found["started_at"], found["passing"], found["message"])
