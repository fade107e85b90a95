"""Three namespaces with three pods each, and short words to write policies, services and probes with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deployer.core.network.values import Cluster, Identity, PodNetwork, RoutedNode, RoutedPod, RoutedPolicy
from deployer.core.network.values import RoutedService as Service
from deployer.core.objects.network import NetworkPolicySpec
from deployer.core.objects.workload import ServiceSpec

NODE_A = RoutedNode("node-a", "a", "192.0.2.1")
NODE_B = RoutedNode("node-b", "b", "192.0.2.2")
IDENTITY = Identity("certificate", "key", "authority", "revoked")
NAMESPACES = {"x": {"team": "red"}, "y": {"team": "blue"}, "z": {}}


def pod(name: str, app: str = "", **more: Any) -> RoutedPod:
    """`name` such as "x/a"."""
    namespace, _, short = name.partition("/")
    values: dict[str, Any] = {"ip": "10.208.16.2", "node": "node-a", "network": "pierhead-x", "ready": True, **more}
    values.setdefault("labels", {"app": app or short})
    return RoutedPod(uid=f"uid-{namespace}-{short}", namespace=namespace, name=short, **values)


TOWN = tuple(
    pod(f"{namespace}/{name}", ip=f"10.208.{16 * (place + 1)}.{number + 2}", ports={"http": 80})
    for place, namespace in enumerate("xyz")
    for number, name in enumerate("abc")
)


def policy(name: str, spec: dict[str, Any]) -> RoutedPolicy:
    namespace, _, short = name.partition("/")
    return RoutedPolicy(namespace, short, NetworkPolicySpec.model_validate(spec))


def service(
    name: str, selector: dict[str, str], ports: Iterable[dict[str, Any]] = ({"port": 80},), **more: Any
) -> Service:
    namespace, _, short = name.partition("/")
    spec = ServiceSpec.model_validate({"selector": selector, "ports": list(ports), **more})
    return Service(f"uid-{short}", namespace, short, 1, spec)


def cluster(pods: Iterable[RoutedPod], **more: Any) -> Cluster:
    return Cluster("c", NODE_A, IDENTITY, nodes=(NODE_A, NODE_B), pods=tuple(pods), namespaces=NAMESPACES, **more)


def network(name: str, index: int = 1) -> PodNetwork:
    return PodNetwork(name, index, name.removeprefix("pierhead-"))
