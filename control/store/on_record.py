"""What is on record, for a sync that is to be decided: objects, what namespaces are allowed, what can be counted on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q

from control.models import (
    AnalysisTemplate,
    Application,
    ConfigMap,
    Deployment,
    Ingress,
    KubernetesObject,
    Namespace,
    NetworkPolicy,
    Pod,
    PodDisruptionBudget,
    Secret,
    Service,
)
from deployer.core.drift import altered_fields
from deployer.core.manifest_set import WORKLOADS, Known
from deployer.core.manifests import Manifest, NamespacePolicy
from deployer.core.sync import ObjectKey, StoredObject, key_of

_CONTENT = (
    "uid", "namespace", "name", "labels", "annotations", "spec", "application_id", "manifest_hash", "deleted_at",
)  # fmt: skip
MODELS: dict[str, type[KubernetesObject]] = {
    "Namespace": Namespace,
    "NetworkPolicy": NetworkPolicy,
    "PodDisruptionBudget": PodDisruptionBudget,
    "ConfigMap": ConfigMap,
    "Secret": Secret,
    "Service": Service,
    "AnalysisTemplate": AnalysisTemplate,
    "Deployment": Deployment,
    "Rollout": Deployment,
    "Pod": Pod,
    "Ingress": Ingress,
}


def stored(uid: str, manifests: Iterable[Manifest]) -> list[StoredObject]:
    """What is on record of this application, and whatever else stands where its manifests want to go."""
    application = Application.objects.get(pk=uid)
    desired = {key_of(one): one for one in manifests}
    wanted: dict[str, set[tuple[str, str]]] = {}
    for kind, namespace, name in desired:
        wanted.setdefault(kind, set()).add((namespace, name))
    found: list[StoredObject] = []
    immutable = _immutable()
    for kind, model in MODELS.items():
        asked = set().union(*(wanted.get(one, set()) for one in _in_its_place(kind)))
        rows: Any = model._default_manager.filter(Q(application=application) | Q(name__in=[n for _, n in asked]))
        if kind == "Pod":
            rows = rows.filter(replica_set=None, orphaned=False)
        if kind in WORKLOADS:
            rows = rows.filter(workload=kind)
        altered = _altered(application, kind, desired) if wanted.get(kind) else {}
        for ns, name, digest, owner, deleted, replaced in _columns(rows, kind):
            if owner == application.name or (ns, name) in asked:
                terminating = deleted is not None and not replaced
                is_fixed = (kind, ns, name) in immutable
                found.append(StoredObject(
                    (kind, ns, name), digest, owner or "", terminating, is_fixed, altered.get((kind, ns, name), ())
                ))  # fmt: skip
    return found


def content_of(row: KubernetesObject) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Labels, annotations and spec as their manifest has them: a Secret's with its values."""
    if isinstance(row, Secret):
        spec = row.spec
        kept = {"type": spec.get("type", "Opaque"), "immutable": bool(spec.get("immutable"))}
        return row.labels, row.annotations, {"data": row.sealed.load(), **kept}
    return row.labels, row.annotations, row.spec


def with_content(kind: str) -> Any:
    """Rows of a kind that hold what `content_of` reads, and whose they are."""
    more = {"Secret": ["sealed"], "Deployment": ["workload"], "Rollout": ["workload"]}.get(kind, [])
    return MODELS[kind]._default_manager.only(*_CONTENT, *more)


def _altered(
    application: Application, kind: str, desired: Mapping[ObjectKey, Manifest]
) -> dict[ObjectKey, tuple[str, ...]]:
    """Of its own objects, those whose content is not as their manifest says.

    A bare pod's content cannot change in place.
    """
    found: dict[ObjectKey, tuple[str, ...]] = {}
    if kind == "Pod":
        return found
    for row in with_content(kind).filter(application=application, deleted_at=None).exclude(manifest_hash=""):
        one = desired.get(row.key)
        if one is not None and (fields := altered_fields(one, *content_of(row))):
            found[row.key] = fields
    return found


def _in_its_place(kind: str) -> tuple[str, ...]:
    """The kinds whose objects would take the place of one of this kind and of the same name."""
    return WORKLOADS if kind in WORKLOADS else (kind,)


def known(uid: str, *, prunes: bool) -> Known:
    """What a commit of this application can count on beside itself: what it would not prune."""
    there = Q(deleted_at=None)
    if prunes:
        there &= ~Q(application_id=uid) | Q(application=None)
    found: dict[str, dict[str, Any]] = {}
    for namespace, name, spec in AnalysisTemplate.objects.filter(there).values_list("namespace", "name", "spec"):
        found.setdefault(namespace, {})[name] = spec
    return Known(found, _names(Service, there), _names(Ingress, there))


def _names(model: type[KubernetesObject], there: Q) -> frozenset[tuple[str, str]]:
    return frozenset(model._default_manager.filter(there).values_list("namespace", "name"))


def _immutable() -> set[ObjectKey]:
    found: set[ObjectKey] = set()
    for kind in ("ConfigMap", "Secret"):
        rows = MODELS[kind]._default_manager.filter(spec__immutable=True)
        found |= {(kind, namespace, name) for namespace, name in rows.values_list("namespace", "name")}
    return found


def _columns(rows: Any, kind: str) -> Iterable[tuple[str, str, str, str, float | None, Mapping[str, Any]]]:
    names = ["namespace", "name", "manifest_hash", "application__name", "deleted_at"]
    if kind != "Pod":
        return [(*row, {}) for row in rows.values_list(*names)]
    return [
        (ns, name, replaced["manifest_hash"] if replaced else digest, owner, deleted, replaced)
        for ns, name, digest, owner, deleted, replaced in rows.values_list(*names, "replacement")
    ]


def policies() -> dict[str, NamespacePolicy]:
    rows = Namespace.objects.values_list("name", "allowances")
    return {name: NamespacePolicy(allowances=frozenset(given)) for name, given in rows}
