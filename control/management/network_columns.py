"""The columns of `get` for what connects: services, endpoints, ingresses, network policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from control.management.output import age
from control.models import Ingress, NetworkPolicy, Node, Service
from control.selectors.endpoints import ServiceEndpoints, endpoints_of_services
from control.selectors.health import health_of_routes
from control.selectors.ingresses import IngressRoutes, routes_of_ingresses
from control.selectors.kubernetes_network import balancing_nodes, openings_for
from control.selectors.kubernetes_nodes import address_of
from control.selectors.openings import Openings, openings
from control.selectors.policies import pods_of_policies
from control.selectors.service_problems import selector_text
from deployer.core.objects.network import NetworkPolicySpec
from deployer.core.objects.placement import LabelSelector, SelectorRequirement

Cells = list[object]
Lines = tuple[Sequence[str], Sequence[str], list[tuple[Cells, Cells]]]
"""Header, further header of `-o wide`, and for each row its cells, likewise parted."""
PENDING = "<pending>"
SHOWN_ENDPOINTS = 3
_OPERATORS = {"In": "in", "NotIn": "notin"}


def services(rows: Sequence[Service], now: float) -> Lines:
    header = ("NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "ENDPOINTS", "AGE")
    opened = openings_for(rows)
    pairs = zip(rows, endpoints_of_services(rows) if rows else (), strict=True)
    return header, ("SELECTOR",), [_service(row, one, opened, now) for row, one in pairs]


def endpoints(rows: Sequence[Service], now: float) -> Lines:
    pairs = zip(rows, endpoints_of_services(rows) if rows else (), strict=True)
    found: list[tuple[Cells, Cells]] = [
        ([row.name, addresses(one, ready=True), addresses(one, ready=False), age(now - row.created_at)], [])
        for row, one in pairs
    ]
    return ("NAME", "ENDPOINTS", "NOT READY", "AGE"), (), found


def ingresses(rows: Sequence[Ingress], now: float) -> Lines:
    where = ",".join(address_of(node)[1] for node in openings().ingress) if rows else ""
    pairs = zip(rows, routes_of_ingresses(rows), strict=True)
    header = ("NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "READY", "AGE")
    return header, ("MESSAGE",), [_ingress(row, one, where, now) for row, one in pairs]


def network_policies(rows: Sequence[NetworkPolicy], now: float) -> Lines:
    found: list[tuple[Cells, Cells]] = [
        ([row.name, label_words(_selector(row)) or "all pods", len(pods), age(now - row.created_at)], [",".join(pods)])
        for row, pods in zip(rows, pods_of_policies(rows), strict=True)
    ]
    return ("NAME", "POD-SELECTOR", "PODS", "AGE"), ("SELECTED",), found


def addresses(one: ServiceEndpoints, *, ready: bool, most: int = SHOWN_ENDPOINTS) -> str:
    """kubectl's form: "10.208.16.2:8080,10.208.16.3:8080 + 1 more..."."""
    found = [str(end) for port in one.ports for end in port.endpoints if end.ready == ready]
    more = f" + {len(found) - most} more..." if len(found) > most else ""
    return ",".join(found[:most]) + more


def ports_text(ports: Iterable[Mapping[str, Any]], given: Mapping[int, int] | None = None) -> str:
    """ "80:30080/TCP,443/TCP". `given`: port -> the node port that it has been given."""
    return ",".join(
        f"{one['port']}{f':{number}' if (number := _number(one, given)) else ''}/{one.get('protocol', 'TCP')}"
        for one in ports
    )


def label_words(selector: LabelSelector) -> str:
    """kubectl's form: "app=db,tier in (a,b),!legacy"; "" for one that selects everything."""
    return ",".join([selector_text(selector.match_labels), *map(_expression, selector.match_expressions)]).strip(",")


def given_ports(row: Service, opened: Openings | None) -> dict[int, int]:
    """Port -> node port, of one service."""
    return {port: number for (uid, port), number in opened.ports.items() if uid == row.uid} if opened else {}


def external(row: Service, opened: Openings | None) -> str:
    """Where it is reached from outside, as kubectl's EXTERNAL-IP."""
    nodes: Sequence[Node] = balancing_nodes(row, opened)
    if row.spec.get("type") == "LoadBalancer":
        return ",".join(address_of(node)[1] for node in nodes) or PENDING
    return str(row.spec.get("externalName") or "")


def _service(row: Service, one: ServiceEndpoints, opened: Openings | None, now: float) -> tuple[Cells, Cells]:
    ports = ports_text(row.spec.get("ports") or (), given_ports(row, opened))
    ready = f"{one.ready_pods}/{len(one.pods)}" if one.has_selector else ""
    cells: Cells = [row.name, one.service.spec.type, one.address, external(row, opened), ports, ready]
    return [*cells, age(now - row.created_at)], [selector_text(row.spec.get("selector") or {})]


def _ingress(row: Ingress, one: IngressRoutes, where: str, now: float) -> tuple[Cells, Cells]:
    ports = "80, 443" if one.tls else "80"
    ready = f"{len(one.ready_services)}/{len(one.services)}"
    health = health_of_routes(one)
    said = "" if health.status == "Healthy" else f"{health.status}: {health.message}"
    cells: Cells = [row.name, row.spec.get("ingressClassName") or "", ",".join(one.hosts) or "*", where, ports, ready]
    return [*cells, age(now - row.created_at)], [said]


def _selector(row: NetworkPolicy) -> LabelSelector:
    return NetworkPolicySpec.model_validate(row.spec).pod_selector


def _expression(one: SelectorRequirement) -> str:
    if one.operator in _OPERATORS:
        return f"{one.key} {_OPERATORS[one.operator]} ({','.join(one.values)})"
    return one.key if one.operator == "Exists" else f"!{one.key}"


def _number(port: Mapping[str, Any], given: Mapping[int, int] | None) -> int | None:
    return (given or {}).get(int(port["port"])) or port.get("nodePort")
