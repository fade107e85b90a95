"""Finding rows: by kind, namespace, name and label selector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from control.selectors.kinds import Kind, NotFound
from control.selectors.kubernetes_objects import event_name
from control.selectors.kubernetes_records import sync_name
from control.selectors.labels import Test

DEFAULT_NAMESPACE = "default"
_RELATED = {
    "Pod": ("node",), "Node": ("router",), "Application": ("repository",), "Sync": ("application",),
    "AnalysisRun": ("deployment",),
}  # fmt: skip


def find(
    kind: Kind, namespace: str | None = None, names: Sequence[str] = (), selector: Test | None = None
) -> list[Any]:
    """Rows in kubectl's order: by namespace and name; events and attempts the oldest first.

    `namespace` None means all. A name that is not there raises NotFound, which says where it is.
    """
    rows = kind.model._default_manager.select_related(*_RELATED.get(kind.name, ())).filter(**dict(kind.where))
    if kind.namespaced and namespace is not None:
        rows = rows.filter(**{f"{kind.namespace}__in": _namespaces(kind, namespace)})
    if kind.name == "Application":
        rows = rows.filter(deleted_at=None)
    found = list(rows.order_by(*_order(kind)))
    if names:
        found = _named(kind, found, names, namespace)
    return [row for row in found if selector(labels_of(kind, row))] if selector else found


def get(kind: Kind, name: str, namespace: str | None = None) -> Any:
    """One row. Raises NotFound."""
    return find(kind, namespace, [name])[0]


def row_name(kind: Kind, row: Any) -> str:
    """The name under which a row is read: events and attempts have one made from their number."""
    match kind.name:
        case "Event":
            return event_name(row)
        case "Sync":
            return sync_name(row)
    return str(row.name)


def labels_of(kind: Kind, row: Any) -> dict[str, str]:
    """The labels that `-l` sees: those that every object of a kind has are among them."""
    own: dict[str, str] = getattr(row, "labels", None) or {}
    match kind.name:
        case "Node":
            return {"kubernetes.io/hostname": row.name, **own}
        case "Namespace":
            return {"kubernetes.io/metadata.name": row.name, **own}
        case "ReplicaSet":
            return {"pod-template-hash": row.template_hash, **own}
    return own


def _named(kind: Kind, rows: list[Any], names: Sequence[str], namespace: str | None) -> list[Any]:
    by_name = {row_name(kind, row): row for row in rows}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise NotFound(_missing(kind, missing[0], namespace))
    return [by_name[name] for name in dict.fromkeys(names)]


def _missing(kind: Kind, name: str, namespace: str | None) -> str:
    if not kind.namespaced:
        known = sorted(row_name(kind, row) for row in find(kind))
        return f"{kind.singular} {name} does not exist; there are: {', '.join(known[-20:]) or 'none'}"
    elsewhere = []
    if kind.name != "Event":
        rows = kind.model._default_manager.filter(name=name, **dict(kind.where))
        elsewhere = list(rows.values_list(kind.namespace, flat=True))
    hint = f"; it exists in {', '.join(sorted(elsewhere))} (-n)" if elsewhere else ""
    return f"{kind.singular} {name} does not exist in namespace {namespace}{hint}"


def _namespaces(kind: Kind, namespace: str) -> list[str]:
    """Events of cluster-wide objects are read in `default`, as in Kubernetes."""
    return [namespace, ""] if kind.name == "Event" and namespace == DEFAULT_NAMESPACE else [namespace]


def _order(kind: Kind) -> tuple[str, ...]:
    match kind.name:
        case "Event":
            return ("last_at", "id")
        case "Sync":
            return ("id",)
    return (kind.namespace, "name") if kind.namespaced else ("name",)
