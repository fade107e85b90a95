"""Who runs where: the pods that hold a place, counted so that no question walks over all of them.

Pods with the same namespace, labels and owner are one *kind*; a selector is asked once per kind, not once per pod, and
a kind knows how many of it run on which host. The same goes for the anti-affinity of pods that are placed already (it
keeps newcomers away just as the newcomer's own does): equal terms are one entry. Ten thousand replicas of a hundred
Deployments are a hundred kinds, which is what makes spreading and anti-affinity cheap here.

Hosts are known by their ordinal (their rank by name); nothing here knows their labels or resources.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from deployer.core.scheduling.selectors import Labels, Namespaces, PodTerm, Selector
from deployer.core.scheduling.values import HostPort

EVERY_ADDRESS = frozenset(("", "0.0.0.0", "::"))  # noqa: S104 - compared with, never listened on

Counted = dict[int, int]
"""Host ordinal -> pods."""


class Kind:
    """The pods with one namespace, one set of labels and one owner: where they are, and where some are terminating."""

    __slots__ = ("labels", "leaving", "namespace", "where")

    def __init__(self, namespace: str, labels: Labels) -> None:
        self.namespace = namespace
        self.labels = labels
        self.where: Counted = {}
        self.leaving: Counted = {}

    @property
    def staying(self) -> Counted:
        """Without those that are terminating."""
        if not self.leaving:
            return self.where
        counts = ((ordinal, count - self.leaving.get(ordinal, 0)) for ordinal, count in self.where.items())
        return {ordinal: count for ordinal, count in counts if count}


class Population:
    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces = namespaces
        self._kinds: dict[tuple[str, str, frozenset[tuple[str, str]]], Kind] = {}
        self._by_label: dict[tuple[str, str], list[Kind]] = defaultdict(list)
        self._repelling: dict[PodTerm, Counted] = {}
        self._by_owner: dict[str, list[Kind]] = defaultdict(list)
        self._ports: dict[tuple[int, str], dict[int, set[str]]] = defaultdict(dict)

    def add(
        self, ordinal: int, namespace: str, labels: Labels, owner: str = "", terminating: bool = False,
        label_set: frozenset[tuple[str, str]] | None = None,
    ) -> None:  # fmt: skip
        """One more pod on a host. `label_set`: of its labels, where it is at hand."""
        key = (owner, namespace, frozenset(labels.items()) if label_set is None else label_set)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = Kind(namespace, labels)
            self._by_owner[owner].append(kind)
            for pair in labels.items():
                self._by_label[pair].append(kind)
        kind.where[ordinal] = kind.where.get(ordinal, 0) + 1
        if terminating:
            kind.leaving[ordinal] = kind.leaving.get(ordinal, 0) + 1

    def repel(self, ordinal: int, terms: Iterable[PodTerm]) -> None:
        """The pod just added keeps others away by these required anti-affinity terms."""
        for term in terms:
            where = self._repelling.setdefault(term, {})
            where[ordinal] = where.get(ordinal, 0) + 1

    def occupy(self, ordinal: int, ports: Iterable[HostPort]) -> None:
        for address, port, protocol in ports:
            self._ports[port, protocol].setdefault(ordinal, set()).add(address)

    def replicas(self, owner: str) -> Counted:
        """Where the owner's pods run, without those that are terminating. Empty for a pod without owner."""
        found: Counted = {}
        for kind in self._by_owner.get(owner, ()) if owner else ():
            for ordinal, count in kind.staying.items():
                found[ordinal] = found.get(ordinal, 0) + count
        return found

    def occupied(self, ports: Iterable[HostPort]) -> set[int]:
        """The hosts on which one of these ports is taken, on the same address or on all of them."""
        taken: set[int] = set()
        for address, port, protocol in ports:
            for ordinal, addresses in self._ports.get((port, protocol), {}).items():
                if address in addresses or address in EVERY_ADDRESS or addresses & EVERY_ADDRESS:
                    taken.add(ordinal)
        return taken

    def kinds(self, term: PodTerm) -> Iterator[Kind]:
        """The kinds that a pod affinity term speaks of."""
        for kind in self._candidates(term.selector):
            if self.speaks_of(term, kind.namespace, kind.labels):
                yield kind

    def kinds_in(self, namespace: str, selector: Selector) -> Iterator[Kind]:
        for kind in self._candidates(selector):
            if kind.namespace == namespace and selector.matches(kind.labels):
                yield kind

    def speaks_of(self, term: PodTerm, namespace: str, labels: Labels) -> bool:
        return term.selector.matches(labels) and term.covers(namespace, self.namespaces)

    def repelling(self, namespace: str, labels: Labels) -> Iterator[tuple[str, Mapping[int, int]]]:
        """(topology key, hosts) of every placed anti-affinity term that keeps such a pod away."""
        for term, where in self._repelling.items():
            if self.speaks_of(term, namespace, labels):
                yield term.topology_key, where

    def repelling_keys(self) -> set[str]:
        return {term.topology_key for term in self._repelling}

    def _candidates(self, selector: Selector) -> Iterable[Kind]:
        """A superset of the kinds that match: those with the rarest of the labels asked for."""
        if selector.nothing:
            return ()
        if not selector.pairs:
            return self._kinds.values()
        return min((self._by_label.get(pair, []) for pair in selector.pairs), key=len)
