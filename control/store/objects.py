"""Writing objects: every write takes a resource version and appends to the change log, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connection, models, transaction

from control.models import Change, Counter, Event, KubernetesObject

# Every write comes by here: a statement that stands ready.
_LOG = """
INSERT INTO control_change (resource_version, type, kind, namespace, name, uid, at) VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_FOLD = """
UPDATE control_event SET count = count + 1, last_at = %s
WHERE kind = %s AND namespace = %s AND name = %s AND reason = %s AND message = %s AND last_at > %s
"""
_TELL = """
INSERT INTO control_event (type, kind, namespace, name, reason, message, node, count, first_at, last_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, 1, %s, %s)
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
    with transaction.atomic(savepoint=False):
        for row, version in zip(rows, next_versions(len(rows)), strict=True):
            row.resource_version = version
        for model, group in _by_model(rows).items():
            model._default_manager.bulk_create(group)
        _log(rows, Change.ADDED)


def update(rows: Sequence[KubernetesObject], fields: Iterable[str]) -> None:
    if not rows:
        return
    names = [*fields, "resource_version"]
    with transaction.atomic(savepoint=False):
        for row, version in zip(rows, next_versions(len(rows)), strict=True):
            row.resource_version = version
        write(rows, names)
        _log(rows, Change.MODIFIED)


def write(rows: Sequence[models.Model], names: Iterable[str]) -> None:
    """These fields of the rows, as `save(update_fields=...)` of each would, in one statement for each model. Nothing
    is told to anybody. Raises DatabaseError when one of the rows is gone."""
    for model, group in _by_model(rows).items():
        meta = model._meta
        fields = [meta.get_field(name) for name in dict.fromkeys(names)]
        quote = connection.ops.quote_name
        places = ", ".join(f"{quote(one.column)} = %s" for one in fields)
        # Names of tables and columns are the models'; every value is a parameter.
        statement = f"UPDATE {quote(meta.db_table)} SET {places} WHERE {quote(meta.pk.column)} = %s"  # noqa: S608
        with connection.cursor() as cursor:
            cursor.executemany(statement, [[*(_stored(one, row) for one in fields), row.pk] for row in group])
            if cursor.rowcount != len(group):
                raise DatabaseError(f"{len(group) - cursor.rowcount} of {len(group)} rows of {model.__name__} are gone")


def _stored(field: Any, row: models.Model) -> Any:
    return field.get_db_prep_save(field.pre_save(row, False), connection)


def update_alike(found: Iterable[KubernetesObject], **values: Any) -> None:
    """The same values for all of them, in a few statements, however many they are."""
    rows = list(found)
    with transaction.atomic(savepoint=False):
        for row, version in zip(rows, next_versions(len(rows)), strict=True):
            row.resource_version = version
        for model, group in _by_model(rows).items():
            model._default_manager.filter(pk__among=[row.pk for row in group]).update(**values)
            write(group, ["resource_version"])
        _log(rows, Change.MODIFIED)


def delete(rows: Sequence[KubernetesObject]) -> None:
    if not rows:
        return
    with transaction.atomic(savepoint=False):
        for row, version in zip(rows, next_versions(len(rows)), strict=True):
            row.resource_version = version
        _log(rows, Change.DELETED)
        for model, group in _by_model(rows).items():
            model._default_manager.filter(pk__among=[row.pk for row in group]).delete()


def touch(kind: str, namespace: str, name: str) -> None:
    """Log a write of something that is no Kubernetes object, so that the pages that show it look again."""
    with transaction.atomic(savepoint=False):
        _log_writes([(kind, namespace, name, "")], Change.MODIFIED)


@dataclass(frozen=True, slots=True)
class Told:
    """An event to be recorded: `level` is Normal or Warning, `at` in seconds since the epoch."""

    kind: str
    namespace: str
    name: str
    level: str
    reason: str
    message: str
    node: str
    at: float


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
    record_events([Told(kind, namespace, name, level, reason, message, node, time.time() if at is None else at)])


def record_events(found: Sequence[Told]) -> None:
    """Each is counted on the row of the same event within the last hour, or gets one."""
    if not found:
        return
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        for one in found:
            same = (one.kind, one.namespace, one.name, one.reason, one.message)
            cursor.execute(_FOLD, (one.at, *same, one.at - EVENT_FOLD_SECONDS))
            if not cursor.rowcount:
                cursor.execute(_TELL, (one.level, *same, one.node, one.at, one.at))
        _log_writes([("Event", one.namespace, one.name, "") for one in found], Change.MODIFIED)


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


def _log_writes(named: Sequence[tuple[str, str, str, str]], what: str) -> None:
    """Kind, namespace, name and uid of what is no Kubernetes object."""
    now, versions = time.time(), next_versions(len(named))
    with connection.cursor() as cursor:
        cursor.executemany(_LOG, [(at, what, *one, now) for at, one in zip(versions, named, strict=True)])


def _by_model(rows: Sequence[Any]) -> dict[type[Any], list[Any]]:
    grouped: dict[type[Any], list[Any]] = {}
    for row in rows:
        grouped.setdefault(type(row), []).append(row)
    return grouped
