"""What one group of identical pods demands: its needs, its rules, and the hosts it may look at.

Made from one pod of the group when the group's turn comes. Most groups look at whole pools. A group that names nodes
(nodeName, `metadata.name`, a label which differs on every node, or affinity to pods per host) is *selective*: it has a
list of hosts instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from deployer.core.objects.placement import NodeSelectorTerm, PodAffinityTerm, SelectorRequirement
from deployer.core.scheduling.cluster import Cluster
from deployer.core.scheduling.hosts import Fleet, Host
from deployer.core.scheduling.selectors import PodTerm, node_matches, pod_term
from deployer.core.scheduling.topology import (
    Even,
    FreePorts,
    Rule,
    away_rules,
    even_rules,
    hard_spread,
    near_rules,
    repelled_rules,
)
from deployer.core.scheduling.values import PendingPod

_ANY_AMOUNT = -(1 << 62)
NODE_NAME = "metadata.name"


class Demand:
    def __init__(self, pod: PendingPod, cluster: Cluster) -> None:
        fleet, population = cluster.fleet, cluster.population
        self.pod = pod
        self.fleet = fleet
        # A request of nothing fits everywhere, also where the placed pods already overcommit (Kubernetes' rule).
        self.cpu_needed = pod.requests.cpu_millicores or _ANY_AMOUNT
        self.memory_needed = pod.requests.memory_bytes or _ANY_AMOUNT
        self.selective = names_nodes(pod, fleet)
        self.anti_terms = _terms(pod, pod.affinity.pod_anti_affinity.required)
        self.ports = [FreePorts(pod, population)] if pod.host_ports else []
        self.near = near_rules(pod, _terms(pod, pod.affinity.pod_affinity.required), population, fleet)
        self.away = away_rules(pod, self.anti_terms, population, fleet)
        self.repelled = repelled_rules(pod, population, fleet)
        self._admitted = _admitted(pod, fleet) if self.selective else None
        self.even: list[Even] = []
        if hard_spread(pod):
            territory = _Territory(pod, fleet, self._admitted)
            self.even = even_rules(pod, population, fleet, territory.domains, territory.counts)
        self.rules: list[Rule] = [*self.ports, *self.near, *self.away, *self.repelled, *self.even]

    @property
    def first_of_its_kind(self) -> bool:
        """The affinity rule is waived for one pod, and binds from the second on."""
        return any(rule.first for rule in self.near)

    def has_room(self, host: Host) -> bool:
        if host.cpu_left < self.cpu_needed or host.memory_left < self.memory_needed:
            return False
        return host.pods_left > 0

    def hosts(self) -> Sequence[Host] | None:
        """The only hosts to look at, or None: look at the pools."""
        if self.pod.node_name:
            host = self.fleet.by_name.get(self.pod.node_name)
            return [] if host is None else [host]
        for rule in self.near:
            if rule.unique and not rule.first:
                return sorted(rule.marked(self.fleet), key=lambda host: host.ordinal)
        return self._admitted


class _Territory:
    """The hosts which count for topology spread: those that node selector and affinity admit, with all labels. Not the
    dead ones, unlike in Kubernetes."""

    def __init__(self, pod: PendingPod, fleet: Fleet, admitted: Sequence[Host] | None) -> None:
        self._keys = [term.topology_key for term in hard_spread(pod)]
        self._unique = fleet.unique
        if admitted is None:
            matching = [pool for pool in fleet.pools if matches(pod, pool.sample) and self._is_domain(pool.sample)]
            self._ordinals = None
            self._pools = set(matching)
            self._samples = [(pool.sample, len(pool.hosts)) for pool in matching]
        else:
            hosts = [host for host in admitted if self._is_domain(host)]
            self._ordinals = {host.ordinal for host in hosts}
            self._samples = [(host, 1) for host in hosts]

    def counts(self, host: Host) -> bool:
        return host.pool in self._pools if self._ordinals is None else host.ordinal in self._ordinals

    def domains(self, key: str) -> int:
        if key in self._unique:
            return sum(hosts for _, hosts in self._samples)
        return len({sample.labels[key] for sample, _ in self._samples})

    def _is_domain(self, host: Host) -> bool:
        return not host.node.lost and all(key in host.labels for key in self._keys)


def matches(pod: PendingPod, host: Host) -> bool:
    return node_matches(pod.node_selector, pod.affinity, host.labels, host.node.name)


def names_nodes(pod: PendingPod, fleet: Fleet) -> bool:
    """Whether node selector or node affinity can tell apart two hosts of one pool."""
    if any(key in fleet.unique for key in pod.node_selector):
        return True
    node_affinity = pod.affinity.node_affinity
    terms = [wish.preference for wish in node_affinity.preferred]
    if node_affinity.required is not None:
        terms.extend(node_affinity.required.node_selector_terms)
    return any(term.match_fields or any(row.key in fleet.unique for row in term.match_expressions) for term in terms)


def _terms(pod: PendingPod, terms: Iterable[PodAffinityTerm]) -> tuple[PodTerm, ...]:
    return tuple(pod_term(term, pod.namespace) for term in terms)


def _admitted(pod: PendingPod, fleet: Fleet) -> list[Host]:
    """The hosts that node selector and affinity admit, found by the index where it can help."""
    found = {host.ordinal: host for host in _narrowed(pod, fleet) if matches(pod, host)}
    return [found[ordinal] for ordinal in sorted(found)]


def _narrowed(pod: PendingPod, fleet: Fleet) -> Iterator[Host]:
    """A superset of the hosts that match; may repeat one."""
    for key, value in pod.node_selector.items():
        if key in fleet.unique:
            return _present(fleet.unique[key].get(value))
    required = pod.affinity.node_affinity.required
    if required is None:
        return iter(fleet.hosts)
    named = [_named(term, fleet) for term in required.node_selector_terms]
    if any(hosts is None for hosts in named):
        return iter(fleet.hosts)
    return (host for hosts in named for host in hosts or ())


def _named(term: NodeSelectorTerm, fleet: Fleet) -> list[Host] | None:
    """The hosts that the term lists one by one, or None if it does not."""
    for row in term.match_fields:
        if row.key == NODE_NAME and row.operator == "In":
            return _listed(row, fleet.by_name.get)
    for row in term.match_expressions:
        if row.key in fleet.unique and row.operator == "In":
            return _listed(row, fleet.unique[row.key].get)
    return None


def _listed(row: SelectorRequirement, find: Callable[[str], Host | None]) -> list[Host]:
    return [host for value in row.values if (host := find(value)) is not None]


def _present(host: Host | None) -> Iterator[Host]:
    return iter(() if host is None else (host,))
