"""Can one reach the other? The cluster as its records have it, for the core to answer (`core.network.reach`)."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn

from control.models import Deployment, Namespace, NetworkPolicy, Node, Pod, Service
from control.selectors import routed
from control.selectors.backing import named_ports
from control.selectors.kinds import NotFound, find_kind
from control.selectors.objects import get
from deployer.core.network.reach import Reach
from deployer.core.network.reach import reach as decide
from deployer.core.network.services import service_ports
from deployer.core.network.values import Cluster, RoutedNode, RoutedPod, RoutedService

SOURCES = ("pod", "deployment", "rollout")
TARGETS = ("service", "pod")
NOWHERE = RoutedNode(uid="", name="")
PORTS = range(1, 65536)
_READ = (
    "uid", "namespace", "name", "node", "ip", "status", "labels", "ready", "deleted_at", "placement", "network",
    "owner", "revision",
)  # fmt: skip


class BadPlace(ValueError):
    """The text names no place; the message says what can be written."""


@dataclass(frozen=True, slots=True)
class Question:
    """`source` and `target` as they were understood: "pod shop/web-1", "Service shop/db"."""

    source: str
    target: str
    port: int
    answer: Reach


@dataclass(frozen=True, slots=True)
class _Place:
    """`kind` "" for a Service's name as a client writes it."""

    kind: str
    namespace: str
    name: str


def reach(source: str, target: str, namespace: str) -> Question:
    """`source`: [NS/]pod/NAME, [NS/]deployment/NAME or an address. `target`: [NS/]service/NAME[:PORT],
    [NS/]pod/NAME[:PORT], NAME[:PORT] or NAME.NS[:PORT].

    Raises BadPlace for what cannot be read so, NotFound for what is not there.
    """
    name, port_text = _split_port(target)
    address = _address(source)
    wanted = None if address else _place(source, namespace, SOURCES)
    aim = _place(name, namespace, TARGETS)
    port = _number(port_text, target)
    cluster = _cluster(namespaces_of(source, target, namespace))
    start = address if wanted is None else _pod(wanted, cluster)
    goal = _goal(aim, start, cluster)
    number = port or _only_port(goal)
    shown = _shown(goal)
    return Question(_shown(start), shown, number, decide(start, goal, number, cluster))


def namespaces_of(source: str, target: str, namespace: str) -> frozenset[str]:
    """Those that the two texts name, or mean where they name none. Raises nothing: what is no place names none."""
    found = {namespace}
    for text in (source, _split_port(target)[0]):
        parts = text.split("/")
        if len(parts) == 3:
            found.add(parts[0])
        labels = parts[0].lower().rstrip(".").removesuffix(".cluster.local").removesuffix(".svc").split(".")
        if len(parts) == 1 and len(labels) > 1 and not _address(text):
            found.add(labels[1])
    return frozenset(found)


def _cluster(named: Collection[str]) -> Cluster:
    """All of it, by at most nine queries: what stands between two pods may be anywhere. `named`: the namespaces whose
    pods' ports are asked for by name."""
    pods = list(Pod.objects.only(*_READ))
    return routed.cluster(
        NOWHERE,
        nodes=tuple(routed.routed_nodes(Node.objects.order_by("name"))),
        services=tuple(routed.routed_services(list(Service.objects.filter(deleted_at=None)))),
        pods=tuple(routed.routed_pods(pods, named_ports(pod.uid for pod in pods if pod.namespace in named))),
        policies=tuple(routed.routed_policies(NetworkPolicy.objects.filter(deleted_at=None))),
        namespaces=dict(Namespace.objects.values_list("name", "labels")),
    )


def _place(text: str, namespace: str, kinds: Sequence[str]) -> _Place:
    """Of "shop/pod/web-1", "pod/web-1", "web" or "web.shop"."""
    match text.split("/"):
        case [name] if name and kinds == TARGETS:
            return _Place("", namespace, name)
        case [word, name] if name and (kind := _kind(word, kinds)):
            return _Place(kind, namespace, name)
        case [own, word, name] if own and name and (kind := _kind(word, kinds)):
            return _Place(kind, own, name)
    forms = ", ".join(f"{kind}/NAME" for kind in kinds)
    other = "an IP address" if kinds == SOURCES else "a Service's name such as web or web.shop"
    raise BadPlace(f"{text!r} is no place: write {forms}, NAMESPACE/{kinds[0]}/NAME, or {other}")


def _kind(word: str, kinds: Sequence[str]) -> str:
    try:
        found = find_kind(word).singular
    except NotFound:
        return ""
    return found if found in kinds else ""


def _pod(place: _Place, cluster: Cluster) -> RoutedPod:
    """Of a Deployment: one that is ready, if any is."""
    if place.kind == "pod":
        found = (pod for pod in cluster.pods if (pod.namespace, pod.name) == (place.namespace, place.name))
        return next(found, None) or _missing(place)
    owner: Deployment = get(find_kind(place.kind), place.name, place.namespace)
    theirs = [
        pod for pod in cluster.pods
        if (pod.namespace, pod.owner) == (owner.namespace, owner.pods_owner) and not pod.leaving
    ]  # fmt: skip
    if not theirs:
        raise NotFound(f"{place.kind} {owner.name} in namespace {owner.namespace} has no pods: scale it up first")
    return min(theirs, key=lambda pod: (not pod.ready, not pod.ip, -pod.revision, pod.name))


def _missing(place: _Place) -> NoReturn:
    get(find_kind(place.kind), place.name, place.namespace)
    raise NotFound(f"{place.kind} {place.name} in namespace {place.namespace} is being removed")


def _goal(place: _Place, start: RoutedPod | str, cluster: Cluster) -> RoutedService | RoutedPod | str:
    if place.kind == "pod":
        return _pod(place, cluster)
    if place.kind == "service":
        there = (one for one in cluster.services if (one.namespace, one.name) == (place.namespace, place.name))
        return next(there, None) or _missing(place)
    # A pod asks by the search list of its own namespace; for an address from outside, -n says which Service is meant.
    labels = place.name.removesuffix(".cluster.local").removesuffix(".svc").split(".")
    namespace = labels[1] if len(labels) == 2 else start.namespace if isinstance(start, RoutedPod) else place.namespace
    found = [one for one in cluster.services if (one.namespace, one.name) == (namespace, labels[0])]
    return found[0] if found and len(labels) <= 2 else place.name


def _only_port(goal: RoutedService | RoutedPod | str) -> int:
    """Without a port in the question, the one that there is. A name that means nothing needs none."""
    if isinstance(goal, str):
        return PORTS[0]
    ports = sorted(
        {port.port for port in service_ports(goal)} if isinstance(goal, RoutedService) else set(goal.ports.values())
    )
    if len(ports) == 1:
        return ports[0]
    there = f"it has {', '.join(map(str, ports))}" if ports else "none is named by its records"
    raise BadPlace(f"{_shown(goal)} needs a port, as in NAME:PORT: {there}")


def _split_port(text: str) -> tuple[str, str]:
    name, colon, port = text.rpartition(":")
    return (name, port) if colon else (text, "")


def _number(text: str, whole: str) -> int:
    if not text and not whole.endswith(":"):
        return 0
    if not (text.isascii() and text.isdigit() and int(text) in PORTS):
        raise BadPlace(f"{whole!r}: a port is a number from 1 to 65535")
    return int(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _shown(place: RoutedService | RoutedPod | str) -> str:
    return f"pod {place.namespace}/{place.name}" if isinstance(place, RoutedPod) else str(place)
