"""Rules about where a pod's likes and dislikes run: required pod affinity, anti-affinity, topology spread, host ports.

Each rule is made for one group of identical pods against the population of that moment, holds a count per value of its
topology label, answers `admits(host)` in constant time, and is told by `settle(host)` when one more of the group has
gone to a host. Nothing is counted again while the group is being placed.

Kubernetes' rules (interpodaffinity and podtopologyspread plugins), the ones that surprise:
- a pod counts for required affinity only if it matches *all* terms; the first of its kind, which matches its own
  terms while nobody else does, may go to any node that has the labels;
- anti-affinity holds both ways: also the placed pods' terms keep the newcomer away;
- spread counts only nodes that the pod's node selector and affinity admit and that carry the labels of all its hard
  constraints; taints, cordons and nodes that are not ready do not take a domain out of the count; a pod that is
  terminating does not count; fewer domains than `minDomains` make the global minimum 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping

from deployer.core.objects.placement import TopologySpreadConstraint
from deployer.core.scheduling.hosts import Fleet, Host
from deployer.core.scheduling.population import Population
from deployer.core.scheduling.selectors import PodTerm, Selector, label_selector
from deployer.core.scheduling.values import PendingPod

Tally = dict[str, int]
"""Value of a topology label -> pods."""


class Rule(ABC):
    """`unique`: the rule looks at a label which differs on every node, so it is asked host by host, not per pool."""

    key: str
    unique: bool = True

    @abstractmethod
    def admits(self, host: Host) -> bool:
        """Whether one more pod of the group may run there."""

    @abstractmethod
    def settle(self, host: Host) -> None:
        """One more pod of the group runs on the host."""

    @abstractmethod
    def marked(self, fleet: Fleet) -> Iterable[Host]:
        """The hosts which a unique rule does not see as it sees an empty host."""


class FreePorts(Rule):
    """No host port of the pod is taken on the host."""

    key = "host ports"

    def __init__(self, pod: PendingPod, population: Population) -> None:
        self.ports = pod.host_ports
        self.taken = population.occupied(pod.host_ports)

    def admits(self, host: Host) -> bool:
        return host.ordinal not in self.taken

    def settle(self, host: Host) -> None:
        self.taken.add(host.ordinal)

    def marked(self, fleet: Fleet) -> Iterable[Host]:
        return [fleet.hosts[ordinal] for ordinal in self.taken]


class Tallied:
    """Pods counted per value of one topology label; `joins` says whether the group's own pods count."""

    def __init__(self, key: str, tally: Tally, joins: bool, fleet: Fleet) -> None:
        self.key = key
        self.tally = tally
        self.joins = joins
        self.unique = key in fleet.unique

    def settle(self, host: Host) -> None:
        value = host.labels.get(self.key)
        if self.joins and value is not None:
            self.tally[value] = self.tally.get(value, 0) + 1

    def marked(self, fleet: Fleet) -> Iterable[Host]:
        index = fleet.unique.get(self.key, {})
        return [index[value] for value in self.tally]


class Away(Tallied, Rule):
    """Anti-affinity: none of the counted pods in the same place. A node without the label is no place."""

    def admits(self, host: Host) -> bool:
        return host.labels.get(self.key) not in self.tally


class Near(Tallied, Rule):
    """Affinity: one of the counted pods in the same place, or `first`: nobody is there yet and the pod means itself."""

    first = False

    def admits(self, host: Host) -> bool:
        value = host.labels.get(self.key)
        return value is not None and (self.first or value in self.tally)


