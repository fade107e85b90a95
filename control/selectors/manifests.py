"""Objects as manifests: the shape in which `plan` compares what is on record with what a commit asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control.models import KubernetesObject, Pod, Secret
from deployer.core.manifests import Manifest

FLAT = ("ConfigMap", "Secret")
"""Kinds whose content stands beside `metadata`, not under `spec`."""


def wanted_body(one: Manifest) -> dict[str, Any]:
    """What a manifest asks for, without its name."""
    return _body(one.kind, one.labels, one.annotations, one.spec)


def stored_body(row: KubernetesObject) -> dict[str, Any]:
    """What is on record. A Secret's holds its values: it is to be compared, and shown masked only."""
    if isinstance(row, Secret):
        spec: Mapping[str, Any] = {
            "type": row.spec.get("type", "Opaque"),
            "data": row.sealed.load(),
            "immutable": bool(row.spec.get("immutable")),
        }
        return _body(row.kind, row.labels, row.annotations, spec)
    if isinstance(row, Pod) and row.replacement:
        kept = row.replacement
        return _body(row.kind, kept["labels"], kept["annotations"], kept["spec"])
    return _body(row.kind, row.labels, row.annotations, row.spec)


def _body(
    kind: str, labels: Mapping[str, str], annotations: Mapping[str, str], spec: Mapping[str, Any]
) -> dict[str, Any]:
    metadata = {"labels": dict(labels), "annotations": dict(annotations)}
    made: dict[str, Any] = {"metadata": {name: value for name, value in metadata.items() if value}}
    return {**made, **spec} if kind in FLAT else {**made, "spec": dict(spec)}
