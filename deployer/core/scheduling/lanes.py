"""The search for one group: a lane per pool, each with its best host in front.

A pool's hosts differ by fullness only, except for a few that something is known about (a replica of the same owner, a
conflicting port, an image). The few are *marked*: ranked one by one in a heap. All others come from the pool's list,
which is in the right order already, so that a group costs what it places and not what there is. A host that has just
been given a pod is marked from then on; lists are put in order again once the group is done.

A lane in front of which nobody stands is closed; one closed by the spread of zones opens again as the others fill.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from deployer.core.scheduling.cluster import Cluster
from deployer.core.scheduling.demand import Demand
from deployer.core.scheduling.filters import admits
from deployer.core.scheduling.hosts import Host, Pool
from deployer.core.scheduling.scores import FullKey, OwnKey, Taste, full_key
from deployer.core.scheduling.topology import Even, Near

CLOSED: FullKey = (1 << 62, 0, 0, 0, 0, 0, 0, 0.0, 0)


class Lane:
    """`key` and `host`: the best of the pool for the next pod as of the last `refresh`, or CLOSED and None."""

    def __init__(self, search: Search, pool: Pool, marked: Iterable[Host], listed: bool) -> None:
        """`listed`: whether the pool's unmarked hosts may be looked at too."""
        taste = search.taste
        self._search = search
        self._pool = pool
        order = pool.emptiest if search.demand.pod.strategy == "spread" else pool.fullest
        self._order = order if listed else []
        self._cursor = 0
        self._plain = taste.plain(pool.sample)
        self._heap: list[OwnKey] = [taste.own(host) for host in marked]
        heapify(self._heap)
        self._parked: list[Host] = []
        self._parked_at = 0
        self.key: FullKey = CLOSED
        self.host: Host | None = None

    def refresh(self) -> None:
        """Find the best host anew, after counts or loads have changed."""
        search, own = self._search, None
        if search.opens(self._pool.sample):
            marked, plain = self._first_marked(), self._first_plain()
            own = min(marked, plain) if marked and plain else marked or plain
        if own is None:
            self.key, self.host = CLOSED, None
        else:
            self.key = full_key(search.taste.shared(self._pool.sample), own)
            self.host = search.fleet.hosts[own[-1]]

    def taken(self, host: Host) -> None:
        """The host in front has got a pod: it is ranked anew, as a marked one."""
        if self._heap and self._heap[0][-1] == host.ordinal:
            heappop(self._heap)
        self._search.marked.add(host.ordinal)
        heappush(self._heap, self._search.taste.own(host))

    def _first_marked(self) -> OwnKey | None:
        search = self._search
        self._unpark()
        while self._heap:
            host = search.fleet.hosts[self._heap[0][-1]]
            if not search.demand.has_room(host):
                heappop(self._heap)
            elif all(rule.admits(host) for rule in search.unique_rules):
                return self._heap[0]
            else:
                heappop(self._heap)
                self._parked.append(host)
        return None

    def _first_plain(self) -> OwnKey | None:
        """The group is uniform and loads only grow: who has been passed over once is never looked at again."""
        search, order = self._search, self._order
        hosts, demand, marked = search.fleet.hosts, search.demand, search.marked
        while self._cursor < len(order):
            ordinal = order[self._cursor][1]
            if ordinal not in marked and demand.has_room(hosts[ordinal]):
                return search.taste.own_plain(self._plain, hosts[ordinal])
            self._cursor += 1
        return None

    def _unpark(self) -> None:
        """A host that would break the spread may be right again when the emptiest domain has grown."""
        if self._parked and self._parked_at != self._search.level():
            for host in self._parked:
                heappush(self._heap, self._search.taste.own(host))
            self._parked.clear()
        self._parked_at = self._search.level()


class Search:
    """Finds a host for one pod of the group after the other: `best`, then `settle`."""

    def __init__(self, demand: Demand, cluster: Cluster) -> None:
        self.demand = demand
        self.cluster = cluster
        self.fleet = cluster.fleet
        self.taste = Taste(demand, cluster)
        self.unique_rules = [rule for rule in demand.rules if rule.unique]
        self._shared_rules = [rule for rule in demand.rules if not rule.unique]
        self._needed_labels = [rule.key for rule in self.unique_rules if isinstance(rule, Near | Even)]
        self._uneven = [rule for rule in demand.even if rule.unique]
        self._far_reaching = bool(self._shared_rules) or self.taste.shares_places or bool(self._uneven)
        self.marked = self._mark()
        self._touched: dict[int, Host] = {}
        self.lanes = self._make_lanes()
        self._stale = list(self.lanes)

    def best(self) -> Host | None:
        for lane in self._stale:
            lane.refresh()
        self._stale = []
        front = min(self.lanes, key=_key_of, default=None)
        return None if front is None else front.host

    def settle(self, host: Host) -> None:
        """One pod of the group goes to the host in front."""
        self.cluster.settle(self.demand.pod, self.demand.anti_terms, host)
        self._touched[host.ordinal] = host
        for rule in self.demand.rules:
            rule.settle(host)
        self.taste.settle(host)
        zone = self.taste.shared(host)[-1]
        for lane in self.lanes:
            if lane.host is host:
                lane.taken(host)
                self._stale.append(lane)
            elif self._far_reaching or zone:
                self._stale.append(lane)

    def done(self) -> None:
        self.fleet.move(self._touched.values())

    def opens(self, sample: Host) -> bool:
        """Whether any host of the sample's pool can be right, as far as the pool tells."""
        if not all(rule.admits(sample) for rule in self._shared_rules):
            return False
        return all(key in sample.labels for key in self._needed_labels)

    def level(self) -> int:
        """Grows whenever the emptiest domain of a spread over unique labels has grown."""
        return sum(rule.least for rule in self._uneven)

    def _mark(self) -> set[int]:
        marked = {host.ordinal for host in self.taste.marked(self.fleet)}
        for rule in self.unique_rules:
            marked.update(host.ordinal for host in rule.marked(self.fleet))
        return marked

    def _make_lanes(self) -> list[Lane]:
        hosts = self.demand.hosts()
        by_pool: dict[Pool, list[Host]] = {}
        if hosts is not None:
            for host in hosts:
                if admits(self.demand, host):
                    by_pool.setdefault(host.pool, []).append(host)
            return [Lane(self, pool, members, listed=False) for pool, members in by_pool.items()]
        for ordinal in self.marked:
            host = self.fleet.hosts[ordinal]
            by_pool.setdefault(host.pool, []).append(host)
        pools = [pool for pool in self.fleet.pools if admits(self.demand, pool.sample)]
        return [Lane(self, pool, by_pool.get(pool, ()), listed=True) for pool in pools]


def _key_of(lane: Lane) -> FullKey:
    return lane.key
