"""What the route loop of a node works on, out of the rows; and what came of its pass, as rows.

`load` reads everything at one routing version: the resource version, taken before anything else is read, so that
what is read is at least as new. It also gives out what is missing (indexes of networks and virtual addresses,
certificates), each in a short transaction of its own. `save` is called in the loop's fenced transaction.

A version is only ever compared: a deleted pod is released once every router has its deletion's (`leaving.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Min, Q

from control.models import (
    Counter,
    Ingress,
    Namespace,
    NetworkPolicy,
    Node,
    Pod,
    Router,
    Service,
)
from control.models.nodes import MESH_ADDRESS
from control.store import addresses, identities, objects, routed_pods, waking
from control.store.addresses import adopt_networks
from control.store.identities import Certificates, Identities
from control.store.leaving import wake_released
from control.store.routed_pods import RoutedPods
from control.store.splits import splits
from control.store.tls import tls_pairs
from control.store.waking import wake_all, wake_for_pods
from deployer.core.network import simulated_hosts, values
from deployer.core.network.routing import Routed, RouterOutcome
from deployer.core.network.splits import first_maps
from deployer.core.objects.network import IngressSpec, NetworkPolicySpec
from deployer.core.objects.workload import ServiceSpec
from deployer.core.survival.states import serves
from deployer.ports import Wake

__all__ = ["RouteRows", "adopt_networks", "wake_all", "wake_for_pods"]

_ABOUT = re.compile(r"(?P<kind>Service|Ingress|NetworkPolicy|Secret) (?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9.-]+)")


class RouteRows:
    """The route loop's store. `certificates` is the module `deployer.adapters.authority`."""

    adopt_networks = staticmethod(adopt_networks)

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates

    def first(self) -> Mapping[str, Mapping[str, str]]:
        """The maps that somebody waits for, read before all the rest; one query where no workload has a canary."""
        told = splits()
        if not told:
            return {}
        spaces = {one.workload.partition("/")[0] for one in told}
        rows = Service.objects.filter(deleted_at=None, namespace__in=spaces).order_by("namespace", "name")
        services = [
            values.RoutedService(row.uid, row.namespace, row.name, 0, ServiceSpec.model_validate(row.spec))
            for row in rows
        ]
        return first_maps(services, routed_pods.owned_by({one.workload for one in told}), told)

    def load(self, node: str, now: float) -> Routed | None:
        """None when the node is gone, or what its router serves is not known again yet (`_is_unknown`)."""
        version = routing_version()
        rows = {row.uid: row for row in Node.objects.order_by("name", "uid")}
        own = identities.identities(node, self._certificates, now) if node in rows else None
        if own is None:
            return None
        services = list(Service.objects.filter(deleted_at=None).order_by("namespace", "name"))
        if not services and _is_unknown(node):
            return None
        pods = routed_pods.load(node, _selectors(services), now)
        row = rows[node]
        cluster = self._cluster(row, tuple(map(routed_node, rows.values())), own, pods, services, now)
        return Routed(
            cluster=cluster, version=version, router_image=settings.PIERHEAD.router_image,
            dns_image=settings.PIERHEAD.dns_image, line_host=line_host(row), control=own.control,
            leaving=pods.leaving, before=pods.before,
            wake_at=min([own.renew_at, *([] if pods.due_at is None else [pods.due_at])]),
            retry=Router.objects.values_list("failures", flat=True).get(pk=node),
        )  # fmt: skip

    def save(self, node: str, outcome: RouterOutcome, wake: Wake, now: float) -> None:
        """Nothing is written of what is on record already: an idle router costs two reads."""
        row = Router.objects.select_related("node").filter(pk=node).first()
        if row is None:
            return
        _tell(row, outcome, now)
        _save_findings(node, outcome, wake)
        before = row.version if row.applied_at else 0
        if _take_over(row, outcome, now) and outcome.version is not None and outcome.version > before:
            wake_released(wake, above=before)

    def _cluster(
        self,
        row: Node,
        nodes: tuple[values.RoutedNode, ...],
        own: Identities,
        pods: RoutedPods,
        services: list[Service],
        now: float,
    ) -> values.Cluster:
        ingresses = routed_ingresses()
        return values.Cluster(
            cluster_id=settings.PIERHEAD.cluster_id, node=routed_node(row), identity=own.node,
            nodes=tuple(one for one in nodes if one.uid != row.uid),
            services=_services(services, pods.pods, now), pods=pods.pods, ingresses=ingresses,
            policies=routed_policies(), namespaces=dict(Namespace.objects.values_list("name", "labels")),
            networks=_networks(row.uid), tls=tls_pairs(ingresses, now), splits=splits(),
            pod_range=settings.PIERHEAD.pod_range, mesh_port=settings.PIERHEAD.mesh_port,
        )  # fmt: skip


def _is_unknown(node: str) -> bool:
    """After the database was lost: pods were found on the host, and Git has not been read again. The router there
    goes on with what it has, rather than serve nothing."""
    if Router.objects.filter(pk=node, applied_at__gt=0).exists():
        return False
    return Pod.objects.filter(node_id=node, orphaned=True, deleted_at=None).exists()


def routing_version() -> int:
    return Counter.objects.filter(pk=1).values_list("value", flat=True).first() or 0


def routed_node(row: Node) -> values.RoutedNode:
    return values.RoutedNode(
        uid=row.uid, name=row.name, mesh_address=mesh_address(row),
        labels={"kubernetes.io/hostname": row.name, **row.labels}, reachable=serves(row.ready, row.reason),
    )  # fmt: skip


