"""What was written live since the last look, from the change log: nothing is read of what nobody wrote.

Bare pods are left out: they cannot change in place, and what becomes of one that is gone has rules of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from control.models import Application, Change, Counter, LogReader
from control.store import objects
from control.store.on_record import MODELS, content_of, with_content
from deployer.core.drift import Touched, summary
from deployer.core.source import Assignment
from deployer.core.sync import ObjectKey, content_hash, slot_of
from deployer.ports import Wake

READER = "drift"
PUT_RIGHT = "what was changed live is as Git says again"
KINDS = tuple(kind for kind in MODELS if kind != "Pod")


@dataclass(frozen=True, slots=True)
class News:
    """`since` and `until` are resource versions; `uids` None when the log does not reach back: look at everything."""

    since: int
    until: int
    uids: frozenset[str] | None
    deleted: frozenset[ObjectKey] = frozenset()


def news() -> News | None:
    """None when nothing was written since the last look: two rows are read."""
    until = Counter.objects.values_list("value", flat=True).first() or 0
    since = LogReader.objects.filter(pk=READER).values_list("resource_version", flat=True).first()
    if since is None:
        LogReader.objects.get_or_create(pk=READER, defaults={"resource_version": until})
        return None
    if since >= until:
        return None
    log = Change.objects.filter(resource_version__gt=since, resource_version__lte=until)
    if not log.filter(resource_version=since + 1).exists():
        return News(since, until, None)
    written = log.filter(kind__in=KINDS).values_list("type", "kind", "namespace", "name", "uid")
    uids, deleted = set[str](), set[ObjectKey]()
    for what, kind, namespace, name, uid in written:
        if what == Change.DELETED:
            deleted.add((kind, namespace, name))
        elif uid:  # a touch has none: the object itself was not written
            uids.add(uid)
    return News(since, until, frozenset(uids), frozenset(deleted))


def touched(found: News) -> list[Touched]:
    """The objects that were written and are there, each with a hash of what it holds."""
    return [
        Touched(row.key, row.application_id or "", row.manifest_hash, _hash(row), row.deleted_at is not None)
        for kind in KINDS
        if kind != "Rollout"  # a row of the Deployments
        for row in _rows(kind, found.uids)
    ]


def holders(keys: Collection[ObjectKey]) -> list[str]:
    """Uids of the applications whose commit holds one of these objects."""
    if not keys:
        return []
    rows = Application.objects.filter(deleted_at=None).exclude(holds="").order_by().values_list("uid", "holds")
    lines = [f"\n{line_of(key)}\n" for key in keys]
    return [uid for uid, holds in rows if any(line in holds for line in lines)]


def drifted(uids: Collection[str]) -> list[str]:
    """Those of the applications that are known to differ from Git."""
    rows = Application.objects.filter(pk__among=sorted(uids)).exclude(drift="").order_by()
    return list(rows.values_list("uid", flat=True)) if uids else []


def looked(found: News, suspects: Iterable[str], wake: Wake) -> None:
    """The applications compare, each in its own sync. Whoever looked at the same time has told the same."""
    with transaction.atomic():
        if uids := sorted(suspects):
            Application.objects.filter(pk__among=uids).update(suspected=found.until)
            wake("sync", uids)
        behind = LogReader.objects.filter(pk=READER, resource_version__lt=found.until)
        behind.update(resource_version=found.until)


def compared(assignment: Assignment) -> None:
    """What was written live until then has been seen; what was written meanwhile is compared next."""
    if assignment.suspected:
        Application.objects.filter(pk=assignment.uid, suspected=assignment.suspected).update(suspected=0)


def differs(assignment: Assignment, sentences: tuple[str, ...], now: float) -> None:
    """How the objects differ from the commit that was applied: OutOfSync; with no sentence, as it was before."""
    row = Application.objects.select_related("repository").get(pk=assignment.uid)
    if row.drift.splitlines() == list(sentences):
        return
    behind = not row.automatic and row.repository.head not in ("", row.commit)
    row.drift, row.sync_status = "\n".join(sentences), "OutOfSync" if sentences or behind else "Synced"
    row.message = summary(sentences, row.name) if sentences else PUT_RIGHT
    row.save(update_fields=["drift", "message", "sync_status"])
    objects.touch("Application", "", row.name)
    level, reason = ("Warning", "ChangedLive") if sentences else ("Normal", "Synced")
    objects.record_event("Application", "", row.name, level, reason, row.message, at=now)


def healed(assignment: Assignment, sentences: tuple[str, ...], now: float) -> None:
    """What is put back, object by object."""
    for one in sentences:
        objects.record_event("Application", "", assignment.name, "Warning", "SelfHealed", f"{one}: put back", at=now)


def uncompared(assignment: Assignment, refusal: str, now: float) -> None:
    """Its commit can no longer be read as it was, so nobody knows how its objects differ; the next sync says so too."""
    message = f"what was changed live could not be compared: {refusal}"
    objects.record_once("Application", "", assignment.name, "Warning", "NotCompared", message, at=now)


def holds_of(keys: Iterable[ObjectKey]) -> str:
    """As Application.holds has it, "" for nothing."""
    lines = sorted({line_of(key) for key in keys})
    return "".join(f"\n{line}" for line in lines) + "\n" if lines else ""


def line_of(key: ObjectKey) -> str:
    return "/".join(slot_of(key))


def _rows(kind: str, uids: Collection[str] | None) -> Any:
    rows = with_content(kind).order_by()
    if uids is None:
        return rows.iterator()
    return rows.filter(pk__among=sorted(uids)) if uids else ()


def _hash(row: Any) -> str:
    """ "" of what is not from Git, for nobody asks."""
    return content_hash(row.api_version, *content_of(row)) if row.manifest_hash else ""
