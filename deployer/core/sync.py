"""What a sync would change: the objects of a commit against the objects on record.

Pure: values in, a plan out. It decides nothing about containers; it says which objects are made, changed, left alone
or pruned, and when a person must be asked first. All or nothing: a plan with a `refusal` is not applied at all.
It never reads a manifest's content, only its hash: two manifests with one hash are the same object. What was changed
live (`drift.py`) is put back by every sync, whoever asked for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deployer.core.manifests import Manifest

ObjectKey = tuple[str, str, str]
"""(kind, namespace, name); the namespace is "" for a Namespace."""

APPLY_ORDER = (
    "Namespace", "NetworkPolicy", "PodDisruptionBudget", "ConfigMap", "Secret", "Service", "AnalysisTemplate",
    "Deployment", "Rollout", "Pod", "Ingress",
)  # fmt: skip
"""A policy before the pods that it protects; an Ingress last, when what it leads to is there. Pruned in reverse."""
_ONE_SLOT = {"Rollout": "Deployment"}
"""Kinds that take each other's place: of one name there is one of them, and either becomes the other."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object on record. `application` is the name of the one that it came from, "" for none. `altered`: the fields
    that were changed live since it was written as its manifest says."""

    key: ObjectKey
    manifest_hash: str
    application: str
    terminating: bool = False
    immutable: bool = False
    altered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectChange:
    op: Literal["create", "update", "prune"]
    key: ObjectKey


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """Named buckets, each in apply order (prunes in reverse). `refusal` is one sentence, "" when all is well."""

    create: tuple[Manifest, ...] = ()
    update: tuple[Manifest, ...] = ()
    unchanged: tuple[Manifest, ...] = ()
    prune: tuple[ObjectKey, ...] = ()
    kept: tuple[ObjectKey, ...] = ()
    refusal: str = ""

    @property
    def empty(self) -> bool:
        return not (self.create or self.update or self.prune)

    @property
    def changes(self) -> tuple[ObjectChange, ...]:
        return (
            *(ObjectChange("create", key_of(one)) for one in self.create),
            *(ObjectChange("update", key_of(one)) for one in self.update),
            *(ObjectChange("prune", key) for key in self.prune),
        )


def decide(
    desired: Iterable[Manifest], observed: Iterable[StoredObject], *, application: str, prune: bool, confirmed: bool
) -> SyncPlan:
    """The plan for one application and commit. `confirmed`: a person agreed to prune everything."""
    wanted = sorted(desired, key=_apply_order)
    stored = {slot_of(one.key): one for one in observed}
    slots = {slot_of(key_of(one)) for one in wanted}
    surplus = sorted(
        (
            one.key
            for one in stored.values()
            if one.application == application and slot_of(one.key) not in slots and not one.terminating
        ),
        key=lambda key: (-APPLY_ORDER.index(key[0]), key),
    )
    create, update, unchanged = _sort_out(wanted, stored, application)
    refusal = (
        _taken(wanted, stored, application)
        or _immutable(update, stored)
        or _prune_guard(wanted, surplus, application, prune, confirmed)
    )
    return SyncPlan(
        create, update, unchanged, tuple(surplus) if prune else (), () if prune else tuple(surplus), refusal
    )


def key_of(manifest: Manifest) -> ObjectKey:
    return (manifest.kind, manifest.namespace, manifest.name)


def title(key: ObjectKey) -> str:
    """ "ConfigMap shop/settings", "Namespace shop"."""
    kind, namespace, name = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def slot_of(key: ObjectKey) -> ObjectKey:
    """The same for a Deployment and a Rollout of one name."""
    return (_ONE_SLOT.get(key[0], key[0]), *key[1:])


def manifest_hash(manifest: Manifest) -> str:
    """Identity of what Git says of an object: its labels, annotations and spec, not its place in a file."""
    return content_hash(manifest.api_version, manifest.labels, manifest.annotations, manifest.spec)


def content_hash(
    api_version: str, labels: Mapping[str, str], annotations: Mapping[str, str], spec: Mapping[str, Any]
) -> str:
    """The same of an object on record, a Secret's values in its `spec`: equal as long as nobody has changed it."""
    body: dict[str, Any] = {
        "apiVersion": api_version, "labels": dict(labels), "annotations": dict(annotations), "spec": spec,
    }  # fmt: skip
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":"), default=dict).encode()).hexdigest()


def _sort_out(
    wanted: list[Manifest], stored: dict[ObjectKey, StoredObject], application: str
) -> tuple[tuple[Manifest, ...], tuple[Manifest, ...], tuple[Manifest, ...]]:
    buckets: dict[str, list[Manifest]] = {"create": [], "update": [], "unchanged": []}
    for one in wanted:
        known = stored.get(slot_of(key_of(one)))
        if known is None:
            buckets["create"].append(one)
        elif known.terminating or known.altered or not _is_its(known, one, application):
            buckets["update"].append(one)
        else:
            buckets["unchanged"].append(one)
    return tuple(buckets["create"]), tuple(buckets["update"]), tuple(buckets["unchanged"])


def _is_its(known: StoredObject, one: Manifest, application: str) -> bool:
    return known.manifest_hash == manifest_hash(one) and known.application == application


def _taken(wanted: list[Manifest], stored: dict[ObjectKey, StoredObject], application: str) -> str:
    """An object belongs to one application. A Namespace may be named by many: the first keeps it."""
    for one in wanted:
        known = stored.get(slot_of(key_of(one)))
        if known and known.application not in ("", application) and not known.terminating and one.kind != "Namespace":
            return (
                f"{one.place}: {known.key[0]} {one.namespace}/{one.name} belongs to application "
                f"{known.application} already; remove it from one of the two"
            )
    return ""


def _immutable(update: tuple[Manifest, ...], stored: dict[ObjectKey, StoredObject]) -> str:
    """Kubernetes' rule: what was declared immutable changes only by being made anew under another name."""
    for one in update:
        known = stored[slot_of(key_of(one))]
        if known.immutable and not known.terminating and known.manifest_hash != manifest_hash(one):
            return (
                f"{one.place}: {one.kind} {one.namespace}/{one.name} is immutable and its manifest changed; "
                "give the new content a new name"
            )
    return ""


def _prune_guard(
    wanted: list[Manifest], surplus: list[ObjectKey], application: str, prune: bool, confirmed: bool
) -> str:
    """An application that would lose every object waits for a person: an emptied folder is seldom meant."""
    if wanted or not surplus or not prune or confirmed:
        return ""
    return (
        f"this commit holds no manifest for application {application}, so all {len(surplus)} of its objects would be "
        f"pruned; if that is meant, run `manage.py application sync {application} --prune-all`"
    )


def _apply_order(one: Manifest) -> tuple[int, str, str]:
    return (APPLY_ORDER.index(one.kind), one.namespace, one.name)
