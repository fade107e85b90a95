"""Whose router has to look again when something changes. Nodes are woken in one order, so that writers never cross."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from control.models import NetworkPolicy, Node, Pod, Service
from control.models.residents import evicting
from deployer.ports import Wake

LOOP = "route"
EVICT = "evict"
"""The loop of taints that evict, by node (`taints.py`)."""
KINDS = frozenset({"Service", "Ingress", "NetworkPolicy", "Namespace"})
"""Objects that every router reads. Of Secrets only those of type TLS_SECRET."""
TLS_SECRET = "kubernetes.io/tls"  # noqa: S105 - a type, no password


def wake_all(wake: Wake) -> None:
    wake(LOOP, list(Node.objects.order_by().values_list("uid", flat=True)))


def wake_evictions(wake: Wake, nodes: Collection[str] | None = None) -> None:
    """Of all nodes, or of these, those that have taints which evict: who is there has changed."""
    if nodes is None or nodes:
        wake(EVICT, evicting(nodes))


def wake_for_pods(rows: Collection[Pod], wake: Wake) -> None:
    """All routers when a Service selects one of the pods; else those that probe a pod or tell it from others.

    One cheap query where there are no Services.
    """
    if not rows:
        return
    are_services = Service.objects.exists()
    found = selectors_of(rows) if are_services else {}
    if any(is_selected(row, found) for row in rows):
        wake_all(wake)
        return
    named = are_services and NetworkPolicy.objects.exists()  # a pod's address is what a policy knows it by
    for node in sorted({str(row.node_id) for row in rows if row.node_id and (named or row.placement.get("probed"))}):
        wake(LOOP, node)


def wake_for_new_networks(rows: Iterable[Pod], wake: Wake) -> None:
    """The routers of nodes on which these pods, just placed there, are the first of their network."""
    fresh = {(str(row.node_id), row.network) for row in rows if row.node_id and row.network}
    if not fresh:
        return
    there = Pod.objects.filter(node_id__in={node for node, _ in fresh}, network__in={name for _, name in fresh})
    others = there.exclude(pk__in=[row.pk for row in rows])
    fresh -= {(str(node), name) for node, name in others.values_list("node_id", "network").distinct()}
    for node in sorted({node for node, _ in fresh}):
        wake(LOOP, node)


def selectors_of(pods: Iterable[Pod]) -> dict[str, list[dict[str, str]]]:
    """Of the pods' namespaces: what the Services there select by."""
    rows = Service.objects.filter(deleted_at=None, namespace__in={row.namespace for row in pods})
    found: dict[str, list[dict[str, str]]] = {}
    for namespace, spec in rows.values_list("namespace", "spec"):
        if wanted := selector(spec):
            found.setdefault(namespace, []).append(wanted)
    return found


def selector(spec: Mapping[str, Any]) -> dict[str, str]:
    return {} if spec.get("type") == "ExternalName" else dict(spec.get("selector") or {})


def is_selected(row: Pod, found: Mapping[str, Collection[Mapping[str, str]]]) -> bool:
    return any(wanted.items() <= row.labels.items() for wanted in found.get(row.namespace, ()))
