"""The resolver's names: one file in hosts format for each network of the node, read by dnsmasq from a folder.

A name stands for the Service's address on the network that the question came over (`--localise-queries`); a headless
Service's for those of its ready pods. A file is never empty: dnsmasq keeps what an emptied file has said.

An ExternalName is no CNAME here. dnsmasq answers a `cname=` whose target it does not know itself with the bare alias,
which no resolver of a C library follows. So its name leads to the router, which forwards the ports that the Service
lists (80 and 443 if it lists none) to the external name; and when that is the name of a Service of this cluster, it is
given the addresses of that Service.
"""

from __future__ import annotations

from collections.abc import Iterator

from deployer.core.network.addresses import MOST_SERVICES, virtual_address
from deployer.core.network.scene import Scene
from deployer.core.network.sections import Part
from deployer.core.network.values import PodNetwork, RoutedService

DOMAIN = "cluster.local"
EXTERNAL_PORTS = (80, 443)
PLACEHOLDER = "192.0.2.1 placeholder.invalid"
"""A name that nobody asks for (RFC 2606) at an address that nobody has (RFC 5737)."""


def names(scene: Scene) -> Part:
    """`names/NETWORK` for each network, and what is wrong with aliases."""
    entries = tuple(_entries(scene))
    files = {f"names/{network.name}": _file(scene, network, entries) for network in scene.networks}
    return Part(files=files, problems=tuple(_problems(scene)))


def is_alias(service: RoutedService) -> bool:
    """Whether it is an ExternalName that means a Service of the cluster."""
    return service.spec.type == "ExternalName" and _target(service) is not None


def _file(scene: Scene, network: PodNetwork, entries: tuple[tuple[str, int], ...]) -> bytes:
    pod_range = scene.cluster.pod_range
    lines = [PLACEHOLDER]
    lines.extend(
        f"{virtual_address(pod_range, network.index, index)} {name}.svc.{DOMAIN} {name}.svc {name}"
        for name, index in entries
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _entries(scene: Scene) -> Iterator[tuple[str, int]]:
    """Names without their domain ("web.shop", "db-0.db.shop") and the index of the address behind each."""
    for service in scene.services.values():
        name, meant = f"{service.name}.{service.namespace}", _meant(scene, service)
        if meant is None:
            continue
        if meant.spec.cluster_ip == "None" and meant.spec.type != "ExternalName":
            yield from ((full, index) for full, index in _headless(scene, meant, name))
        elif 1 <= meant.index <= MOST_SERVICES:
            yield name, meant.index


def _meant(scene: Scene, service: RoutedService) -> RoutedService | None:
    """The Service itself, or the one it is an alias of. An alias of an alias leads nowhere."""
    if not is_alias(service):
        return service
    found = scene.services.get(_target(service) or ("", ""))
    return None if found is None or is_alias(found) else found


def _headless(scene: Scene, service: RoutedService, name: str) -> Iterator[tuple[str, int]]:
    """A pod that is ready for one of the ports is there."""
    ready = {one.pod.uid: one.pod for port in service.spec.ports for one in scene.endpoints(service, port) if one.ready}
    for pod in sorted(ready.values(), key=lambda pod: (pod.key, pod.uid)):
        index = service.pod_indexes.get(pod.uid, 0)
        if 1 <= index <= MOST_SERVICES:
            yield name, index
            yield f"{pod.name}.{name}", index


def _target(service: RoutedService) -> tuple[str, str] | None:
    """(namespace, name) of "web.shop.svc.cluster.local" or "web.shop.svc"; None for a name of the outside."""
    labels = service.spec.external_name.removesuffix(".").removesuffix(f".{DOMAIN}").split(".")
    return (labels[1], labels[0]) if len(labels) == 3 and labels[2] == "svc" else None


def _problems(scene: Scene) -> Iterator[str]:
    for service in scene.services.values():
        target = _target(service) if service.spec.type == "ExternalName" else None
        if target is not None and _meant(scene, service) is None:
            yield f"{service} means the Service {target[0]}/{target[1]}, which does not exist or is itself an alias"
        elif service.spec.type == "ExternalName" and target is None and not service.spec.ports:
            ports = " and ".join(map(str, EXTERNAL_PORTS))
            yield f"{service} (ExternalName) lists no ports, so {ports} are forwarded; list others under spec.ports"
        elif service.spec.cluster_ip == "None" and not service.spec.ports:
            yield f"{service} (headless) lists no ports, so nothing can connect through it; list them under spec.ports"
