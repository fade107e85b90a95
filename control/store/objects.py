"""Writing objects: every write takes a resource version and appends to the change log, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from control.models import Change, Counter, Event, KubernetesObject

# Every write comes by here: a statement that stands ready.
_LOG = """
INSERT INTO control_change (resource_version, type, kind, namespace, name, uid, at) VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
EVENT_FOLD_SECONDS = 3600.0
"""The same event within an hour is counted on one row (Kubernetes' event series)."""


def next_versions(count: int) -> range:
    """`count` resource versions, in the caller's transaction: writers queue here, so commits are in order."""
    if count == 0:
        return range(0)
    last = _counted(count)
    if last is None:
        Counter.objects.get_or_create(pk=1)
        last = _counted(count)
    assert last is not None
    return range(last - count + 1, last + 1)


def _counted(count: int) -> int | None:
    """The counter, moved on; None before the first write. A statement that stands ready: every writer comes by here."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE control_counter SET value = value + %s WHERE id = 1 RETURNING value", [count])
        found = cursor.fetchone()
    return int(found[0]) if found else None


def create(rows: Sequence[KubernetesObject]) -> None:
    if not rows:
        return
    with transaction.atomic():
        for row, version in zip(rows, next_versions(len(rows)), strict=True):
            row.resource_version = version
        for model, group in _by_model(rows).items():
            model._default_manager.bulk_create(group)
        _log(rows, Change.ADDED)


def update(rows: Sequence[KubernetesObject], fields: Iterable[str]) -> None:
    if not rows:
        return
    names = [*fields, "resource_version"]
    with transaction.atomic():
        for row, version in zip(rows, next_versions(len(rows)), strict=True):
            row.resource_version = version
        for row in rows:
            row.save(update_fields=names)
        _log(rows, Change.MODIFIED)


def update_alike(found: Iterable[KubernetesObject], **values: Any) -> None:
    """The same values for all of them: two statements, however many they are."""
    rows = list(found)
    with transaction.atomic():
        for row, version in zip(rows, next_versions(len(rows)), strict=True):
            row.resource_version = version
        for model, group in _by_model(rows).items():
            model._default_manager.filter(pk__in=[row.pk for row in group]).update(**values)
            model._default_manager.bulk_update(group, ["resource_version"], batch_size=500)
        _log(rows, Change.MODIFIED)


def delete(rows: Sequence[KubernetesObject]) -> None:
    if not rows:
        return
    with transaction.atomic():
        for row, version in zip(rows, next_versions(len(rows)), strict=True):
            row.resource_version = version
        _log(rows, Change.DELETED)
        for model, group in _by_model(rows).items():
            model._default_manager.filter(pk__in=[row.pk for row in group]).delete()


def touch(kind: str, namespace: str, name: str) -> None:
    """Log a write of something that is no Kubernetes object, so that the pages that show it look again."""
    with transaction.atomic(savepoint=False):
        (version,) = next_versions(1)
        with connection.cursor() as cursor:
            cursor.execute(_LOG, [version, Change.MODIFIED, kind, namespace, name, "", time.time()])


def record_event(
    kind: str,
    namespace: str,
    name: str,
    level: str,
    reason: str,
    message: str,
    *,
    node: str = "",
    at: float | None = None,
) -> None:
    now = time.time() if at is None else at
    same = Event.objects.filter(
        kind=kind, namespace=namespace, name=name, reason=reason, message=message, last_at__gt=now - EVENT_FOLD_SECONDS
    )
    if not same.update(count=F("count") + 1, last_at=now):
        Event.objects.create(
            type=level, reason=reason, message=message, kind=kind, namespace=namespace, name=name, node=node,
            first_at=now, last_at=now,
        )  # fmt: skip
    touch("Event", namespace, name)


def record_once(kind: str, namespace: str, name: str, level: str, reason: str, message: str, **options: Any) -> None:
    """For what many say at the same time, such as all nodes' routers: within an hour it is told, and not counted."""
    since = (options.get("at") or time.time()) - EVENT_FOLD_SECONDS
    same = Event.objects.filter(
        kind=kind, namespace=namespace, name=name, reason=reason, message=message, last_at__gt=since
    )
    if not same.exists():
        record_event(kind, namespace, name, level, reason, message, **options)


def _log(rows: Sequence[KubernetesObject], what: str) -> None:
    now = time.time()
    with connection.cursor() as cursor:
        cursor.executemany(
            _LOG, [(row.resource_version, what, row.kind, row.namespace, row.name, row.uid, now) for row in rows]
        )


def _by_model(rows: Sequence[KubernetesObject]) -> dict[type[Any], list[KubernetesObject]]:
    grouped: dict[type[Any], list[KubernetesObject]] = {}
    for row in rows:
        grouped.setdefault(type(row), []).append(row)
    return grouped
