"""What all parts of one router's configuration look at: the cluster, and the endpoints, worked out once.

Endpoints are looked for per service port over all pods; a cluster of 500 services asks once each, not once per part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deployer.core.network import splits
from deployer.core.network.addresses import addresses
from deployer.core.network.endpoints import endpoints_of, nodes_by_uid, selected
from deployer.core.network.splits import Choice
from deployer.core.network.values import MESH_NETWORK, Cluster, Endpoint, PodNetwork, RoutedPod, RoutedService
from deployer.core.objects.workload import ServicePort


@dataclass(frozen=True, slots=True)
class Scene:
    """`networks`: all that the router sits on, the mesh network first. `services` by namespace and name.

    `choices`: of the Services whose pods may be a canary and others, by uid.
    """

    cluster: Cluster
    networks: tuple[PodNetwork, ...]
    services: Mapping[tuple[str, str], RoutedService]
    found: Mapping[tuple[str, int], tuple[Endpoint, ...]]
    choices: Mapping[str, Choice] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def endpoints(self, service: RoutedService, port: ServicePort) -> tuple[Endpoint, ...]:
        return self.found[service.uid, port.port]

    @property
    def router(self) -> str:
        """The router's address on the mesh network, where the node's own ports are forwarded to."""
        return addresses(self.cluster.pod_range, 0).router


def scene(cluster: Cluster) -> Scene:
    found: dict[tuple[str, int], tuple[Endpoint, ...]] = {}
    by_namespace = _by_namespace(cluster.pods)
    nodes = nodes_by_uid(cluster)
    services = sorted(cluster.services, key=_by_name)
    for service in services:
        pods = selected(service, by_namespace.get(service.namespace, ()))
        for port in service.spec.ports:
            found[service.uid, port.port] = endpoints_of(pods, service, port, cluster, nodes)
    chosen, problems = splits.choices(services, splits.owned(cluster.pods, cluster.splits), cluster.splits)
    named = {(one.namespace, one.name): one for one in services}
    return Scene(cluster, _networks(cluster), named, found, chosen, problems)


def _by_name(service: RoutedService) -> tuple[str, str]:
    return service.namespace, service.name


def _networks(cluster: Cluster) -> tuple[PodNetwork, ...]:
    others = sorted((one for one in cluster.networks if one.index), key=lambda one: (one.index, one.name))
    return (PodNetwork(MESH_NETWORK, 0, ""), *others)


def _by_namespace(pods: Iterable[RoutedPod]) -> Mapping[str, tuple[RoutedPod, ...]]:
    found: dict[str, list[RoutedPod]] = {}
    for pod in pods:
        found.setdefault(pod.namespace, []).append(pod)
    return {namespace: tuple(them) for namespace, them in found.items()}
