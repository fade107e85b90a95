"""The addresses of a node's pod networks, the same on every node.

The pod range (10.208.0.0/12 by default) is cut into /20s; network i is the i-th of them. In each:

    .0.1            the gateway (the host)
    .0.0 - .7.255   pods get theirs from this lower half
    .8.1            the router (base + 2049)
    .8.2 - .15.249  Services: that of index k is base + 2049 + k, at the same place in every network

So a Service has one virtual address per network, and nothing has to be told to other nodes. Addresses are local to a
host: between hosts only the mesh port is used. Nothing here knows which index is whose.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network

from deployer.core.container import Subnet

MOST_NETWORKS = 256
MOST_SERVICES = 2040
KEPT = 1 << 16
"""Virtual addresses that are remembered: a router's pass asks for each Service's in each of its networks."""
_NETWORK_BITS = 20
_NETWORK_SIZE = 1 << (32 - _NETWORK_BITS)
_GATEWAY = 1
_ROUTER = _NETWORK_SIZE // 2 + 1


@dataclass(frozen=True, slots=True)
class Addresses:
    """Of one network. `range`, `pods` and `virtual_range` as a.b.c.d/n; the router's own is in `virtual_range`."""

    range: str
    pods: str
    gateway: str
    router: str
    virtual_range: str


def addresses(pod_range: str, network_index: int) -> Addresses:
    """Raises ValueError, as a sentence, for a range that is none and for an index outside of it."""
    network = _network(pod_range, network_index)
    pods, virtual = network.subnets(prefixlen_diff=1)
    return Addresses(str(network), str(pods), str(network[_GATEWAY]), str(network[_ROUTER]), str(virtual))


@lru_cache(maxsize=KEPT)
def virtual_address(pod_range: str, network_index: int, service_index: int) -> str:
    """Where pods on that network reach the Service: index 1 on network 0 of 10.208.0.0/12 is 10.208.8.2.

    Raises ValueError, as a sentence, for an index that has no address.
    """
    if not 1 <= service_index <= MOST_SERVICES:
        raise ValueError(f"there is no virtual address {service_index}: they are numbered from 1 to {MOST_SERVICES}")
    return str(_network(pod_range, network_index)[_ROUTER + service_index])


def subnet(pod_range: str, network_index: int) -> Subnet:
    """What an engine is asked for when it makes the network."""
    found = addresses(pod_range, network_index)
    return Subnet(found.range, found.pods, found.gateway)


@lru_cache(maxsize=MOST_NETWORKS)
def _network(pod_range: str, index: int) -> IPv4Network:
    try:
        whole = IPv4Network(pod_range)
    except ValueError as error:
        raise ValueError(f'"{pod_range}" is not a range of IPv4 addresses such as 10.208.0.0/12: {error}') from None
    if whole.prefixlen > _NETWORK_BITS:
        raise ValueError(f"{whole} is too small for one network: give a /{_NETWORK_BITS} or wider, such as a /12")
    count = min(MOST_NETWORKS, 1 << (_NETWORK_BITS - whole.prefixlen))
    if not 0 <= index < count:
        raise ValueError(f"there is no network {index}: {whole} has {count}, numbered from 0 to {count - 1}")
    return IPv4Network((int(whole.network_address) + index * _NETWORK_SIZE, _NETWORK_BITS))
