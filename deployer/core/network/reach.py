"""Can A reach B on this port, and if not, which label, rule or state stops it?

The way of a connection, step by step, as the source's router would take it: the name, the port, the pods that the
selector finds, which of them are ready and why the others are not, and what the NetworkPolicies say. It stops at the
first step that does not hold; the last sentence then says why. Each step counts.

This looks at records only. Whether a process listens is what probes find out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from deployer.core.network import policy
from deployer.core.network.endpoints import endpoints, nodes_by_uid, selected, target_port
from deployer.core.network.values import Cluster, Endpoint, RoutedPod, RoutedService
from deployer.core.objects.workload import ServicePort

CLUSTER_DOMAIN = ".cluster.local"


@dataclass(frozen=True, slots=True)
class Reach:
    """`steps` are sentences, in the order of the way; the last one is the reason when it is not `possible`."""

    possible: bool
    steps: tuple[str, ...]


class _Stops(Exception):
    """The sentence that ends the way."""


def reach(source: RoutedPod | str, target: RoutedService | RoutedPod | str, port: int, cluster: Cluster) -> Reach:
    """`source`: a pod, or an address from outside. `target`: a Service, a pod, or a name as the source would write it.

    `port` is the Service's, or the container's when `target` is a pod. `cluster` has all pods of the cluster; its
    node does not matter: what counts is the source's.
    """
    steps: list[str] = []
    try:
        for step in _way(source, target, port, cluster):
            steps.append(step)
    except _Stops as stop:
        return Reach(False, (*steps, str(stop)))
    return Reach(True, tuple(steps))


def _way(
    source: RoutedPod | str, target: RoutedService | RoutedPod | str, port: int, cluster: Cluster
) -> Iterator[str]:
    if isinstance(source, RoutedPod):
        view = _seen_from(source, cluster)
        yield from _source(source, view)
    else:
        view = cluster
    if isinstance(target, str):
        target = _named(target, source, view)
        yield f"the name means {target}"
    if isinstance(target, RoutedPod):
        yield from _to_pod(source, target, port, view)
    else:
        yield from _to_service(source, target, port, view)


def _seen_from(source: RoutedPod, cluster: Cluster) -> Cluster:
    """The cluster as the router of the source's node has it. Networks are known of the cluster's own node only."""
    node = nodes_by_uid(cluster).get(source.node)
    if node is None or node.uid == cluster.node.uid:
        return cluster
    return replace(cluster, node=node, nodes=(*cluster.nodes, cluster.node), networks=())


def _source(source: RoutedPod, view: Cluster) -> Iterator[str]:
    name = _pod(source)
    if not source.node:
        raise _Stops(f"{name} is on no node yet")
    if source.node != view.node.uid:
        raise _Stops(f"the node of {name} is not known any more")
    if source.host_network:
        raise _Stops(f"{name} is on its host's network, where names of Services are not known")
    if not source.ip:
        raise _Stops(f"{name} has no address yet")
    if view.networks and source.network not in {one.name for one in view.networks}:
        network = source.network or "without a name"
        raise _Stops(f"{name} is on network {network}, which the router of node {view.node.name} is not attached to")
    if not view.node.reachable:
        raise _Stops(f"node {view.node.name} is not reachable: its router goes on with what it was told last")
    yield f"{name} asks the router of node {view.node.name}"


def _named(name: str, source: RoutedPod | str, cluster: Cluster) -> RoutedService:
    """By the search list of a pod: its own namespace, then the cluster."""
    if isinstance(source, str):
        raise _Stops(f"{source} is outside of the cluster, where the name {name} is not known")
    labels = name.lower().rstrip(".").removesuffix(CLUSTER_DOMAIN).removesuffix(".svc").split(".")
    known = {(one.namespace, one.name): one for one in cluster.services}
    wanted = (labels[1] if len(labels) == 2 else source.namespace, labels[0])
    if len(labels) <= 2 and wanted in known:
        return known[wanted]
    elsewhere = sorted(f"{other}.{space}" for space, other in known if other == labels[0])
    close = elsewhere or get_close_matches(".".join(reversed(wanted)), sorted(f"{n}.{s}" for s, n in known), n=1)
    hint = f"; there is {', '.join(close)}" if close else ""
    raise _Stops(f"no Service is named {name}, as seen from namespace {source.namespace}{hint}")


def _to_service(source: RoutedPod | str, service: RoutedService, number: int, cluster: Cluster) -> Iterator[str]:
    port = _port(service, number)
    if service.spec.type == "ExternalName":
        yield f"{service} stands for the host {service.spec.external_name}, outside of the cluster"
        return
    pods = selected(service, cluster.pods)
    if not pods:
        raise _Stops(f"its selector {_labels(service.spec.selector)} finds no pod{_nearest(service, cluster.pods)}")
    yield f"{service} has port {number}, and its selector finds {_plural(len(pods), 'pod')}"
    found = _endpoints(source, service, port, cluster)
    ready = [one for one in found if one.ready]
    verb = "is" if 1 in (len(ready), len(found)) else "are"
    counts = f"{len(ready)} of {_plural(len(found), 'endpoint')} {verb} ready"
    if not ready:
        raise _Stops(f"{counts}: {_reasons(found)}")
    yield counts if len(ready) == len(found) else f"{counts}: {_reasons(found)}"
    yield _policies(source, pods, port, cluster)


def _endpoints(
    source: RoutedPod | str, service: RoutedService, port: ServicePort, cluster: Cluster
) -> tuple[Endpoint, ...]:
    """From outside, a connection may enter at any node: the one that has most of them ready counts."""
    if isinstance(source, RoutedPod):
        return endpoints(service, port, cluster)
    nodes = sorted(nodes_by_uid(cluster).values(), key=lambda one: (one.name, one.uid))
    views = [endpoints(service, port, replace(cluster, node=one)) for one in nodes if one.uid and one.reachable]
    return max(views, key=lambda view: sum(one.ready for one in view), default=endpoints(service, port, cluster))


def _port(service: RoutedService, number: int) -> ServicePort:
    for port in service.spec.ports:
        if port.port == number:
            return port
    if service.spec.type == "ExternalName" and not service.spec.ports:
        return ServicePort(port=number)
    has = ", ".join(f"{one.port}{f' ({one.name})' if one.name else ''}" for one in service.spec.ports)
    raise _Stops(f"{service} has no port {number}" + (f"; it has {has}" if has else ""))


def _nearest(service: RoutedService, pods: Iterable[RoutedPod]) -> str:
    """The pods of the namespace that lack least: "; 3 pods have app=web2", "; 2 pods have no label tier"."""
    wanted = service.spec.selector
    misses = Counter(
        tuple(sorted((key, pod.labels.get(key)) for key in wanted if pod.labels.get(key) != wanted[key]))
        for pod in pods
        if pod.namespace == service.namespace and any(key in pod.labels for key in wanted)
    )
    if not misses:
        return f"; no pod of namespace {service.namespace} has a label {' or '.join(sorted(wanted))}"
    lacking, count = min(misses.items(), key=lambda one: (len(one[0]), -one[1], str(one[0])))
    said = " and ".join(f"{key}={value}" if value is not None else f"no label {key}" for key, value in lacking)
    return f"; {_plural(count, 'pod')} {'has' if count == 1 else 'have'} {said}"


def _reasons(found: Iterable[Endpoint]) -> str:
    counted = Counter(one.reason for one in found if not one.ready)
    ordered = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{count} {'is' if count == 1 else 'are'} out because {reason}" for reason, count in ordered)


def _policies(source: RoutedPod | str, pods: Iterable[RoutedPod], port: ServicePort, cluster: Cluster) -> str:
    """A router has one list per service: the source has to be allowed by every pod that a policy is about."""
    asked = [
        policy.verdict(source, pod, number, cluster.policies, cluster.namespaces)
        for pod in pods
        if (number := target_port(port, pod)) is not None and policy.selecting(cluster.policies, pod)
    ]
    if not asked:
        return "no NetworkPolicy is about these pods"
    refused = [one for one in asked if not one.allowed]
    if refused:
        counts = f"refused for {len(refused)} of {_plural(len(asked), 'pod')} under a NetworkPolicy"
        raise _Stops(f"{counts}: {refused[0].reason}")
    return asked[0].reason


def _to_pod(source: RoutedPod | str, target: RoutedPod, port: int, cluster: Cluster) -> Iterator[str]:
    """Directly on one bridge; from anywhere else through a Service that leads there."""
    if not target.ip and not target.host_network:
        raise _Stops(f"{_pod(target)} has no address yet")
    if isinstance(source, RoutedPod) and _share_a_bridge(source, target):
        yield f"{_pod(target)} is on the same network, {target.network}: nothing stands in between"
        return
    for service in sorted(cluster.services, key=lambda one: (one.namespace, one.name)):
        for one in service.spec.ports:
            if selected(service, (target,)) and target_port(one, target) == port:
                yield f"{service}, port {one.port}, leads to port {port} of {_pod(target)}"
                yield from _to_service(source, service, one.port, cluster)
                return
    raise _Stops(f"{_pod(target)} is on another network, and no Service leads to its port {port}")


def _share_a_bridge(source: RoutedPod, target: RoutedPod) -> bool:
    return bool(target.network) and (source.node, source.network) == (target.node, target.network)


def _pod(pod: RoutedPod) -> str:
    return f"pod {pod.namespace}/{pod.name}"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
