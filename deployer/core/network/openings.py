"""Which ports a node opens to the outside, and for which nodes that is.

- NodePort: on all nodes. Numbers that a manifest leaves out are given by a stable hash in 30000-32767, to older
  Services first (`RoutedService.index` is given in order of creation): a new one never moves the number of another.
- LoadBalancer: its own ports, on the nodes with the label `pierhead.io/ingress: "true"` (all, if no node has it), and
  node ports as far as the manifest names them.
- A Service's annotation `pierhead.io/nodes: zone=a,disk=ssd` chooses other nodes for either.
- Ingress: 80 and 443, on the labelled nodes.

One port has one owner: the resolver (53) and the mesh, then Ingress, then named node ports, then LoadBalancers, each by
namespace and name. Who comes second is told so, and the rest of it works.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from deployer.core.network.values import INGRESS_HTTP, INGRESS_HTTPS, RoutedNode, RoutedService
from deployer.core.objects.workload import ServicePort

INGRESS_LABEL = "pierhead.io/ingress"
NODES_ANNOTATION = "pierhead.io/nodes"
NODE_PORTS = range(30000, 32768)
RESOLVER_PORT = 53
"""The resolver listens there on the router's own addresses, which a node's ports are led to."""


@dataclass(frozen=True, slots=True)
class Opening:
    """`number` of the node leads to this port of the Service."""

    number: int
    service: RoutedService
    port: ServicePort


def node_ports(services: Iterable[RoutedService]) -> Mapping[tuple[str, int], int]:
    """(service uid, port) -> the node port. Of two that name the same one, the first by namespace and name has it.

    The answer depends on the services alone, so it is the same on every node and after every restart.
    """
    ordered = sorted(services, key=lambda one: (one.namespace, one.name, one.uid))
    named = [(one, port) for one in ordered if _opens_node_ports(one) for port in one.spec.ports if port.node_port]
    found: dict[tuple[str, int], int] = {}
    for one, port in named:
        if port.node_port and port.node_port not in found.values():
            found[one.uid, port.port] = port.node_port
    taken = {*found.values(), *(port.port for one in ordered if _is_balancer(one) for port in one.spec.ports)}
    for one in sorted(ordered, key=_age):
        for port in one.spec.ports if _opens_node_ports(one) and not _is_balancer(one) else ():
            if port.node_port is None and len(taken & set(NODE_PORTS)) < len(NODE_PORTS):
                found[one.uid, port.port] = _free(f"{one.uid}:{port.port}", taken)
                taken.add(found[one.uid, port.port])
    return found


def is_ingress_node(node: RoutedNode, nodes: Iterable[RoutedNode]) -> bool:
    """Whether LoadBalancers and Ingresses are opened there."""
    labelled = {one.uid for one in (*nodes, node) if one.labels.get(INGRESS_LABEL) == "true"}
    return not labelled or node.uid in labelled


def openings(
    services: Iterable[RoutedService], node: RoutedNode, nodes: Iterable[RoutedNode], reserved: Mapping[int, str]
) -> tuple[tuple[Opening, ...], tuple[str, ...]]:
    """What this node opens for Services, by number, and the problems. `reserved`: number -> who has it already."""
    taken: dict[int, str] = dict(reserved)
    found: list[Opening] = []
    problems: list[str] = []
    ordered = sorted(services, key=lambda one: (one.namespace, one.name, one.uid))
    balancers = is_ingress_node(node, nodes)
    problems.extend(problem for one in ordered if (problem := _annotation_problem(one)))
    wishes = (*_node_wishes(ordered, node), *_balancer_wishes(ordered, node, balancers))
    for wish in wishes:
        if wish.number in taken:
            problems.append(_refusal(wish, taken[wish.number]))
        else:
            taken[wish.number] = str(wish.service)
            found.append(wish)
    return tuple(sorted(found, key=lambda one: one.number)), tuple(problems)


def _refusal(wish: Opening, owner: str) -> str:
    what = f"{wish.service}: port {wish.number} of the node"
    return f"{what} belongs to {owner}; give port {wish.port.port} another number"


def _node_wishes(services: Iterable[RoutedService], node: RoutedNode) -> Iterator[Opening]:
    """Named numbers first, so that a number that was given by hash gives way to nobody's manifest."""
    them = tuple(services)
    given = node_ports(them)
    wishes = [
        (port.node_port is None, Opening(number, one, port))
        for one in them
        if _opens_node_ports(one) and _is_chosen(one, node, True)
        for port in one.spec.ports
        if (number := port.node_port or given.get((one.uid, port.port)))
    ]
    yield from (wish for _, wish in sorted(wishes, key=lambda pair: pair[0]))


def _balancer_wishes(services: Iterable[RoutedService], node: RoutedNode, by_label: bool) -> Iterator[Opening]:
    for one in services:
        if _is_balancer(one) and _is_chosen(one, node, by_label):
            yield from (Opening(port.port, one, port) for port in one.spec.ports)


def reserved(mesh_port: int, with_ingress: bool) -> Mapping[int, str]:
    found = {RESOLVER_PORT: "the cluster's resolver", mesh_port: "the mesh between nodes"}
    return {INGRESS_HTTP: "Ingress", INGRESS_HTTPS: "Ingress", **found} if with_ingress else found


def _age(service: RoutedService) -> tuple[bool, int]:
    """One without an index (0) comes last."""
    return not service.index, service.index


def _opens_node_ports(service: RoutedService) -> bool:
    return service.spec.type in ("NodePort", "LoadBalancer") and service.spec.cluster_ip != "None"


def _is_balancer(service: RoutedService) -> bool:
    return service.spec.type == "LoadBalancer" and service.spec.cluster_ip != "None"


def _is_chosen(service: RoutedService, node: RoutedNode, otherwise: bool) -> bool:
    text = service.annotations.get(NODES_ANNOTATION)
    if text is None:
        return otherwise
    wanted = _selector(text)
    return wanted is not None and all(node.labels.get(key) == value for key, value in wanted.items())


def _annotation_problem(service: RoutedService) -> str:
    text = service.annotations.get(NODES_ANNOTATION)
    if text is None or not _opens_node_ports(service) or _selector(text) is not None:
        return ""
    return f"{service}: annotation {NODES_ANNOTATION} is not of the form zone=a,disk=ssd, so no node opens its ports"


def _selector(text: str) -> Mapping[str, str] | None:
    """A mapping for text such as "zone=a, disk=ssd"; None if it is of no such form."""
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(key.strip() and equal for key, equal, _ in pairs):
        return None
    return {key.strip(): value.strip() for key, _, value in pairs}


def _free(seed: str, taken: set[int]) -> int:
    """The first free number from the place on that the hash says."""
    start = int.from_bytes(sha256(seed.encode(errors="replace")).digest()[:4], "big") % len(NODE_PORTS)
    order = (NODE_PORTS[(start + step) % len(NODE_PORTS)] for step in range(len(NODE_PORTS)))
    return next(number for number in order if number not in taken)
