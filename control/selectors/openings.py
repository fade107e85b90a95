"""Which ports the hosts open for Services and Ingresses, and where. The core decides (`network.openings`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from control.models import Ingress, Node, Service
from control.selectors import routed
from deployer.core.network import openings as rules
from deployer.core.network.values import RoutedService


@dataclass(frozen=True, slots=True)
class Openings:
    """`ports`: (service uid, port) -> node port. `nodes`: service uid -> the nodes that open anything for it, by name.

    `problems`: service uid -> sentences. `ingress`: the nodes that open 80 and 443 when there is an Ingress.
    """

    ports: Mapping[tuple[str, int], int]
    nodes: Mapping[str, tuple[Node, ...]]
    problems: Mapping[str, tuple[str, ...]]
    ingress: tuple[Node, ...]


def openings() -> Openings:
    """Of the whole cluster: who has a port depends on everyone. Four queries."""
    rows = list(Node.objects.order_by("name"))
    services = _services()
    nodes = routed.routed_nodes(rows)
    ingress = tuple(row for row, node in zip(rows, nodes, strict=True) if rules.is_ingress_node(node, nodes))
    has_ingress = Ingress.objects.filter(deleted_at=None).exists()
    opened: dict[str, dict[str, Node]] = defaultdict(dict)
    problems: dict[str, dict[str, None]] = defaultdict(dict)
    for row, node in zip(rows, nodes, strict=True):
        reserved = rules.reserved(settings.PIERHEAD.mesh_port, has_ingress and row in ingress)
        found, said = rules.openings(services, node, nodes, reserved)
        for one in found:
            opened[one.service.uid][row.name] = row
        for sentence in said:
            for service in services:
                if sentence.startswith(f"{service}:"):
                    problems[service.uid][sentence] = None
    return Openings(
        ports=rules.node_ports(services),
        nodes={uid: tuple(found.values()) for uid, found in opened.items()},
        problems={uid: tuple(found) for uid, found in problems.items()},
        ingress=ingress,
    )


def _services() -> list[RoutedService]:
    rows = Service.objects.filter(deleted_at=None, spec__type__in=("NodePort", "LoadBalancer"))
    return routed.routed_services(list(rows))
