"""Services, Endpoints, Ingresses and NetworkPolicies as Kubernetes JSON, with the addresses that they really have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from control.models import Ingress, NetworkPolicy, Node, Service
from control.selectors.endpoints import PodEndpoint, PortEndpoints, ServiceEndpoints, endpoints_of_services
from control.selectors.kubernetes_nodes import address_of
from control.selectors.metadata import application_names, metadata
from control.selectors.openings import Openings, openings
from deployer.core.objects.workload import ServicePort

OPENING = ("NodePort", "LoadBalancer")


def services(rows: Sequence[Service], _now: float) -> list[dict[str, Any]]:
    names, opened = application_names(rows), openings_for(rows)
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(row, names),
            "spec": _service_spec(row, one, opened),
            "status": {"loadBalancer": _load_balancer(balancing_nodes(row, opened)), **row.status},
        }
        for row, one in zip(rows, endpoints_of_services(rows), strict=True)
    ]


def endpoints(rows: Sequence[Service], _now: float) -> list[dict[str, Any]]:
    """A Service's row as the Endpoints of the same name."""
    names = application_names(rows)
    return [
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": metadata(row, names),
            **({"subsets": subsets} if (subsets := _subsets(one)) else {}),
        }
        for row, one in zip(rows, endpoints_of_services(rows), strict=True)
    ]


def ingresses(rows: Sequence[Ingress], _now: float) -> list[dict[str, Any]]:
    names = application_names(rows)
    nodes = openings().ingress if rows else ()
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": metadata(row, names),
            "spec": row.spec,
            "status": {"loadBalancer": _load_balancer(nodes), **row.status},
        }
        for row in rows
    ]


def network_policies(rows: Sequence[NetworkPolicy], _now: float) -> list[dict[str, Any]]:
    names = application_names(rows)
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(row, names),
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"], **row.spec},
        }
        for row in rows
    ]


def openings_for(rows: Iterable[Service]) -> Openings | None:
    """Asked only where any of them opens a port of a host."""
    return openings() if any(row.spec.get("type") in OPENING for row in rows) else None


def balancing_nodes(row: Service, opened: Openings | None) -> tuple[Node, ...]:
    """The nodes on which a LoadBalancer is reached."""
    if opened is None or row.spec.get("type") != "LoadBalancer":
        return ()
    return opened.nodes.get(row.uid, ())


def _service_spec(row: Service, one: ServiceEndpoints, opened: Openings | None) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": "ClusterIP", "sessionAffinity": "None", **row.spec}
    if one.address:
        spec.update(clusterIP=one.address, clusterIPs=[one.address])
    if one.service.spec.ports:
        spec["ports"] = [_service_port(port, one, opened) for port in one.service.spec.ports]
    return spec


def _service_port(port: ServicePort, one: ServiceEndpoints, opened: Openings | None) -> dict[str, Any]:
    number = opened.ports.get((one.service.uid, port.port)) if opened else None
    made = {
        "name": port.name,
        "protocol": port.protocol,
        "appProtocol": port.app_protocol,
        "port": port.port,
        "targetPort": port.port if port.target_port is None else port.target_port,
        "nodePort": number,
    }
    return {name: value for name, value in made.items() if value}


def _load_balancer(nodes: Iterable[Node]) -> dict[str, Any]:
    found = [address_of(node) for node in nodes]
    return {"ingress": [{kind: address} for kind, address in found]} if found else {}


def _subsets(one: ServiceEndpoints) -> list[dict[str, Any]]:
    """Ports that lead to the same pods stand together, as Kubernetes' controller packs them."""
    packed: list[dict[str, Any]] = []
    for part in (part for port in one.ports for part in _of_port(port)):
        same = next((other for other in packed if _addresses(other) == _addresses(part)), None)
        if same is None:
            packed.append(part)
        else:
            same["ports"] += part["ports"]
    return packed


def _of_port(port: PortEndpoints) -> Iterator[dict[str, Any]]:
    """One for each number that its name has in the pods."""
    for number in sorted({one.port for one in port.endpoints if one.port}):
        those = [one for one in port.endpoints if one.port == number and one.address]
        made = {
            "addresses": [_address(one) for one in those if one.ready],
            "notReadyAddresses": [_address(one) for one in those if not one.ready],
        }
        named = {"name": port.port.name, "port": number, "protocol": port.port.protocol}
        if those:
            yield {
                **{name: value for name, value in made.items() if value},
                "ports": [{name: value for name, value in named.items() if value}],
            }


def _addresses(part: dict[str, Any]) -> tuple[Any, Any]:
    return part.get("addresses"), part.get("notReadyAddresses")


def _address(one: PodEndpoint) -> dict[str, Any]:
    target = {"kind": "Pod", "namespace": one.pod.namespace, "name": one.pod.name, "uid": one.pod.uid}
    return {"ip": one.address, **({"nodeName": one.pod.node.name} if one.pod.node else {}), "targetRef": target}
