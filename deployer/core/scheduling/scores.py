"""Which of the hosts that fit is the best one. The least key wins; every key ends in the host's rank by name.

Kubernetes adds weighted scores up; here they are compared one after the other, so that the reason for a choice can be
said in words. In this order:

1. a host where this owner failed five times in five minutes comes last (Swarm's rule);
2. fewer `PreferNoSchedule` taints that are not tolerated, and `NoExecute` taints that are tolerated for a time only:
   a pod that was evicted would come back to where it must leave again;
3. the manifest's preferred node affinity and pod affinity, by the sum of their weights;
4. its soft topology spread (`ScheduleAnyway`): fewer matching pods in the same places;
5. fewer replicas of the same owner on the host, then in its zone: a host may die, the service should not;
6. a host in use that has the images already, before one that must pull them;
7. the fullest host (MostAllocated), so that machines stay empty; if an empty one must be woken, the largest;
8. the name.

`pierhead.io/placement: pack` leaves out 5: the fewest machines, even for replicas of one owner.
`pierhead.io/placement: spread` leaves out 6 and turns 7 around: the emptiest host (LeastAllocated).

Why the default keeps replicas apart *and* packs: apart costs nothing but a choice among hosts that are in use anyway,
as long as an owner has fewer replicas than there are hosts in use; the benchmark shows the machines that it takes,
beside `pack`. An image never wakes an empty machine (6 counts hosts in use only): a pull is cheaper than a machine.
Fullness is the sum of the requested shares of CPU and memory, not cut to whole percents: fewer ties.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from deployer.core.objects.placement import Toleration
from deployer.core.scheduling.cluster import ZONE, Cluster
from deployer.core.scheduling.demand import Demand
from deployer.core.scheduling.hosts import SCORED_CPU_MILLICORES, SCORED_MEMORY_BYTES, Fleet, Host
from deployer.core.scheduling.selectors import node_preference, pod_term, tolerated_seconds, tolerates
from deployer.core.scheduling.topology import Tallied, Tally, spread_selector, tallied
from deployer.core.scheduling.values import Taint

SharedKey = tuple[int, int, int, int]
"""The part that all hosts of a pool have in common: taints, wishes, soft spread, zone."""

OwnKey = tuple[int, int, int, int, int, float, int]
"""The host's own part: failing, wishes, soft spread, replicas, images, room, ordinal."""

FullKey = tuple[int, int, int, int, int, int, int, float, int]

_EMPTY = 3.0
"""More than any size: the empty hosts come after those in use."""

_WITHOUT_LABEL = 1 << 30
"""Soft spread ranks nodes without the topology label behind all others."""


class Lean(Tallied):
    """A preference that costs (or, negative, gains) something for every counted pod in the same place."""

    def __init__(self, key: str, tally: Tally, joins: bool, fleet: Fleet, per_pod: int, without_label: int = 0) -> None:
        super().__init__(key, tally, joins, fleet)
        self._per_pod = per_pod
        self._without_label = without_label

    def cost(self, host: Host) -> int:
        value = host.labels.get(self.key)
        return self._without_label if value is None else self._per_pod * self.tally.get(value, 0)

    def empty_cost(self, host: Host) -> int:
        """Of a host like this one that runs none of the counted pods."""
        return 0 if self.key in host.labels else self._without_label


