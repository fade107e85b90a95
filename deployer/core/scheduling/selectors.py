"""Who is meant: label selectors, node selectors, tolerations, and the pods that an affinity term speaks of.

The rules are Kubernetes' (apimachinery `labels.Selector`, component-helpers `nodeaffinity` and `ToleratesTaint`):
- a missing label selector selects nothing, an empty one everything; `NotIn` and `DoesNotExist` hold without the label;
- node selector terms are ORed, what stands in one term is ANDed, an empty term selects nothing; `Gt` and `Lt` compare
  whole numbers, and hold for nothing else;
- a pod affinity term without `namespaces` and `namespaceSelector` means the namespace of the pod that has it; both
  together mean the union.
This module never counts pods and knows no node's load.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployer.core.objects.placement import (
    Affinity,
    LabelSelector,
    NodeSelectorTerm,
    PodAffinityTerm,
    SelectorRequirement,
    Toleration,
)
from deployer.core.scheduling.values import Taint

Labels = Mapping[str, str]
Namespaces = Mapping[str, Labels]

NAMESPACE_NAME = "kubernetes.io/metadata.name"
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class Selector:
    """A label selector in a form that can be compared and be a key. `pairs` and `rows` are sorted and ANDed."""

    pairs: tuple[tuple[str, str], ...] = ()
    rows: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    nothing: bool = False

    def matches(self, labels: Labels) -> bool:
        if self.nothing:
            return False
        for key, value in self.pairs:
            if labels.get(key) != value:
                return False
        return all(_row_holds(key, operator, values, labels) for key, operator, values in self.rows)


def label_selector(selector: LabelSelector | None, also: Labels | None = None) -> Selector:
    """`also`: label values that must be equal as well (a spread constraint's `matchLabelKeys`)."""
    if selector is None:
        return Selector(nothing=True)
    pairs = sorted({*selector.match_labels.items(), *(also or {}).items()})
    rows = sorted((row.key, row.operator, tuple(sorted(row.values))) for row in selector.match_expressions)
    return Selector(pairs=tuple(pairs), rows=tuple(rows))


@dataclass(frozen=True, slots=True)
class PodTerm:
    """The pods meant by a pod affinity term, and the label whose value makes two nodes one place for it."""

    topology_key: str
    selector: Selector
    names: frozenset[str]
    chooser: Selector | None = None

    def covers(self, namespace: str, namespaces: Namespaces) -> bool:
        if namespace in self.names:
            return True
        return self.chooser is not None and self.chooser.matches(namespace_labels(namespace, namespaces))


def pod_term(term: PodAffinityTerm, namespace: str) -> PodTerm:
    """`namespace`: that of the pod which carries the term."""
    own = not term.namespaces and term.namespace_selector is None
    return PodTerm(
        topology_key=term.topology_key,
        selector=label_selector(term.label_selector),
        names=frozenset((namespace,) if own else term.namespaces),
        chooser=None if term.namespace_selector is None else label_selector(term.namespace_selector),
    )


def namespace_labels(namespace: str, namespaces: Namespaces) -> Labels:
    """Kubernetes labels every namespace with its own name."""
    return {**namespaces.get(namespace, {}), NAMESPACE_NAME: namespace}


def node_matches(node_selector: Labels, affinity: Affinity, labels: Labels, name: str) -> bool:
    """nodeSelector and the required node affinity, of a node with these labels and this name."""
    if any(labels.get(key) != value for key, value in node_selector.items()):
        return False
    required = affinity.node_affinity.required
    return required is None or any(term_matches(term, labels, name) for term in required.node_selector_terms)


def term_matches(term: NodeSelectorTerm, labels: Labels, name: str) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False
    fields = {"metadata.name": name}
    return all(_holds(row, labels) for row in term.match_expressions) and all(
        _holds(row, fields) for row in term.match_fields
    )


def node_preference(affinity: Affinity, labels: Labels, name: str) -> int:
    """The sum of the weights of the preferred node terms that hold."""
    preferred = affinity.node_affinity.preferred
    return sum(wish.weight for wish in preferred if term_matches(wish.preference, labels, name))


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def tolerated_seconds(tolerations: Iterable[Toleration], taint: Taint) -> float | None:
    """How long a NoExecute taint is borne: None: not at all; `math.inf`: for ever; below 0 counts as 0.

    Kubernetes' rule (`GetMatchingTolerations`): of several tolerations that match a taint the first one counts.
    """
    found = next((one for one in tolerations if _tolerates(one, taint)), None)
    if found is None:
        return None
    return math.inf if found.toleration_seconds is None else max(0, found.toleration_seconds)


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    # Without a key only `Exists` is valid; an `Equal` that slipped through must not tolerate every empty taint.
    return bool(toleration.key) and toleration.value == taint.value


def _holds(row: SelectorRequirement, labels: Labels) -> bool:
    return _row_holds(row.key, row.operator, row.values, labels)


def _row_holds(key: str, operator: str, values: tuple[str, ...], labels: Labels) -> bool:
    value = labels.get(key)
    if operator == "In":
        return value is not None and value in values
    if operator == "NotIn":
        return value is None or value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    return value is not None and _compares(operator, value, values)


def _compares(operator: str, value: str, values: tuple[str, ...]) -> bool:
    if len(values) != 1 or not _WHOLE_NUMBER.fullmatch(value) or not _WHOLE_NUMBER.fullmatch(values[0]):
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