class Even(Tallied, Rule):
    """Hard spread: pods here + this one - pods in the emptiest domain <= maxSkew."""

    def __init__(self, term: TopologySpreadConstraint, tally: Tally, joins: bool, fleet: Fleet, domains: int) -> None:
        super().__init__(term.topology_key, {value: count for value, count in tally.items() if count}, joins, fleet)
        self.max_skew = term.max_skew
        self.least = 0
        self._short = domains < (term.min_domains or 1)
        self._levels: dict[int, int] = {0: domains - len(self.tally)}
        for count in self.tally.values():
            self._levels[count] = self._levels.get(count, 0) + 1
        self._raise_least()

    def admits(self, host: Host) -> bool:
        value = host.labels.get(self.key)
        return value is not None and self.tally.get(value, 0) + self.joins - self.least <= self.max_skew

    def settle(self, host: Host) -> None:
        super().settle(host)
        if self.joins:
            count = self.tally[host.labels[self.key]]
            self._levels[count - 1] -= 1
            self._levels[count] = self._levels.get(count, 0) + 1
            self._raise_least()

    def _raise_least(self) -> None:
        """Counts only grow, so the minimum only rises: each step costs as much as the placements which caused it."""
        while not self._short and not self._levels.get(self.least) and self.least < max(self._levels):
            self.least += 1


def away_rules(pod: PendingPod, terms: Iterable[PodTerm], population: Population, fleet: Fleet) -> list[Away]:
    return [
        Away(
            term.topology_key,
            tallied((kind.where for kind in population.kinds(term)), term.topology_key, fleet),
            population.speaks_of(term, pod.namespace, pod.labels),
            fleet,
        )
        for term in terms
    ]


def repelled_rules(pod: PendingPod, population: Population, fleet: Fleet) -> list[Away]:
    """The anti-affinity of pods which are placed already, one rule per topology label."""
    by_key: dict[str, list[Mapping[int, int]]] = {}
    for key, where in population.repelling(pod.namespace, pod.labels):
        by_key.setdefault(key, []).append(where)
    return [Away(key, tallied(by_key[key], key, fleet), False, fleet) for key in sorted(by_key)]


def near_rules(pod: PendingPod, terms: Iterable[PodTerm], population: Population, fleet: Fleet) -> list[Near]:
    terms = tuple(terms)
    if not terms:
        return []

    def all_mean(namespace: str, labels: Mapping[str, str]) -> bool:
        return all(population.speaks_of(term, namespace, labels) for term in terms)

    where = [kind.where for kind in population.kinds(terms[0]) if all_mean(kind.namespace, kind.labels)]
    joins = all_mean(pod.namespace, pod.labels)
    rules = [Near(term.topology_key, tallied(where, term.topology_key, fleet), joins, fleet) for term in terms]
    for rule in rules:
        rule.first = joins and not any(other.tally for other in rules)
    return rules


def even_rules(
    pod: PendingPod, population: Population, fleet: Fleet, domains: Callable[[str], int], counts: Callable[[Host], bool]
) -> list[Even]:
    """`counts(host)`: whether pods on it count at all; `domains(key)`: how many values the hosts that count have."""
    rules = []
    for term in hard_spread(pod):
        selector = spread_selector(term, pod)
        found = [kind.staying for kind in population.kinds_in(pod.namespace, selector)]
        tally = tallied(found, term.topology_key, fleet, counts)
        rules.append(Even(term, tally, selector.matches(pod.labels), fleet, domains(term.topology_key)))
    return rules


def hard_spread(pod: PendingPod) -> list[TopologySpreadConstraint]:
    return [term for term in pod.spread if term.when_unsatisfiable == "DoNotSchedule"]


def spread_selector(term: TopologySpreadConstraint, pod: PendingPod) -> Selector:
    """`matchLabelKeys` the pod does not have are left out, as in Kubernetes."""
    also = {key: pod.labels[key] for key in term.match_label_keys if key in pod.labels}
    return label_selector(term.label_selector, also)


def tallied(
    found: Iterable[Mapping[int, int]], key: str, fleet: Fleet, counts: Callable[[Host], bool] | None = None
) -> Tally:
    """Pods per value of a topology label; pods on hosts without it are nowhere."""
    tally: Tally = {}
    for where in found:
        for ordinal, pods in where.items():
            host = fleet.hosts[ordinal]
            value = host.labels.get(key)
            if value is not None and (counts is None or counts(host)):
                tally[value] = tally.get(value, 0) + pods
    return tally
