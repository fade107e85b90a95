"""`metadata` as Kubernetes clients expect it, of any row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from control.models import Application, KubernetesObject
from deployer.core.pod_status import iso_time

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""kubectl's copy of a whole manifest, a Secret's values included: never shown."""
REVISION = "deployment.kubernetes.io/revision"


def application_names(rows: Iterable[Any]) -> dict[str, str]:
    """uid -> name of the applications that the rows came from, in one query."""
    uids = {row.application_id for row in rows if row.application_id}
    return dict(Application.objects.filter(pk__in=uids).values_list("uid", "name")) if uids else {}


def metadata(
    row: KubernetesObject,
    applications: Mapping[str, str],
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    owner: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Of a stored object. `labels` and `annotations` come on top of its own; `owner` is an owner reference."""
    notes = {**row.annotations, **origin(row, applications), **(annotations or {})}
    notes.pop(LAST_APPLIED, None)
    made: dict[str, Any] = {
        "name": row.name,
        "namespace": row.namespace,
        "uid": row.uid,
        "resourceVersion": str(row.resource_version),
        "generation": row.generation,
        "creationTimestamp": iso_time(row.created_at),
        "deletionTimestamp": iso_time(row.deleted_at) if row.deleted_at else None,
        "labels": {**row.labels, **(labels or {})},
        "annotations": notes,
        "ownerReferences": [dict(owner)] if owner else [],
    }
    return {name: value for name, value in made.items() if value or name == "resourceVersion"}


def plain_metadata(row: Any, *, name: str = "", **more: Any) -> dict[str, Any]:
    """Of a row that is no stored Kubernetes object: a node, a repository, an application."""
    made = {
        "name": name or row.name,
        "uid": getattr(row, "uid", ""),
        "creationTimestamp": iso_time(row.created_at),
        **more,
    }
    return {name: value for name, value in made.items() if value}


def origin(row: KubernetesObject, applications: Mapping[str, str]) -> dict[str, str]:
    """Where in Git an object comes from, as annotations."""
    made = {
        "pierhead.io/application": applications.get(row.application_id or "", ""),
        "pierhead.io/commit": row.commit,
        "pierhead.io/source-file": row.source_file,
    }
    return {name: value for name, value in made.items() if value}


def owner_reference(row: KubernetesObject) -> dict[str, Any]:
    return {
        "apiVersion": row.api_version,
        "kind": row.kind,
        "name": row.name,
        "uid": row.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