class Taste:
    """How one group of identical pods ranks hosts; told by `settle` when one more of the group has its host."""

    def __init__(self, demand: Demand, cluster: Cluster) -> None:
        pod = demand.pod
        self._pod = pod
        self._selective = demand.selective
        self._wishes = _wishes(demand, cluster)
        self._soft = _soft(demand, cluster)
        self._failing = cluster.failing_for(pod.owner)
        self._holding = _holding(demand, cluster)
        self._apart = pod.strategy != "pack"
        self._spreads = pod.strategy == "spread"
        self._cpu = pod.requests.cpu_millicores or SCORED_CPU_MILLICORES
        self._memory = pod.requests.memory_bytes or SCORED_MEMORY_BYTES
        self._replicas = cluster.population.replicas(pod.owner) if self._apart else {}
        self._zoned = self._apart and ZONE not in cluster.fleet.unique
        self._zones: dict[str | None, int] = {}
        for ordinal, replicas in self._replicas.items():
            self._count_zone(cluster.fleet.hosts[ordinal], replicas)

    @property
    def shares_places(self) -> bool:
        """Whether one placement changes the rank of hosts in other pools (beyond the zone)."""
        return any(not lean.unique for lean in (*self._wishes, *self._soft))

    def shared(self, host: Host) -> SharedKey:
        """What counts for every host of this one's pool."""
        wish = 0 if self._selective else -node_preference(self._pod.affinity, host.labels, host.node.name)
        wish += _cost(self._wishes, host, unique=False)
        zone = self._zones.get(host.labels.get(ZONE), 0) if self._zoned else 0
        return self._avoided(host), wish, _cost(self._soft, host, unique=False), zone

    def plain(self, sample: Host) -> tuple[int, int]:
        """Wishes and soft spread of the hosts in the sample's pool that nothing is known about."""
        wish = sum(lean.empty_cost(sample) for lean in self._wishes if lean.unique)
        return wish, sum(lean.empty_cost(sample) for lean in self._soft if lean.unique)

    def own(self, host: Host) -> OwnKey:
        wish = -node_preference(self._pod.affinity, host.labels, host.node.name) if self._selective else 0
        return (
            host.ordinal in self._failing,
            wish + _cost(self._wishes, host, unique=True),
            _cost(self._soft, host, unique=True),
            self._replicas.get(host.ordinal, 0),
            not (host.ordinal in self._holding and host.in_use),
            self._room(host),
            host.ordinal,
        )

    def own_plain(self, plain: tuple[int, int], host: Host) -> OwnKey:
        """The same for a host that nothing is known about, without looking: `plain` is that of its pool."""
        return False, plain[0], plain[1], 0, True, self._room(host), host.ordinal

    def marked(self, fleet: Fleet) -> Iterator[Host]:
        """The hosts that something is known about: all others of a pool differ by their fullness only."""
        for lean in (*self._wishes, *self._soft):
            if lean.unique:
                yield from lean.marked(fleet)
        yield from (fleet.hosts[ordinal] for ordinal in self._replicas)
        yield from (fleet.hosts[ordinal] for ordinal in self._failing)
        yield from (host for ordinal in self._holding if (host := fleet.hosts[ordinal]).in_use)

    def settle(self, host: Host) -> None:
        for lean in (*self._wishes, *self._soft):
            lean.settle(host)
        if self._apart and self._pod.owner:
            self._replicas[host.ordinal] = self._replicas.get(host.ordinal, 0) + 1
            self._count_zone(host, 1)

    def _avoided(self, host: Host) -> int:
        taints = host.node.taints
        if not taints:
            return 0
        return sum(_is_avoided(self._pod.tolerations, taint) for taint in taints)

    def _room(self, host: Host) -> float:
        """Less is better. Packing: hosts in use by fullness (negative), then the empty ones by size."""
        if self._spreads:
            return host.fullness_with(self._cpu, self._memory)
        return -host.fullness_with(self._cpu, self._memory) if host.in_use else _EMPTY - host.size

    def _count_zone(self, host: Host, replicas: int) -> None:
        zone = host.labels.get(ZONE)
        self._zones[zone] = self._zones.get(zone, 0) + replicas


def _is_avoided(tolerations: tuple[Toleration, ...], taint: Taint) -> bool:
    if taint.effect == "NoExecute":
        return tolerated_seconds(tolerations, taint) != math.inf
    return taint.effect == "PreferNoSchedule" and not tolerates(tolerations, taint)


def full_key(shared: SharedKey, own: OwnKey) -> FullKey:
    avoided, wish, soft, zone = shared
    return own[0], avoided, wish + own[1], soft + own[2], own[3], zone, own[4], own[5], own[6]


def _cost(leans: list[Lean], host: Host, unique: bool) -> int:
    return sum([lean.cost(host) for lean in leans if lean.unique is unique]) if leans else 0


def _wishes(demand: Demand, cluster: Cluster) -> list[Lean]:
    affinity = demand.pod.affinity
    near = ((wish, -wish.weight) for wish in affinity.pod_affinity.preferred)
    away = ((wish, wish.weight) for wish in affinity.pod_anti_affinity.preferred)
    leans = []
    for wish, per_pod in (*near, *away):
        term = pod_term(wish.pod_affinity_term, demand.pod.namespace)
        found = (kind.where for kind in cluster.population.kinds(term))
        tally = tallied(found, term.topology_key, cluster.fleet)
        joins = cluster.population.speaks_of(term, demand.pod.namespace, demand.pod.labels)
        leans.append(Lean(term.topology_key, tally, joins, cluster.fleet, per_pod))
    return leans


def _soft(demand: Demand, cluster: Cluster) -> list[Lean]:
    leans = []
    for term in demand.pod.spread:
        if term.when_unsatisfiable == "DoNotSchedule":
            continue
        selector = spread_selector(term, demand.pod)
        found = (kind.staying for kind in cluster.population.kinds_in(demand.pod.namespace, selector))
        tally = tallied(found, term.topology_key, cluster.fleet)
        joins = selector.matches(demand.pod.labels)
        leans.append(Lean(term.topology_key, tally, joins, cluster.fleet, 1, _WITHOUT_LABEL))
    return leans


def _holding(demand: Demand, cluster: Cluster) -> set[int]:
    """The hosts that have all images of the pod; nobody, for pods that are spread."""
    if not demand.pod.images or demand.pod.strategy == "spread":
        return set()
    found: Iterable[set[int]] = (cluster.holding.get(image, set()) for image in demand.pod.images)
    return set.intersection(*map(set, found))
