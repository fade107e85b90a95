"""What may become words of a configuration, and what is left out because it may not.

Names come from manifests that were checked long before. Here that is not relied on: an object whose name is not of
Kubernetes' form, or whose address is none, is left out as a whole, with a sentence, and everything else works. After
this, names, addresses and numbers may stand in haproxy.cfg; all other text of a manifest goes into maps (`maps.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Address
from typing import TypeVar

from deployer.core.canary.values import Split, Stickiness
from deployer.core.network.addresses import MOST_SERVICES, addresses
from deployer.core.network.values import Cluster, PodNetwork, RoutedIngress, RoutedPod, RoutedService, TlsPair

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_USERS = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PORTS = range(1, 65536)
_LONGEST = 253

Named = TypeVar("Named", RoutedService, RoutedPod, RoutedIngress, TlsPair)


def sound(cluster: Cluster) -> tuple[Cluster, tuple[str, ...]]:
    """The cluster without what cannot be written down, and a sentence for each thing that is missing."""
    problems: list[str] = []
    services = _kept("Service", cluster.services, _service_fault, problems)
    pods = _kept("Pod", cluster.pods, _pod_fault, problems)
    ingresses = _kept("Ingress", cluster.ingresses, _name_fault, problems)
    tls = _kept("Secret", cluster.tls, _name_fault, problems)
    networks = tuple(_networks(cluster, problems))
    splits = tuple(_splits(cluster.splits, problems))
    services = tuple(_addressed(_singular(services, problems), problems))
    kept = replace(
        cluster, services=services, pods=pods, ingresses=ingresses, tls=tls, networks=networks, splits=splits
    )
    return kept, tuple(problems)


def _kept(kind: str, them: Iterable[Named], fault: Callable[[Named], str], problems: list[str]) -> tuple[Named, ...]:
    found: list[Named] = []
    for one in sorted(them, key=lambda one: (one.namespace, one.name)):
        if why := fault(one):
            problems.append(f"{kind} {one.namespace}/{one.name} is left out: {why}")
        else:
            found.append(one)
    return tuple(found)


def _name_fault(one: RoutedService | RoutedPod | RoutedIngress | TlsPair) -> str:
    fine = _LABEL.fullmatch(one.namespace) and _SUBDOMAIN.fullmatch(one.name) and len(one.name) <= _LONGEST
    return "" if fine else "its name is not of Kubernetes' form"


def _service_fault(service: RoutedService) -> str:
    if not _LABEL.fullmatch(service.namespace) or not _LABEL.fullmatch(service.name):
        return "its name is not of Kubernetes' form"
    numbers = [port.port for port in service.spec.ports]
    if len(numbers) != len(set(numbers)):
        return "it lists a port twice"
    if any(number not in _PORTS for number in _numbers(service)):
        return "it lists a port that is none"
    external = service.spec.external_name.removesuffix(".")
    if service.spec.type == "ExternalName" and (not _SUBDOMAIN.fullmatch(external) or len(external) > _LONGEST):
        return "its externalName is no host name"
    return ""


def _numbers(service: RoutedService) -> Iterator[int]:
    for port in service.spec.ports:
        yield port.port
        yield from (number for number in (port.target_port, port.node_port) if isinstance(number, int))


def _pod_fault(pod: RoutedPod) -> str:
    if pod.ip and not _is_address(pod.ip):
        return f'"{pod.ip}" is no address'
    checks = [probe.check for probe in pod.probes] + ([pod.readiness] if pod.readiness is not None else [])
    if any(number not in _PORTS for number in (*pod.ports.values(), *(check.port for check in checks))):
        return "it has a port that is none"
    if any(not _LABEL.fullmatch(probe.container) for probe in pod.probes):
        return "the name of a container with a probe is not of Kubernetes' form"
    return _name_fault(pod)


@lru_cache(maxsize=8192)
def _is_address(text: str) -> bool:
    try:
        return bool(IPv4Address(text))
    except ValueError:
        return False


def _networks(cluster: Cluster, problems: list[str]) -> Iterator[PodNetwork]:
    """Raises ValueError for a pod range that is none: that is a setting, and nothing works without it."""
    addresses(cluster.pod_range, 0)
    taken: set[int] = set()
    for network in sorted(cluster.networks, key=lambda one: (one.index, one.name)):
        if not _SUBDOMAIN.fullmatch(network.name) or network.index in taken:
            problems.append(f"network {network.name} is left out: its name or number is not its own")
            continue
        try:
            addresses(cluster.pod_range, network.index)
        except ValueError as error:
            problems.append(f"network {network.name} is left out: {error}")
            continue
        taken.add(network.index)
        yield network


def _splits(them: Iterable[Split], problems: list[str]) -> Iterator[Split]:
    """The workload's name, and that of a cookie or header that users are told by, become words of the text."""
    for one in sorted(them, key=lambda one: one.workload):
        namespace, _, name = one.workload.partition("/")
        if not _LABEL.fullmatch(namespace) or not _SUBDOMAIN.fullmatch(name) or len(name) > _LONGEST:
            problems.append(f"the canary of {one.workload} is left out: its name is not of Kubernetes' form")
            continue
        sticky = one.sticky
        if sticky is not None and not _is_told_by(sticky):
            problems.append(
                f"the canary of {one.workload} is not sticky: a {sticky.by} named {sticky.name!r} cannot be asked for;"
                " use up to 64 letters, digits, - and _"
            )
            one = replace(one, sticky=None)
        yield one


def _is_told_by(sticky: Stickiness) -> bool:
    if sticky.by == "client":
        return not sticky.name
    return bool(_USERS.fullmatch(sticky.name)) or (sticky.by == "cookie" and not sticky.name)


def _singular(services: Iterable[RoutedService], problems: list[str]) -> Iterator[RoutedService]:
    seen: set[tuple[str, str]] = set()
    for service in services:
        if (service.namespace, service.name) in seen:
            problems.append(f"{service} is there twice; the second one is left out")
        else:
            seen.add((service.namespace, service.name))
            yield service


def _addressed(services: Iterable[RoutedService], problems: list[str]) -> Iterator[RoutedService]:
    """A Service whose virtual address is missing or another's keeps its other ways in (Ingress, node ports)."""
    taken: set[int] = set()
    for service in services:
        numbers = [*service.pod_indexes.values()] if service.spec.cluster_ip == "None" else [service.index]
        wanted = set(numbers)
        if too_high := sorted(index for index in wanted if index > MOST_SERVICES):
            problems.append(
                f"{service} has no virtual address: there are {MOST_SERVICES}, it would be number {too_high[0]};"
                " remove Services that are not needed"
            )
        if wanted & taken or len(wanted) < len(numbers):
            problems.append(f"{service} has no virtual address of its own: one of its numbers is taken by another")
            service = replace(service, index=0, pod_indexes={})
        taken |= wanted - {0}
        yield service
