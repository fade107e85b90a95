"""Objects by a part of their name, for the palette: applications, workloads, nodes, services, pods, in that order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from control.models import Application, Deployment, Node, Pod, Service
from control.selectors.spans import within

EACH = 8


def found(words: str, visible: Collection[str] | None) -> Iterator[tuple[str, str, str]]:
    """(kind, namespace, name). Seven queries at most. `visible`: the namespaces that the reader may see, None for all:
    nodes are in none, and for those alone who see all."""
    namespace, slash, name = words.strip().lower().rpartition("/")
    for model, key in ((Application, "namespace"), (Deployment, "namespace"), (Node, ""), (Service, "namespace"),
                       (Pod, "namespace")):  # fmt: skip
        if not key and visible is not None:
            continue
        rows: Any = model._default_manager.filter(name__contains=name).order_by("name")
        if visible is not None:
            rows = rows.filter(**{f"{key}__in": visible})
        if model is Application and visible is not None:
            rows = rows.filter(name__in=within(visible))
        if slash and key and model is not Application:
            rows = rows.filter(namespace=namespace)
        for row in rows.only("name", *([key] if key else []))[:EACH]:
            yield model.kind, row.namespace if key and model is not Application else "", row.name
