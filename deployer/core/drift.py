"""Drift: objects on record that are not what the applied commit says any more, and what is done about it.

    the change log since the last look -> objects that were written -> whose content is another one, or are gone
        -> their applications compare all they hold with Git -> leave, heal or tell

The first half is cheap and says only who has to compare: a hash for each object that was written, nothing for the
others. The second half reads Git's manifests and decides.

What a person or a policy decided is no drift: a rollback's pin, a canary, `scale`, `rollout pause` and the image of a
policy stand beside the `spec`, which stays Git's, and win over self-heal until Git says something else. Neither are
containers on hosts: those are put right by `node.py`, whatever is set here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from deployer.core.difference import difference, path_text
from deployer.core.manifests import Manifest
from deployer.core.sync import ObjectKey, StoredObject, SyncPlan, content_hash, key_of, manifest_hash, slot_of, title

SELF_HEAL = "self-heal"
"""What triggered an attempt that put back what was changed live."""
FIELDS_TOLD = 3
OBJECTS_TOLD = 20
_OWN_RULES = "Pod"
"""A bare pod that is to be made again is (`stranded`); one that is gone has done its work, and is not run twice."""
Verdict = Literal["leave", "heal", "tell"]


@dataclass(frozen=True, slots=True)
class Touched:
    """An object that was written since the last look. `application`: uid, "" for nobody's. `manifest_hash`: what its
    commit says, "" where none did; `content_hash`: what it is."""

    key: ObjectKey
    application: str
    manifest_hash: str
    content_hash: str
    terminating: bool = False


def orphaned(touched: Iterable[Touched], deleted: Iterable[ObjectKey]) -> frozenset[ObjectKey]:
    """Slots of which nobody has the object that may be in somebody's Git: it is gone, going, or nobody's."""
    there, without = set[ObjectKey](), {slot_of(key) for key in deleted}
    for one in touched:
        (there if one.application and not one.terminating else without).add(slot_of(one.key))
    return frozenset(without - there)


def suspects(touched: Iterable[Touched], holders: Iterable[str], drifted: Collection[str]) -> frozenset[str]:
    """Uids of the applications that have to compare. `holders`: in whose Git the orphaned objects are; `drifted`: those
    that differ from Git already, and may have been put right by hand."""
    found = set(holders)
    for one in touched:
        changed = one.manifest_hash not in ("", one.content_hash)
        if one.application and (changed or one.application in drifted):
            found.add(one.application)
    return frozenset(found)


def altered_fields(
    desired: Manifest, labels: Mapping[str, str], annotations: Mapping[str, str], spec: Mapping[str, Any]
) -> tuple[str, ...]:
    """Where an object on record is not as its manifest says: "data.colour", never a value."""
    if content_hash(desired.api_version, labels, annotations, spec) == manifest_hash(desired):
        return ()
    asked = _plain(desired.labels, desired.annotations, desired.spec)
    changes = difference(_plain(labels, annotations, spec), asked)
    return tuple(path_text(_shown(desired.kind, one.path)) for one in changes)


def narrowed(plan: SyncPlan, observed: Iterable[StoredObject], application: str) -> SyncPlan:
    """What of a plan is drift. A Namespace that another application names as well is not, nor is a pod that ended."""
    stored = {slot_of(one.key): one for one in observed}
    create = tuple(one for one in plan.create if one.kind != _OWN_RULES)
    update = tuple(one for one in plan.update if stored[slot_of(key_of(one))].application in ("", application))
    return replace(plan, create=create, update=update)


def verdict(drift: SyncPlan, *, self_heals: bool) -> Verdict:
    """`drift`: a narrowed plan without a refusal."""
    if drift.empty:
        return "leave"
    return "heal" if self_heals else "tell"


def told(drift: SyncPlan, observed: Iterable[StoredObject]) -> tuple[str, ...]:
    """A sentence for each object that differs, the first OBJECTS_TOLD of them: which it is, and in which fields."""
    stored = {slot_of(one.key): one for one in observed}
    found = [f"{title(key_of(one))} is missing" for one in drift.create]
    found += [f"{title(key_of(one))}{_why(stored[slot_of(key_of(one))])}" for one in drift.update]
    found += [f"{title(key)} is not in Git" for key in drift.prune]
    return tuple(found[:OBJECTS_TOLD])


def summary(sentences: tuple[str, ...], application: str) -> str:
    """Why the application is OutOfSync although it is at Git's commit, and what to do."""
    more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
    return (
        f"changed live: {sentences[0]}{more}; it stays so until Git changes it: "
        f"`manage.py application sync {application}` puts it back"
    )


def _why(found: StoredObject) -> str:
    if found.terminating:
        return " is being removed"
    if not found.application:
        return " belongs to no application any more"
    if not found.altered:
        return " is not what Git says"
    more = f" and {len(found.altered) - FIELDS_TOLD} more" if len(found.altered) > FIELDS_TOLD else ""
    verb = "differs" if len(found.altered) == 1 else "differ"
    return f": {', '.join(found.altered[:FIELDS_TOLD])}{more} {verb} from Git"


def _plain(labels: Mapping[str, str], annotations: Mapping[str, str], spec: Mapping[str, Any]) -> dict[str, Any]:
    body = {"metadata": {"labels": dict(labels), "annotations": dict(annotations)}, "spec": spec}
    plain: dict[str, Any] = json.loads(json.dumps(body, default=dict))
    return plain


def _shown(kind: str, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """As it is written: what a ConfigMap or a Secret holds does not stand under `spec`."""
    return path[1:] if kind in ("ConfigMap", "Secret") and path[0] == "spec" else path
