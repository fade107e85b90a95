"""Services: ports, types and addresses (Kubernetes: core/validation, ValidateService)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployer.core.manifest_checks import names
from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.objects.workload import ServicePort, ServiceSpec

NODE_PORTS = range(30000, 32768)
NODES_ANNOTATION = "pierhead.io/nodes"
"""Which nodes open the ports of a NodePort or LoadBalancer Service: labels that must be equal, "zone=a,disk=ssd"."""
APP_PROTOCOLS = (
    "http", "https", "tcp", "ws", "wss", "h2c", "http2", "grpc", "kubernetes.io/h2c", "kubernetes.io/ws",
    "kubernetes.io/wss",
)  # fmt: skip
_SPEC: Path = ("spec",)
_PORTS: Path = ("spec", "ports")


def service(spec: ServiceSpec, annotations: Mapping[str, str]) -> Iterator[Finding]:
    yield from names.check_labels(spec.selector, (*_SPEC, "selector"))
    if spec.type == "ExternalName":
        yield from _external(spec)
    else:
        yield from _internal(spec)
    if spec.session_affinity_config is not None and spec.session_affinity != "ClientIP":
        path = (*_SPEC, "sessionAffinityConfig")
        yield Finding(path, "is for sessionAffinity: ClientIP only", "write sessionAffinity: ClientIP, or remove it")
    for index, port in enumerate(spec.ports):
        yield from _port(port, (*_PORTS, index), spec)
    yield from _uniqueness(spec)
    if NODES_ANNOTATION in annotations:
        yield from _nodes(annotations[NODES_ANNOTATION], ("metadata", "annotations", NODES_ANNOTATION), spec)


def _external(spec: ServiceSpec) -> Iterator[Finding]:
    """The router answers for it, so its name must be one that can be looked up."""
    path = (*_SPEC, "externalName")
    if not spec.external_name:
        yield Finding(path, "is required for type: ExternalName", "write the host name that is meant")
    else:
        yield from names.dns_subdomain(spec.external_name.removesuffix("."), path)
    if spec.cluster_ip:
        yield Finding((*_SPEC, "clusterIP"), "is not for type: ExternalName", "remove it")


def _internal(spec: ServiceSpec) -> Iterator[Finding]:
    if not spec.selector:
        message = "is required: endpoints written by hand are not supported"
        remedy = "write the labels of the pods; for a host elsewhere, type: ExternalName with externalName"
        yield Finding((*_SPEC, "selector"), message, remedy)
    if not spec.ports and spec.cluster_ip != "None":
        yield Finding(_PORTS, "is required", "list at least one port")
    if spec.external_name:
        yield Finding((*_SPEC, "externalName"), "is for type: ExternalName only", "remove it, or write that type")
    if spec.cluster_ip == "None" and spec.type != "ClusterIP":
        yield Finding((*_SPEC, "clusterIP"), f"None (headless) is not for type: {spec.type}", "remove one of them")


def _port(port: ServicePort, path: Path, spec: ServiceSpec) -> Iterator[Finding]:
    if port.name:
        yield from names.dns_label(port.name, (*path, "name"))
    elif len(spec.ports) > 1:
        yield Finding((*path, "name"), "is required when there are several ports", "name each of them")
    if isinstance(port.target_port, str):
        yield from names.port_name(port.target_port, (*path, "targetPort"))
    elif port.target_port is not None and not 1 <= port.target_port <= 65535:
        yield Finding((*path, "targetPort"), "must be between 1 and 65535", "write the container's port, or its name")
    if port.app_protocol and port.app_protocol not in APP_PROTOCOLS:
        message = f'"{shown(port.app_protocol)}" is not a protocol that the router knows'
        yield Finding((*path, "appProtocol"), message, f"write one of {', '.join(APP_PROTOCOLS)}, or leave it out")
    if port.node_port is None:
        return
    if spec.type not in ("NodePort", "LoadBalancer"):
        yield Finding((*path, "nodePort"), f"is not for type: {spec.type}", "write type: NodePort")
    elif port.node_port not in NODE_PORTS:
        message = f"{port.node_port} is outside {NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
        yield Finding((*path, "nodePort"), message, "leave it out to be given one")


def _uniqueness(spec: ServiceSpec) -> Iterator[Finding]:
    yield from names.unique(((one.name, (*_PORTS, n, "name")) for n, one in enumerate(spec.ports)), "ports")
    for field in ("port", "node_port"):
        seen: set[tuple[int, str]] = set()
        for index, one in enumerate(spec.ports):
            number = getattr(one, field)
            if number is not None and (number, one.protocol) in seen:
                name = "nodePort" if field == "node_port" else field
                message = f"{number}/{one.protocol} stands here twice"
                yield Finding((*_PORTS, index, name), message, "change one of them")
            seen.add((number, one.protocol))


def _nodes(text: str, path: Path, spec: ServiceSpec) -> Iterator[Finding]:
    if spec.type not in ("NodePort", "LoadBalancer"):
        remedy = "write type: NodePort or LoadBalancer, or remove it"
        yield Finding(path, f"is not for type: {spec.type}, which opens no port on a node", remedy)
    rows = [[part.strip() for part in row.split("=")] for row in text.split(",")]
    if any(len(row) != 2 or not row[0] for row in rows):
        message = f'"{shown(text)}" does not choose nodes by labels'
        yield Finding(path, message, "write key=value, several with ',' between them, such as zone=a,disk=ssd")
        return
    for key, value in rows:
        yield from names.label_key(key, path)
        yield from names.label_value(value, path)
    yield from names.unique(((key, path) for key, _ in rows), "labels")
