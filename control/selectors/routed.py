"""Rows as the values that the network's core works on (`deployer.core.network.values`), for pages and commands.

Read only: what has no address yet has none here either, the route loop gives them out. No identity and no secret is
read. A cluster that is made here looks at a pod from its own node, so that an endpoint is not ready for reasons of the
pod alone: whether other nodes reach that node is told with the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from control.models import NetworkPolicy, Node, Pod, PodNetwork, Service, ServiceAddress
from control.models.nodes import MESH_ADDRESS
from deployer.core.network.addresses import virtual_address
from deployer.core.network.values import Cluster, Identity, RoutedNode, RoutedPod, RoutedPolicy, RoutedService
from deployer.core.objects.network import NetworkPolicySpec
from deployer.core.objects.workload import ServiceSpec
from deployer.core.pod_containers import network_name
from deployer.core.survival.states import serves

NOBODY = Identity(certificate="", key="", authority="", revoked="")
KNOWN = "192.0.2.1"
"""Of RFC 5737: stands for an address that is known to the routers."""
_HOST = "host"


def routed_services(rows: Sequence[Service]) -> list[RoutedService]:
    """In their order; index 0: it has no virtual address yet. One query."""
    indexes: dict[str, dict[str, int]] = {}
    found = ServiceAddress.objects.filter(service__in=[row.uid for row in rows], released_at=None)
    for service, pod, index in found.values_list("service", "pod", "index"):
        indexes.setdefault(service, {})[pod] = index
    return [
        RoutedService(
            uid=row.uid, namespace=row.namespace, name=row.name, index=indexes.get(row.uid, {}).get("", 0),
            spec=ServiceSpec.model_validate(row.spec), annotations=row.annotations,
            pod_indexes={pod: index for pod, index in indexes.get(row.uid, {}).items() if pod},
        )
        for row in rows
    ]  # fmt: skip


def routed_pods(rows: Iterable[Pod], ports: Mapping[str, Mapping[str, int]] | None = None) -> list[RoutedPod]:
    """`ports`: the pods' named ports by uid (`backing.named_ports`), where they matter."""
    return [
        RoutedPod(
            uid=row.uid, namespace=row.namespace, name=row.name, node=row.node_id or "",
            ip=row.ip or str(row.status.get("podIP") or ""), labels=row.labels, ready=row.ready,
            leaving=row.deleted_at is not None, ports=(ports or {}).get(row.uid, {}),
            host_network=row.placement.get("network") == _HOST, network=row.network, owner=row.owner,
            revision=row.revision,
        )
        for row in rows
    ]  # fmt: skip


def routed_policies(rows: Iterable[NetworkPolicy]) -> list[RoutedPolicy]:
    return [RoutedPolicy(row.namespace, row.name, NetworkPolicySpec.model_validate(row.spec)) for row in rows]


def routed_nodes(rows: Iterable[Node]) -> list[RoutedNode]:
    return [
        RoutedNode(
            uid=row.uid, name=row.name, mesh_address=mesh_address(row),
            labels={"kubernetes.io/hostname": row.name, **row.labels}, reachable=serves(row.ready, row.reason),
        )
        for row in rows
    ]  # fmt: skip


def mesh_address(row: Node) -> str:
    """Whether other nodes reach its router, not where: KNOWN for any host that is named, "" for a local socket.

    The route loop looks names up and tells what it did not find; here nothing is asked of a network.
    """
    is_named = row.annotations.get(MESH_ADDRESS) or not row.address.startswith("unix://")
    return KNOWN if is_named else ""


def cluster(node: RoutedNode, **parts: Any) -> Cluster:
    return Cluster(cluster_id="", node=node, identity=NOBODY, pod_range=settings.PIERHEAD.pod_range, **parts)


@dataclass(frozen=True, slots=True)
class VirtualAddresses:
    """Where pods of a Service's own namespace reach it."""

    networks: Mapping[str, int]

    def of(self, service: RoutedService) -> str:
        """kubectl's words: "None" for a headless one, "" for one that has no address (yet)."""
        if service.spec.type == "ExternalName":
            return ""
        if service.spec.cluster_ip == "None":
            return "None"
        network = self.networks.get(network_name(service.namespace))
        if network is None or not service.index:
            return ""
        return virtual_address(settings.PIERHEAD.pod_range, network, service.index)


def virtual_addresses(namespaces: Iterable[str]) -> VirtualAddresses:
    """One query."""
    names = [network_name(one) for one in set(namespaces)]
    return VirtualAddresses(dict(PodNetwork.objects.filter(name__in=names).values_list("name", "index")))
