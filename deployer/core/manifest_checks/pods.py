"""Pod specs: what their parts must have in common (Kubernetes: core/validation, ValidatePodSpec)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from deployer.core.manifest_checks import containers, names, placement, privileges, volumes
from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.manifest_checks.privileges import Rights
from deployer.core.objects.pod import Container, PodSpec

SAFE_SYSCTLS = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
})  # fmt: skip
"""Kubernetes' safe set: they stay within the pod's own namespaces."""
_ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound


def pod(spec: PodSpec, path: Path, rights: Rights) -> Iterator[Finding]:
    yield from privileges.of_pod(spec, path, rights)
    yield from volumes.volumes(spec, path)
    for found, place, is_init in _containers(spec, path):
        yield from containers.container(found, place, spec, rights, is_init=is_init)
    yield from names.unique(((one.name, (*place, "name")) for one, place, _ in _containers(spec, path)), "containers")
    yield from _host_ports(spec, path)
    yield from placement.placement(spec, path)
    yield from _host_names(spec, path)
    yield from _sysctls(spec, path)
    for index, secret in enumerate(spec.image_pull_secrets):
        yield from names.dns_subdomain(secret.name, (*path, "imagePullSecrets", index, "name"))


def _containers(spec: PodSpec, path: Path) -> Iterator[tuple[Container, Path, bool]]:
    """(container, its path, whether it is among the init containers)."""
    for index, one in enumerate(spec.init_containers):
        yield one, (*path, "initContainers", index), True
    for index, one in enumerate(spec.containers):
        yield one, (*path, "containers", index), False


def _host_ports(spec: PodSpec, path: Path) -> Iterator[Finding]:
    """Two ports of one pod cannot be the same port of the host; an address of all hosts takes every address."""
    taken: list[tuple[int, str, str]] = []
    for found, place, _ in _containers(spec, path):
        for index, port in enumerate(found.ports):
            where = (*place, "ports", index, "hostPort")
            if port.host_port is None:
                continue
            if spec.host_network and port.host_port != port.container_port:
                message = f"must be {port.container_port}, the containerPort, on the host's network"
                yield Finding(where, message, "remove it")
            wanted = (port.host_port, port.protocol, port.host_ip)
            if any(_collide(wanted, other) for other in taken):
                message = f"{port.host_port}/{port.protocol} is taken twice in this pod"
                yield Finding(where, message, "change one of them")
            taken.append(wanted)


def _collide(one: tuple[int, str, str], other: tuple[int, str, str]) -> bool:
    everywhere = one[2] in _ANY_ADDRESS or other[2] in _ANY_ADDRESS
    return one[:2] == other[:2] and (everywhere or one[2] == other[2])


def _host_names(spec: PodSpec, path: Path) -> Iterator[Finding]:
    if spec.hostname:
        yield from names.dns_label(spec.hostname, (*path, "hostname"))
        if spec.host_network:
            yield Finding((*path, "hostname"), "is the host's own with hostNetwork", "remove one of the two")
    if spec.node_name:
        yield from names.dns_subdomain(spec.node_name, (*path, "nodeName"))
    for index, alias in enumerate(spec.host_aliases):
        place = (*path, "hostAliases", index)
        if not is_address(alias.ip):
            yield Finding((*place, "ip"), f'"{shown(alias.ip)}" is not an IP address', "write one such as 10.0.0.7")
        for number, name in enumerate(alias.hostnames):
            yield from names.dns_subdomain(name, (*place, "hostnames", number))


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _sysctls(spec: PodSpec, path: Path) -> Iterator[Finding]:
    place = (*path, "securityContext", "sysctls")
    for index, one in enumerate(spec.security_context.sysctls):
        if one.name not in SAFE_SYSCTLS:
            message = f'"{shown(one.name)}" is not one of Kubernetes\' safe sysctls'
            yield Finding((*place, index, "name"), message, "set it on the host, or leave it out")
        elif spec.host_network and one.name.startswith("net."):
            yield Finding((*place, index, "name"), f"{one.name} would be the host's with hostNetwork", "remove it")
    found = ((one.name, (*place, index, "name")) for index, one in enumerate(spec.security_context.sysctls))
    yield from names.unique(found, "sysctls")
