"""The endpoints of a service port: which pods stand behind it, and how this node's router reaches each.

A pod of the router's own node is reached at its address (one on the host's network: at the gateway of the mesh
network, where the host's own sockets answer); any other through the mesh port of its node, by a name (SNI) that says
which pod and port is meant. Names are hashes: they say nothing to whoever listens, and no name is too long.

An endpoint that is not to be given traffic is kept, with the reason in words, for whoever asks why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address

from deployer.core.network.addresses import addresses
from deployer.core.network.values import Cluster, Endpoint, Mode, RoutedNode, RoutedPod, RoutedService
from deployer.core.objects.workload import ServicePort

HTTP_PORTS = frozenset({80, 3000, 5000, 8000, 8080, 8888})
_GRPC_WEB = "grpc-web"
"""gRPC in requests of HTTP/1.1: the one word with a '-' in it."""
_HTTP_NAMES = frozenset({"http", "ws", "http1", "http1.1", _GRPC_WEB})
_H2_NAMES = frozenset({"http2", "h2c", "h2", "grpc"})
_TCP_NAMES = frozenset({"tcp", "https", "tls", "wss", "grpcs"})
_UNKNOWN = RoutedNode(uid="", name="", reachable=False)


def mode(port: ServicePort) -> Mode:
    """By appProtocol, then by the port's name up to its first '-', then by its number; what says nothing is tcp.

    `kubernetes.io/h2c` and `kubernetes.io/ws` are Kubernetes' own words (KEP-3726). TLS is carried as it is: tcp.
    """
    name = _GRPC_WEB if f"{port.name}-".startswith(f"{_GRPC_WEB}-") else port.name.partition("-")[0]
    for word in (port.app_protocol.lower().removeprefix("kubernetes.io/"), name):
        if word in _H2_NAMES:
            return "h2"
        if word in _HTTP_NAMES:
            return "http"
        if word in _TCP_NAMES:
            return "tcp"
    return "http" if port.port in HTTP_PORTS and not port.app_protocol else "tcp"


def selected(service: RoutedService, pods: Iterable[RoutedPod]) -> tuple[RoutedPod, ...]:
    """The pods that the Service's selector means, by key. No selector means none, as in Kubernetes."""
    wanted = service.spec.selector.items()
    if not wanted or service.spec.type == "ExternalName":
        return ()
    found = (pod for pod in pods if pod.namespace == service.namespace and wanted <= pod.labels.items())
    return tuple(sorted(found, key=lambda pod: (pod.key, pod.uid)))


def target_port(port: ServicePort, pod: RoutedPod) -> int | None:
    """The pod's port. None when targetPort is a name that none of its containers gives to a port."""
    if isinstance(port.target_port, str):
        return pod.ports.get(port.target_port)
    return port.port if port.target_port is None else port.target_port


def endpoints(service: RoutedService, port: ServicePort, cluster: Cluster) -> tuple[Endpoint, ...]:
    """Every selected pod, sorted by key; those that are not `ready` say why."""
    return endpoints_of(selected(service, cluster.pods), service, port, cluster, nodes_by_uid(cluster))


def nodes_by_uid(cluster: Cluster) -> Mapping[str, RoutedNode]:
    return {node.uid: node for node in (*cluster.nodes, cluster.node)}


def endpoints_of(
    pods: Iterable[RoutedPod],
    service: RoutedService,
    port: ServicePort,
    cluster: Cluster,
    nodes: Mapping[str, RoutedNode],
) -> tuple[Endpoint, ...]:
    """The same for pods that are known to be selected, for whoever asks for many ports."""
    early = service.spec.publish_not_ready_addresses
    return tuple(_endpoint(pod, port, cluster, nodes.get(pod.node, _UNKNOWN), early) for pod in pods)


def sni(pod_uid: str, target_port: int, node_uid: str) -> str:
    """The name by which one port of one pod is meant on the mesh; the node's certificate is valid for it."""
    digest = sha256(f"{pod_uid}:{target_port}".encode()).hexdigest()[:16]
    return f"p{digest}.{node_label(node_uid)}.mesh"


@lru_cache(maxsize=1024)
def node_label(node_uid: str) -> str:
    """The node's part of names on the mesh: its certificate says *.LABEL.mesh."""
    return "n" + sha256(node_uid.encode()).hexdigest()[:12]


def local_address(pod: RoutedPod, cluster: Cluster) -> str:
    """Where the router of the pod's own node reaches it, "" while it has no address."""
    return addresses(cluster.pod_range, 0).gateway if pod.host_network else pod.ip


@lru_cache(maxsize=1024)
def is_address(text: str) -> bool:
    """HAProxy resolves no names for servers that are added while it runs, so a name must have been resolved before."""
    try:
        return bool(ip_address(text)) and "%" not in text
    except ValueError:
        return False


def _endpoint(pod: RoutedPod, port: ServicePort, cluster: Cluster, node: RoutedNode, early: bool) -> Endpoint:
    number = target_port(port, pod)
    reason = _pod_reason(pod, number, port, early)
    if pod.node == cluster.node.uid:
        return Endpoint(pod, number or 0, local_address(pod, cluster), number or 0, "", not reason, reason)
    reason = reason or _node_reason(node, pod.node)
    name = sni(pod.uid, number, pod.node) if number else ""
    return Endpoint(pod, number or 0, node.mesh_address, cluster.mesh_port, name, not reason, reason)


def _pod_reason(pod: RoutedPod, number: int | None, port: ServicePort, early: bool) -> str:
    if pod.leaving:
        return "it is being deleted"
    if not pod.ready and not early:
        return "it is not ready"
    if not pod.ip and not pod.host_network:
        return "it has no address yet"
    if number is None:
        return f"its container has no port named {port.target_port}"
    return ""


def _node_reason(node: RoutedNode, uid: str) -> str:
    if not node.uid:
        return f"its node ({uid}) is not known any more"
    if not node.reachable:
        return f"node {node.name} is not reachable"
    if not node.mesh_address:
        remedy = "node add --mesh-address, or remove and add it by tcp:// or ssh://"
        return f"node {node.name} has no mesh address: {remedy}"
    if not is_address(node.mesh_address):
        return f'node {node.name} has the mesh address "{node.mesh_address}", which no address was found for'
    return ""
