"""What stands behind services: pods with address, readiness and the reason why one gets no traffic.

The decision is the core's (`deployer.core.network.endpoints`), which the routers are configured by; here it is asked
for rows. Pods that are being deleted are left out, as in Kubernetes' endpoints.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import ItemsView, Iterable, Mapping, Sequence
from dataclasses import dataclass

from control.models import Pod, Service
from control.selectors import routed
from control.selectors.backing import named_ports
from deployer.core.network.endpoints import endpoints_of, mode, selected
from deployer.core.network.values import Mode, RoutedNode, RoutedPod, RoutedService
from deployer.core.objects.workload import ServicePort

_UNREAD = ("spec", "annotations", "log_tail", "replacement", "attempts", "pulls", "node__images", "node__credentials")
NEAREST = 3
"""So many pods are named when a selector finds none."""


@dataclass(frozen=True, slots=True)
class PodEndpoint:
    """A pod behind a service port. `port` 0: it has none of that name. `reason` "" when `ready`."""

    pod: Pod
    address: str
    port: int
    ready: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.address or '-'}:{self.port or '-'}"


@dataclass(frozen=True, slots=True)
class PortEndpoints:
    """`why`: what `mode` was chosen by: "appProtocol", "port name", "number" or "default"."""

    port: ServicePort
    mode: Mode
    why: str
    endpoints: tuple[PodEndpoint, ...]


@dataclass(frozen=True, slots=True)
class ServiceEndpoints:
    """A Service with all that stands behind it. `address` as kubectl's CLUSTER-IP: "None", "" for none (yet)."""

    service: RoutedService
    address: str
    pods: tuple[Pod, ...]
    ports: tuple[PortEndpoints, ...]

    @property
    def ready_pods(self) -> int:
        """Pods that get traffic on some port; of a Service without ports, those that are ready."""
        if not self.service.spec.ports:
            return sum(pod.ready for pod in self.pods)
        return len({one.pod.uid for port in self.ports for one in port.endpoints if one.ready})

    @property
    def has_selector(self) -> bool:
        return bool(self.service.spec.selector) and self.service.spec.type != "ExternalName"


def endpoints_of_services(rows: Sequence[Service]) -> list[ServiceEndpoints]:
    """In the order of `rows`; four queries, and up to three more when a targetPort is a name."""
    services = routed.routed_services(rows)
    addresses = routed.virtual_addresses(one.namespace for one in services)
    pods = _pods_of(services)
    named = _named_ports(services, pods)
    values = {namespace: routed.routed_pods(those, named) for namespace, those in pods.items()}
    rows_by_uid = {pod.uid: pod for those in pods.values() for pod in those}
    found = []
    for service in services:
        chosen = selected(service, values.get(service.namespace, ()))
        ports = tuple(_port(service, port, chosen, rows_by_uid) for port in service.spec.ports)
        mine = tuple(rows_by_uid[one.uid] for one in chosen)
        found.append(ServiceEndpoints(service, addresses.of(service), mine, ports))
    return found


def nearest_pods(one: ServiceEndpoints, pods: Iterable[Pod]) -> list[str]:
    """Why a selector finds no pod: the pods that lack least, each with what it lacks.

    "pod web-1 lacks tier=front (it has tier=back)"
    """
    wanted = one.service.spec.selector
    ranked = sorted((_missing(pod, wanted), pod.name) for pod in pods)
    return [f"pod {name} lacks {', '.join(missing)}" for (_, missing), name in ranked[:NEAREST]]


def why_mode(port: ServicePort) -> str:
    """What a port's mode was chosen by. A word decides when the number makes no difference beside it."""
    chosen = mode(port)
    if port.app_protocol and _modes(port, name="") == {chosen}:
        return "appProtocol"
    if port.name and _modes(port, app_protocol="") == {chosen}:
        return "port name"
    return "number" if chosen != "tcp" else "default"


def _modes(port: ServicePort, **without: str) -> set[Mode]:
    """With a number that means HTTP, and with one that means nothing."""
    return {mode(port.model_copy(update={**without, "port": number})) for number in (80, 1)}


def _missing(pod: Pod, wanted: Mapping[str, str]) -> tuple[int, list[str]]:
    missing = []
    for key, value in sorted(wanted.items()):
        if pod.labels.get(key) != value:
            has = f" (it has {key}={pod.labels[key]})" if key in pod.labels else ""
            missing.append(f"{key}={value}{has}")
    return len(missing), missing


def _pods_of(services: Sequence[RoutedService]) -> Mapping[str, list[Pod]]:
    """Namespace -> the pods in it that stay and that any of the services selects.

    Labels are read first: a namespace may have thousands of pods, of which a service has three.
    """
    wanted: dict[str, list[ItemsView[str, str]]] = defaultdict(list)
    for one in services:
        if one.spec.selector:
            wanted[one.namespace].append(one.spec.selector.items())
    there = Pod.objects.filter(namespace__in=wanted, deleted_at=None)
    labels = there.values_list("uid", "namespace", "labels") if wanted else ()
    uids = [uid for uid, namespace, own in labels if any(selector <= own.items() for selector in wanted[namespace])]
    found: dict[str, list[Pod]] = defaultdict(list)
    for pod in Pod.objects.filter(pk__in=uids).select_related("node").defer(*_UNREAD) if uids else ():
        found[pod.namespace].append(pod)
    return found


def _named_ports(services: Sequence[RoutedService], pods: Mapping[str, list[Pod]]) -> Mapping[str, Mapping[str, int]]:
    wanted = {one.namespace for one in services if any(isinstance(port.target_port, str) for port in one.spec.ports)}
    return named_ports(pod.uid for namespace in wanted for pod in pods.get(namespace, ())) if wanted else {}


def _port(
    service: RoutedService, port: ServicePort, chosen: Iterable[RoutedPod], rows: Mapping[str, Pod]
) -> PortEndpoints:
    carried: Mode = "tcp" if service.spec.type == "ExternalName" else mode(port)
    found = tuple(_endpoint(service, port, pod, rows[pod.uid]) for pod in chosen)
    return PortEndpoints(port, carried, why_mode(port), found)


def _endpoint(service: RoutedService, port: ServicePort, pod: RoutedPod, row: Pod) -> PodEndpoint:
    """As the router of the pod's own node sees it."""
    here = RoutedNode(uid=pod.node, name="")
    found = endpoints_of((pod,), service, port, routed.cluster(here), {pod.node: here})[0]
    reason = found.reason if row.node_id else "it is not scheduled yet"
    return PodEndpoint(row, found.address, found.target_port, found.ready, reason if not found.ready else "")
