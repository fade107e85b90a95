"""Where a pod may run: selectors, affinity, tolerations, topology spread (Kubernetes: core/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from deployer.core.manifest_checks import names
from deployer.core.manifest_checks.finding import Finding, Path
from deployer.core.objects.placement import (
    LabelSelector,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    SelectorRequirement,
    Toleration,
    TopologySpreadConstraint,
)
from deployer.core.objects.pod import PodSpec

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def placement(spec: PodSpec, path: Path) -> Iterator[Finding]:
    yield from names.check_labels(spec.node_selector, (*path, "nodeSelector"))
    yield from _node_affinity(spec, (*path, "affinity", "nodeAffinity"))
    yield from _pod_affinity(spec.affinity.pod_affinity, (*path, "affinity", "podAffinity"))
    yield from _pod_affinity(spec.affinity.pod_anti_affinity, (*path, "affinity", "podAntiAffinity"))
    for index, toleration in enumerate(spec.tolerations):
        yield from _toleration(toleration, (*path, "tolerations", index))
    yield from _spread(spec.topology_spread_constraints, (*path, "topologySpreadConstraints"))


def label_selector(selector: LabelSelector, path: Path) -> Iterator[Finding]:
    yield from names.check_labels(selector.match_labels, (*path, "matchLabels"))
    for index, row in enumerate(selector.match_expressions):
        place = (*path, "matchExpressions", index)
        if row.operator in ("Gt", "Lt"):
            remedy = "use In, NotIn, Exists or DoesNotExist"
            yield Finding((*place, "operator"), f"{row.operator} compares nodes only", remedy)
        else:
            yield from _requirement(row, place)


def _node_affinity(spec: PodSpec, path: Path) -> Iterator[Finding]:
    affinity = spec.affinity.node_affinity
    for index, term in enumerate(affinity.required.node_selector_terms if affinity.required else ()):
        yield from _node_term(term, (*path, _REQUIRED, "nodeSelectorTerms", index))
    for index, wish in enumerate(affinity.preferred):
        yield from _node_term(wish.preference, (*path, _PREFERRED, index, "preference"))


def _node_term(term: NodeSelectorTerm, path: Path) -> Iterator[Finding]:
    for index, row in enumerate(term.match_expressions):
        yield from _requirement(row, (*path, "matchExpressions", index))
    for index, row in enumerate(term.match_fields):
        place = (*path, "matchFields", index)
        if row.key != "metadata.name" or row.operator not in ("In", "NotIn") or len(row.values) != 1:
            remedy = "write key: metadata.name, operator: In or NotIn, and one value"
            yield Finding(place, "matches fields that nodes do not have", remedy)


def _requirement(row: SelectorRequirement, path: Path) -> Iterator[Finding]:
    yield from names.label_key(row.key, (*path, "key"))
    if row.operator in ("In", "NotIn") and not row.values:
        yield Finding((*path, "values"), f"must not be empty with {row.operator}", "list the values")
    if row.operator in ("Exists", "DoesNotExist") and row.values:
        yield Finding((*path, "values"), f"must be empty with {row.operator}", "remove them, or use In")
    if row.operator in ("Gt", "Lt"):
        if len(row.values) != 1 or not _WHOLE.fullmatch(row.values[0]):
            yield Finding((*path, "values"), f"must be one whole number with {row.operator}", 'write ["4"]')
        return
    for index, value in enumerate(row.values):
        yield from names.label_value(value, (*path, "values", index))


def _pod_affinity(affinity: PodAffinity, path: Path) -> Iterator[Finding]:
    for index, term in enumerate(affinity.required):
        yield from _pod_term(term, (*path, _REQUIRED, index))
    for index, wish in enumerate(affinity.preferred):
        yield from _pod_term(wish.pod_affinity_term, (*path, _PREFERRED, index, "podAffinityTerm"))


def _pod_term(term: PodAffinityTerm, path: Path) -> Iterator[Finding]:
    yield from names.label_key(term.topology_key, (*path, "topologyKey"))
    if term.label_selector is not None:
        yield from label_selector(term.label_selector, (*path, "labelSelector"))
    if term.namespace_selector is not None:
        yield from label_selector(term.namespace_selector, (*path, "namespaceSelector"))
    for index, namespace in enumerate(term.namespaces):
        yield from names.dns_label(namespace, (*path, "namespaces", index))


def _toleration(toleration: Toleration, path: Path) -> Iterator[Finding]:
    if toleration.key:
        yield from names.label_key(toleration.key, (*path, "key"))
    elif toleration.operator != "Exists":
        yield Finding((*path, "operator"), "must be Exists when there is no key", "write operator: Exists, or a key")
    if toleration.operator == "Exists" and toleration.value:
        yield Finding((*path, "value"), "must be empty with operator Exists", "remove it, or use Equal")
    if toleration.operator == "Equal":
        yield from names.label_value(toleration.value, (*path, "value"))
    if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
        yield Finding((*path, "effect"), "must be NoExecute with tolerationSeconds", "write effect: NoExecute")


def _spread(constraints: Iterable[TopologySpreadConstraint], path: Path) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for index, one in enumerate(constraints):
        place = (*path, index)
        yield from names.label_key(one.topology_key, (*place, "topologyKey"))
        if one.label_selector is not None:
            yield from label_selector(one.label_selector, (*place, "labelSelector"))
        if one.min_domains is not None and one.when_unsatisfiable != "DoNotSchedule":
            yield Finding((*place, "minDomains"), "is for whenUnsatisfiable: DoNotSchedule only", "remove one of them")
        if one.match_label_keys and one.label_selector is None:
            yield Finding((*place, "matchLabelKeys"), "needs a labelSelector", "add one")
        if (one.topology_key, one.when_unsatisfiable) in seen:
            message = f"{one.topology_key} with {one.when_unsatisfiable} stands here twice"
            yield Finding((*place, "topologyKey"), message, "join the two")
        seen.add((one.topology_key, one.when_unsatisfiable))