def mesh_address(row: Node) -> str:
    """Where other nodes reach its router: as an operator says, else its engine's host; "" for a local socket."""
    if row.is_simulated:
        return simulated_hosts.mesh_address(row.address.partition("://")[2])
    return row.annotations.get(MESH_ADDRESS) or ("" if row.address.startswith("unix://") else row.host)


def line_host(row: Node) -> str:
    """Where the control plane reaches it: by the way that it takes to the engine; "" for a simulated node."""
    if row.is_simulated:
        return ""
    is_local = row.address.startswith("unix://")
    return (row.annotations.get(MESH_ADDRESS) or row.host) if is_local else row.host


def routed_policies(namespace: str | None = None) -> tuple[values.RoutedPolicy, ...]:
    rows = NetworkPolicy.objects.filter(deleted_at=None).order_by("namespace", "name")
    if namespace is not None:
        rows = rows.filter(namespace=namespace)
    found = rows.values_list("namespace", "name", "spec")
    return tuple(values.RoutedPolicy(ns, name, NetworkPolicySpec.model_validate(spec)) for ns, name, spec in found)


def routed_ingresses() -> tuple[values.RoutedIngress, ...]:
    rows = Ingress.objects.filter(deleted_at=None).order_by("namespace", "name")
    return tuple(
        values.RoutedIngress(ns, name, IngressSpec.model_validate(spec), created, annotations)
        for ns, name, spec, created, annotations in rows.values_list(
            "namespace", "name", "spec", "created_at", "annotations"
        )
    )


def _selectors(services: list[Service]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in services:
        if wanted := waking.selector(row.spec):
            found.setdefault(row.namespace, []).append(wanted)
    return found


def _services(rows: list[Service], pods: tuple[values.RoutedPod, ...], now: float) -> tuple[values.RoutedService, ...]:
    specs = {row.uid: ServiceSpec.model_validate(row.spec) for row in rows}
    behind = {row.uid: _behind(row, pods) for row in rows if specs[row.uid].cluster_ip == "None"}
    wanted = {(row.uid, "") for row in rows if row.uid not in behind and specs[row.uid].type != "ExternalName"}
    wanted |= {(service, pod) for service, selected in behind.items() for pod in selected}
    given = addresses.service_addresses(wanted, now)
    return tuple(
        values.RoutedService(
            uid=row.uid, namespace=row.namespace, name=row.name, index=given.get((row.uid, ""), 0),
            spec=specs[row.uid], annotations=row.annotations,
            pod_indexes={pod: given[row.uid, pod] for pod in behind.get(row.uid, ()) if (row.uid, pod) in given},
        )
        for row in rows
    )  # fmt: skip


def _behind(row: Service, pods: tuple[values.RoutedPod, ...]) -> list[str]:
    wanted = waking.selector(row.spec).items()
    return [pod.uid for pod in pods if wanted and pod.namespace == row.namespace and wanted <= dict(pod.labels).items()]


def _networks(node: str) -> tuple[values.PodNetwork, ...]:
    """Of all pods that were placed there, also of those that are still to be started. One pod tells of its network."""
    named = Pod.objects.filter(node_id=node).exclude(network="").order_by().values("network")
    chosen = Q(pk__in=named.annotate(first=Min("uid")).values("first")) | Q(node_id=node, network="")
    rows = list(Pod.objects.filter(chosen).only("uid", "namespace", "name", "network", "owner", "placement"))
    return addresses.networks(addresses.network_indexes(rows).keys())


def _tell(row: Router, outcome: RouterOutcome, now: float) -> None:
    node = row.node.name
    if (row.ready, row.reason) != (outcome.ready, outcome.reason):
        level = "Normal" if outcome.ready else "Warning"
        objects.record_event("Node", "", node, level, outcome.reason, outcome.message, node=node, at=now)
    for problem in sorted(set(outcome.problems) - set(row.problems)):
        about = _ABOUT.match(problem)
        subject = (about["kind"], about["namespace"], about["name"].rstrip(".")) if about else ("Node", "", node)
        objects.record_once(*subject, "Warning", "NotRouted", problem, at=now)


def _save_findings(node: str, outcome: RouterOutcome, wake: Wake) -> None:
    """New findings replace those of the same probe. Whoever waits for them is the pod's own node."""
    if not outcome.probes:
        return
    changed = []
    rows = Pod.objects.select_for_update().filter(pk__in=list(outcome.probes), node_id=node).order_by("uid")
    for uid, stored in rows.values_list("uid", "probes"):
        fresh = {**stored, **routed_pods.kept(outcome.probes[uid])}
        if fresh != stored:
            Pod.objects.filter(pk=uid).update(probes=fresh)
            changed.append(uid)
    if changed:
        wake("converge", node, dirty=changed)


def _take_over(row: Router, outcome: RouterOutcome, now: float) -> bool:
    """False when all of it is on record already."""
    fresh: dict[str, Any] = {
        "ready": outcome.ready, "reason": outcome.reason, "message": outcome.message,
        "problems": list(outcome.problems), "failures": 0 if outcome.ready else row.failures + 1,
    }  # fmt: skip
    if (row.ready, row.reason) != (outcome.ready, outcome.reason):
        fresh["changed_at"] = now
    if outcome.version is not None and (outcome.version != row.version or not row.applied_at):
        fresh |= {"version": outcome.version, "applied_at": now}
    changed: Mapping[str, Any] = {name: value for name, value in fresh.items() if getattr(row, name) != value}
    if changed:
        with transaction.atomic():
            Router.objects.filter(pk=row.pk).update(**changed)
    return bool(changed)
