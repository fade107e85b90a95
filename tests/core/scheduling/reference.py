"""A scheduler's rules, written a second time: every question walks over all pods and all nodes.

Slow and plain on purpose, and sharing no code with `deployer.core.scheduling` but the values. `fits` is the one
question; the properties compare what the real scheduler did with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployer.core.objects.placement import LabelSelector, PodAffinityTerm, SelectorRequirement, Toleration
from deployer.core.scheduling.values import Node, PendingPod, PlacedPod, Taint

Labels = Mapping[str, str]
Namespaces = Mapping[str, Labels]


def as_placed(pod: PendingPod, node: str) -> PlacedPod:
    return PlacedPod(
        uid=pod.uid, namespace=pod.namespace, name=pod.name, node=node, labels=pod.labels, owner=pod.owner,
        requests=pod.requests, host_ports=pod.host_ports, anti_affinity=pod.affinity.pod_anti_affinity.required,
    )  # fmt: skip


def fits(
    pod: PendingPod, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod], namespaces: Namespaces
) -> bool:
    known = {other.name for other in nodes}
    placed = [other for other in placed if other.node in known]
    here = [other for other in placed if other.node == node.name]
    return (
        node.ready
        and (not node.cordoned or tolerated(pod, Taint("node.kubernetes.io/unschedulable", effect="NoSchedule")))
        and pod.node_name in ("", node.name)
        and node_matches(pod, node)
        and all(taint.effect == "PreferNoSchedule" or tolerated(pod, taint) for taint in node.taints)
        and has_room(pod, node, here)
        and not ports_conflict(pod, here)
        and not kept_apart(pod, node, nodes, placed, namespaces)
        and finds_company(pod, node, nodes, placed, namespaces)
        and keeps_spread(pod, node, nodes, placed)
    )


def has_room(pod: PendingPod, node: Node, here: Sequence[PlacedPod]) -> bool:
    cpu = pod.requests.cpu_millicores + sum(other.requests.cpu_millicores for other in here)
    memory = pod.requests.memory_bytes + sum(other.requests.memory_bytes for other in here)
    cpu_fits = not pod.requests.cpu_millicores or cpu <= node.allocatable.cpu_millicores
    memory_fits = not pod.requests.memory_bytes or memory <= node.allocatable.memory_bytes
    return cpu_fits and memory_fits and len(here) < node.max_pods


def ports_conflict(pod: PendingPod, here: Sequence[PlacedPod]) -> bool:
    everywhere = ("", "0.0.0.0", "::")
    return any(
        port == other_port and protocol == other_protocol
        and (address == other_address or address in everywhere or other_address in everywhere)
        for address, port, protocol in pod.host_ports
        for other in here
        for other_address, other_port, other_protocol in other.host_ports
    )  # fmt: skip


def tolerated(pod: PendingPod, taint: Taint) -> bool:
    def one(toleration: Toleration) -> bool:
        effect = toleration.effect in ("", taint.effect)
        if toleration.operator == "Exists":
            return effect and toleration.key in ("", taint.key)
        return effect and toleration.key == taint.key and toleration.value == taint.value

    return any(one(toleration) for toleration in pod.tolerations)


def node_matches(pod: PendingPod, node: Node) -> bool:
    if not pod.node_selector.items() <= node.labels.items():
        return False
    required = pod.affinity.node_affinity.required
    if required is None:
        return True
    return any(
        (term.match_expressions or term.match_fields)
        and all(holds(row, node.labels) for row in term.match_expressions)
        and all(holds(row, {"metadata.name": node.name}) for row in term.match_fields)
        for term in required.node_selector_terms
    )


def holds(row: SelectorRequirement, labels: Labels) -> bool:
    has = row.key in labels
    match row.operator:
        case "In":
            return has and labels[row.key] in row.values
        case "NotIn":
            return not has or labels[row.key] not in row.values
        case "Exists":
            return has
        case "DoesNotExist":
            return not has
        case "Gt":
            return has and labels[row.key].isdecimal() and int(labels[row.key]) > int(row.values[0])
        case "Lt":
            return has and labels[row.key].isdecimal() and int(labels[row.key]) < int(row.values[0])


def selects(selector: LabelSelector | None, labels: Labels) -> bool:
    if selector is None:
        return False
    return selector.match_labels.items() <= labels.items() and all(
        holds(row, labels) for row in selector.match_expressions
    )


def means(term: PodAffinityTerm, carrier: str, namespace: str, labels: Labels, namespaces: Namespaces) -> bool:
    """Whether a term of a pod in namespace `carrier` speaks of a pod in `namespace` with these labels."""
    own = not term.namespaces and term.namespace_selector is None and namespace == carrier
    listed = namespace in term.namespaces
    of_it = {**namespaces.get(namespace, {}), "kubernetes.io/metadata.name": namespace}
    chosen = term.namespace_selector is not None and selects(term.namespace_selector, of_it)
    return (own or listed or chosen) and selects(term.label_selector, labels)


def kept_apart(
    pod: PendingPod, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod], namespaces: Namespaces
) -> bool:
    for other in placed:
        place = _node(nodes, other.node)
        for term in pod.affinity.pod_anti_affinity.required:
            if means(term, pod.namespace, other.namespace, other.labels, namespaces) and _same(term, node, place):
                return True
        for term in other.anti_affinity:
            if means(term, other.namespace, pod.namespace, pod.labels, namespaces) and _same(term, node, place):
                return True
    return False


def finds_company(
    pod: PendingPod, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod], namespaces: Namespaces
) -> bool:
    terms = pod.affinity.pod_affinity.required

    def meant(namespace: str, labels: Labels) -> bool:
        return all(means(term, pod.namespace, namespace, labels, namespaces) for term in terms)

    company = [_node(nodes, other.node) for other in placed if meant(other.namespace, other.labels)]
    if all(any(_same(term, node, place) for place in company) for term in terms):
        return True
    anywhere = any(term.topology_key in place.labels for term in terms for place in company)
    labelled = all(term.topology_key in node.labels for term in terms)
    return not anywhere and labelled and meant(pod.namespace, pod.labels)


def keeps_spread(pod: PendingPod, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod]) -> bool:
    hard = [term for term in pod.spread if term.when_unsatisfiable == "DoNotSchedule"]
    keys = [term.topology_key for term in hard]
    if not all(key in node.labels for key in keys):
        return False
    counting = [other for other in nodes if node_matches(pod, other) and all(key in other.labels for key in keys)]
    for term in hard:
        equal = {key: pod.labels[key] for key in term.match_label_keys if key in pod.labels}
        domains = {other.labels[term.topology_key]: 0 for other in counting}
        for other in placed:
            place = _node(nodes, other.node)
            same = equal.items() <= other.labels.items() and selects(term.label_selector, other.labels)
            if same and place in counting and other.namespace == pod.namespace and not other.terminating:
                domains[place.labels[term.topology_key]] += 1
        least = min(domains.values(), default=0)
        if len(domains) < (term.min_domains or 1):
            least = 0
        joins = equal.items() <= pod.labels.items() and selects(term.label_selector, pod.labels)
        if domains.get(node.labels[term.topology_key], 0) + joins - least > term.max_skew:
            return False
    return True


def _node(nodes: Sequence[Node], name: str) -> Node:
    return next(node for node in nodes if node.name == name)


def _same(term: PodAffinityTerm, one: Node, other: Node) -> bool:
    key = term.topology_key
    return key in one.labels and one.labels[key] == other.labels.get(key)
