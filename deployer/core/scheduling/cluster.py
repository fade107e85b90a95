"""Everything a scheduling pass knows: the hosts, the pods on them, and the facts that scores ask for.

Made once per pass from the store's values. It decides nothing; it grows only by `settle`, when a pod gets its host.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from deployer.core.objects.placement import Affinity, PodAffinityTerm
from deployer.core.scheduling.hosts import Fleet, Host
from deployer.core.scheduling.population import Population
from deployer.core.scheduling.selectors import Namespaces, PodTerm, pod_term
from deployer.core.scheduling.values import EVERYBODY, Node, PendingPod, PlacedPod, Resources

ZONE = "topology.kubernetes.io/zone"
FAILURES_TO_RANK_LAST = 5
"""Swarm's rule: a node on which the same owner failed this often in five minutes is tried last."""


class Cluster:
    def __init__(
        self, nodes: Sequence[Node], placed: Iterable[PlacedPod], asking: Sequence[PendingPod], namespaces: Namespaces
    ) -> None:
        """`asking`: the pending pods, or one of each group: what they ask about decides how hosts are pooled."""
        self.population = Population(namespaces)
        placed = list(placed)
        keys = {ZONE} | {term.topology_key for pod in placed for term in pod.anti_affinity}
        for asked in asking:
            keys.update(_keys(asked))
        self.fleet = Fleet(nodes, keys, _least(asking))
        self.failing = _failing(self.fleet.hosts)
        self.holding = _holding(self.fleet.hosts, {image for pod in asking for image in pod.images})
        self._occupy(placed, _owners_counted(asking))
        self.fleet.sort()

    def failing_for(self, owner: str) -> set[int]:
        """The hosts that come last for this owner's pods."""
        return self.failing.get(owner, set()) | self.failing.get(EVERYBODY, set())

    def settle(self, pod: PendingPod, terms: Iterable[PodTerm], host: Host) -> None:
        """The pod runs on the host from now on. `terms`: its own required anti-affinity."""
        host.take(pod.requests)
        self.population.add(host.ordinal, pod.namespace, pod.labels, pod.owner)
        self.population.repel(host.ordinal, terms)
        self.population.occupy(host.ordinal, pod.host_ports)

    def _occupy(self, placed: Iterable[PlacedPod], counted: set[str] | None) -> None:
        """Tens of thousands, in each pass. `counted`: whose pods anybody asks for, None for all of them."""
        population, by_name = self.population, self.fleet.by_name
        for pod in placed:
            host = by_name.get(pod.node)
            if host is None:
                continue
            host.take(pod.requests)
            if counted is None or pod.owner in counted:
                population.add(host.ordinal, pod.namespace, pod.labels, pod.owner, pod.terminating, pod.label_set)
            if pod.anti_affinity:
                population.repel(host.ordinal, [pod_term(term, pod.namespace) for term in pod.anti_affinity])
            if pod.host_ports:
                population.occupy(host.ordinal, pod.host_ports)


def _owners_counted(asking: Sequence[PendingPod]) -> set[str] | None:
    """Who has no term about other pods asks for replicas of its own alone."""
    if any(pod.spread or next(_pod_terms(pod.affinity), None) for pod in asking):
        return None
    return {pod.owner for pod in asking}


def _keys(pod: PendingPod) -> Iterator[str]:
    """Every node label that the pod asks about."""
    yield from pod.node_selector
    yield from (term.topology_key for term in pod.spread)
    yield from (term.topology_key for term in _pod_terms(pod.affinity))
    node_affinity = pod.affinity.node_affinity
    terms = [wish.preference for wish in node_affinity.preferred]
    if node_affinity.required is not None:
        terms.extend(node_affinity.required.node_selector_terms)
    yield from (row.key for term in terms for row in term.match_expressions)


def _pod_terms(affinity: Affinity) -> Iterator[PodAffinityTerm]:
    for side in (affinity.pod_affinity, affinity.pod_anti_affinity):
        yield from side.required
        yield from (wish.pod_affinity_term for wish in side.preferred)


def _least(pods: Sequence[PendingPod]) -> Resources:
    return Resources(
        cpu_millicores=min((pod.requests.cpu_millicores for pod in pods), default=0),
        memory_bytes=min((pod.requests.memory_bytes for pod in pods), default=0),
    )


def fails(recent_failures: Mapping[str, int], owner: str) -> bool:
    """Whether a node with these comes last for this owner's pods."""
    return max(recent_failures.get(one, 0) for one in (owner, EVERYBODY)) >= FAILURES_TO_RANK_LAST


def _failing(hosts: Sequence[Host]) -> dict[str, set[int]]:
    """Owner, or EVERYBODY -> the hosts on which it fails again and again."""
    failing: dict[str, set[int]] = defaultdict(set)
    for host in hosts:
        for owner, failures in host.node.recent_failures.items():
            if failures >= FAILURES_TO_RANK_LAST:
                failing[owner].add(host.ordinal)
    return failing


def _holding(hosts: Sequence[Host], wanted: set[str]) -> dict[str, set[int]]:
    """Image -> the hosts that have it."""
    holding: dict[str, set[int]] = {image: set() for image in wanted}
    for host in hosts:
        for image in host.node.images & wanted if wanted else ():
            holding[image].add(host.ordinal)
    return holding
