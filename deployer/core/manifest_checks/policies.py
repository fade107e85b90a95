"""Network policies: selectors, address blocks and ports (Kubernetes: networking/validation, ValidateNetworkPolicy)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from deployer.core.manifest_checks import names
from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.manifest_checks.placement import label_selector
from deployer.core.objects.network import IPBlock, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SPEC: Path = ("spec",)
_CIDR = re.compile(r"[0-9a-fA-F.:]+/[0-9]{1,3}")
_CIDR_REMEDY = "write one such as 10.0.0.0/8"


def network_policy(spec: NetworkPolicySpec) -> Iterator[Finding]:
    yield from label_selector(spec.pod_selector, (*_SPEC, "podSelector"))
    for index, rule in enumerate(spec.ingress):
        path = (*_SPEC, "ingress", index)
        for number, peer in enumerate(rule.from_):
            yield from _peer(peer, (*path, "from", number))
        for number, port in enumerate(rule.ports):
            yield from _port(port, (*path, "ports", number))


def _peer(peer: NetworkPolicyPeer, path: Path) -> Iterator[Finding]:
    selectors = {"podSelector": peer.pod_selector, "namespaceSelector": peer.namespace_selector}
    given = [name for name, one in selectors.items() if one is not None]
    if peer.ip_block is None and not given:
        remedy = "write podSelector, namespaceSelector or ipBlock; {} as a selector takes in all"
        yield Finding(path, "says nothing about who may connect", remedy)
    if peer.ip_block is not None and given:
        message = f"ipBlock stands alone, and {' and '.join(given)} is beside it"
        yield Finding((*path, "ipBlock"), message, "write two entries under from: either may connect")
    for name, one in selectors.items():
        if one is not None:
            yield from label_selector(one, (*path, name))
    if peer.ip_block is not None:
        yield from _block(peer.ip_block, (*path, "ipBlock"))


def _block(block: IPBlock, path: Path) -> Iterator[Finding]:
    whole = _network(block.cidr)
    if isinstance(whole, Finding):
        yield Finding((*path, "cidr"), whole.message, whole.remedy)
    for index, text in enumerate(block.except_):
        place = (*path, "except", index)
        part = _network(text)
        if isinstance(part, Finding):
            yield Finding(place, part.message, part.remedy)
        elif not isinstance(whole, Finding) and not _is_inside(part, whole):
            message = f"{part} is not a smaller part of {whole}"
            yield Finding(place, message, f"write a block inside {whole}, or remove it")


def _network(text: str) -> Network | Finding:
    """The block, or what is wrong with its text."""
    if not _CIDR.fullmatch(text):
        return Finding((), f'"{shown(text)}" is not an address block', _CIDR_REMEDY)
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return Finding((), f'"{shown(text)}" is not an address block', _CIDR_REMEDY)
    if ipaddress.ip_address(text.partition("/")[0]) != found.network_address:
        return Finding((), f"{shown(text)} has bits beyond its prefix", f"write {found}")
    return found


def _is_inside(part: Network, whole: Network) -> bool:
    return part.version == whole.version and part.prefixlen > whole.prefixlen and part.network_address in whole


def _port(port: NetworkPolicyPort, path: Path) -> Iterator[Finding]:
    if isinstance(port.port, int) and not 1 <= port.port <= 65535:
        yield Finding((*path, "port"), "must be between 1 and 65535", "write a number, or the name of a port")
    elif isinstance(port.port, str):
        yield from names.port_name(port.port, (*path, "port"))
    if port.end_port is None:
        return
    if not isinstance(port.port, int):
        yield Finding((*path, "endPort"), "needs a port that is a number", "write port as well, as a number")
    elif port.end_port < port.port:
        yield Finding((*path, "endPort"), f"{port.end_port} is less than port ({port.port})", "swap the two")
