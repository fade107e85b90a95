"""Nodes with what is left of them, and pools of nodes that are alike.

A *pool* is the nodes which no pending pod can tell apart but by load: same labels (those that anybody asks about), same
taints, same state, about the same size. A group of pods asks a pool once, and then takes its hosts from a list that is
kept in order of fullness. A label that is different on every node (`kubernetes.io/hostname`) would make every node
its own pool; such a label is called *unique* here, stays out of the pools, and has an index from value to host.

Accounting is in integers and exact: a host never goes below zero by what `take` was asked for after `has_room`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from math import log2

from deployer.core.scheduling.values import Node, Resources

UNIQUE_ABOVE = 16
"""A label that differs on every node and stands on more nodes than this gets an index instead of pools."""

SCORED_CPU_MILLICORES = 100
SCORED_MEMORY_BYTES = 200 * 1000**2
"""What a pod that requests nothing counts for in scoring (Kubernetes' figures); filtering uses the real request."""

_STEPS_PER_DOUBLING = 8


class Host:
    """A node and what is left of it. `ordinal` is its rank by name: the last word in every ordering."""

    __slots__ = (
        "cpu_left", "cpu_scored", "labels", "listed", "memory_left", "memory_scored", "node", "ordinal",
        "pods_left", "pool", "size",
    )  # fmt: skip

    def __init__(self, node: Node, ordinal: int) -> None:
        self.node = node
        self.ordinal = ordinal
        self.labels = node.labels
        self.cpu_left = node.allocatable.cpu_millicores
        self.memory_left = node.allocatable.memory_bytes
        self.pods_left = node.max_pods
        self.cpu_scored = 0
        self.memory_scored = 0
        self.size = 0.0
        self.listed: float | None = None
        self.pool: Pool

    @property
    def in_use(self) -> bool:
        return self.pods_left < self.node.max_pods

    def take(self, requests: Resources) -> None:
        self.cpu_left -= requests.cpu_millicores
        self.memory_left -= requests.memory_bytes
        self.pods_left -= 1
        self.cpu_scored += requests.cpu_millicores or SCORED_CPU_MILLICORES
        self.memory_scored += requests.memory_bytes or SCORED_MEMORY_BYTES

    @property
    def fullness(self) -> float:
        return self.fullness_with(0, 0)

    def fullness_with(self, cpu_millicores: int, memory_bytes: int) -> float:
        """How full the host would be: the sum of the shares of CPU and of memory that are requested, 0 to 2."""
        size = self.node.allocatable
        cpu = (self.cpu_scored + cpu_millicores) / (size.cpu_millicores or 1)
        return cpu + (self.memory_scored + memory_bytes) / (size.memory_bytes or 1)


class Pool:
    """Hosts that are alike, the fullest first in `fullest` (and last in `emptiest`), as (order, ordinal)."""

    __slots__ = ("emptiest", "fullest", "hosts", "sample")

    def __init__(self, sample: Host) -> None:
        self.sample = sample
        self.hosts: list[Host] = []
        self.fullest: list[tuple[float, int]] = []
        self.emptiest: list[tuple[float, int]] = []

    def sort(self, least: Resources) -> None:
        for host in self.hosts:
            host.listed = host.fullness if _useful(host, least) else None
        listed = [host for host in self.hosts if host.listed is not None]
        self.fullest = sorted((-host.fullness, host.ordinal) for host in listed)
        self.emptiest = sorted((host.fullness, host.ordinal) for host in listed)

    def move(self, host: Host, least: Resources) -> None:
        """Put a host that has been filled further where it belongs now; leave it out once nothing can fit any more."""
        if host.listed is not None:
            del self.fullest[bisect_left(self.fullest, (-host.listed, host.ordinal))]
            del self.emptiest[bisect_left(self.emptiest, (host.listed, host.ordinal))]
            host.listed = None
        if _useful(host, least):
            host.listed = host.fullness
            insort(self.fullest, (-host.fullness, host.ordinal))
            insort(self.emptiest, (host.fullness, host.ordinal))


def _useful(host: Host, least: Resources) -> bool:
    """False if not even the smallest pending pod has room here (a request of 0 always has)."""
    if host.pods_left <= 0 or (least.cpu_millicores and host.cpu_left < least.cpu_millicores):
        return False
    return not (least.memory_bytes and host.memory_left < least.memory_bytes)


class Fleet:
    """All hosts by rank of name, their pools, and the index of the unique labels."""

    def __init__(self, nodes: Iterable[Node], keys: set[str], least: Resources = Resources()) -> None:
        """`keys`: the labels that pending or placed pods ask about. `least`: the smallest request of each resource."""
        by_name = {node.name: node for node in nodes}
        self.hosts = [Host(by_name[name], ordinal) for ordinal, name in enumerate(sorted(by_name))]
        _measure(self.hosts)
        self.by_name: Mapping[str, Host] = {host.node.name: host for host in self.hosts}
        self.unique = {key: index for key in sorted(keys) if (index := _unique_index(self.hosts, key)) is not None}
        self.shared = sorted(keys - set(self.unique))
        self.pools: list[Pool] = []
        self._least = least
        self._make_pools()

    def sort(self) -> None:
        """To be called once, after the placed pods have taken their share."""
        for pool in self.pools:
            pool.sort(self._least)

    def move(self, hosts: Iterable[Host]) -> None:
        for host in hosts:
            host.pool.move(host, self._least)

    def _make_pools(self) -> None:
        found: dict[object, Pool] = {}
        for host in self.hosts:
            likeness = self._likeness(host)
            pool = found.get(likeness)
            if pool is None:
                pool = found[likeness] = Pool(host)
                self.pools.append(pool)
            pool.hosts.append(host)
            host.pool = pool

    def _likeness(self, host: Host) -> object:
        node, labels, size = host.node, host.labels, host.node.allocatable
        return (
            node.ready, node.lost, node.cordoned, node.taints, _size_class(size.cpu_millicores),
            _size_class(size.memory_bytes),
            tuple([labels.get(key) for key in self.shared]), tuple([key in labels for key in self.unique]),
        )  # fmt: skip


def _measure(hosts: Sequence[Host]) -> None:
    """Size: the shares of the largest CPU and of the largest memory in the fleet, 0 to 2."""
    sizes = [host.node.allocatable for host in hosts]
    cpu = max((size.cpu_millicores for size in sizes), default=0) or 1
    memory = max((size.memory_bytes for size in sizes), default=0) or 1
    for host in hosts:
        host.size = host.node.allocatable.cpu_millicores / cpu + host.node.allocatable.memory_bytes / memory


def _unique_index(hosts: Sequence[Host], key: str) -> dict[str, Host] | None:
    """Value -> host, if no two hosts share a value of this label and there are many of them."""
    index: dict[str, Host] = {}
    for host in hosts:
        value = host.labels.get(key)
        if value is None:
            continue
        if value in index:
            return None
        index[value] = host
    return index if len(index) > UNIQUE_ABOVE else None


def _size_class(amount: int) -> int:
    """Hosts within about 9 % of each other are of one size: real machines differ by a few bytes of memory."""
    return round(_STEPS_PER_DOUBLING * log2(amount)) if amount > 0 else -1
