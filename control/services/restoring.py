"""Restoring a backup: into an empty installation, or in place of what is there.

    check all of it -> the keys -> the schema of the backup -> its rows, in one transaction -> today's schema

In this order it may be killed anywhere and run again. Afterwards nothing is believed of the hosts: every node is read
before it is given pods, so what was started since the backup is taken in, and what runs is not restarted. Nor of Git
(`control/store/doubt.py`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model

from control import data, prepared
from control.services.backups import Archive, Content, applied, models_of, unknown_to
from control.services.refusal import Refused
from control.store import doubt
from control.store.work import WorkRows

BATCH = 500


def restore(source: Path, *, replace: bool = False) -> Content:
    """Refused, with nothing changed, when it is in use, holds something already, or the backup cannot be used."""
    archive = Archive(source)
    loader = MigrationLoader(connection)
    if unknown := unknown_to(loader, archive.content.migrations):
        raise Refused(f"{source} is of a newer Pierhead ({unknown} is not known here): restore it with that version")
    claim = _claim()
    try:
        _refuse_what_is_there(loader, replace=replace)
        _put_keys(archive.keys)
        call_command("migrate", "control", archive.content.migrations[-1], verbosity=0, interactive=False)
        for app in sorted(loader.migrated_apps - {"control"}):
            call_command("migrate", app, verbosity=0, interactive=False)
        with transaction.atomic():
            _load(archive)
        call_command("migrate", verbosity=0, interactive=False)
        doubt.doubt(WorkRows("restore", lambda *_: None).wake)
    finally:
        claim.release()
    return archive.content


def _claim() -> data.Claim:
    try:
        return data.Claim(settings.PIERHEAD.data_dir)
    except data.DataError as error:
        raise Refused(str(error)) from error


def _refuse_what_is_there(loader: MigrationLoader, *, replace: bool) -> None:
    if not applied(loader):
        return
    models = {model._meta.model_name: model for model in models_of(loader)}
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM control_work WHERE leased_until > %s", [time.time()])
        held = cursor.fetchone()[0]
    if held:
        raise Refused(f"a control plane is at work on this database ({held} leases are held): stop it first")
    counts = {kind: models[kind]._default_manager.count() for kind in ("node", "application", "deployment", "pod")}
    if any(counts.values()) and not replace:
        words = ", ".join(f"{count} {kind}s" for kind, count in counts.items() if count)
        raise Refused(f"the database holds {words} already; use an empty one, or --force to replace all of it")


def _put_keys(keys: dict[str, str]) -> None:
    """The keys that the rows are sealed with; those that the environment gives have to be the same ones."""
    for name, variable in (("encryption_key", "PIERHEAD_ENCRYPTION_KEY"), ("cluster_id", "PIERHEAD_CLUSTER_ID")):
        given = data.secret(os.environ, variable) if name == "encryption_key" else os.environ.get(variable)
        if given and given != keys[name]:
            raise Refused(f"{variable} is not the one of this backup: leave it out, or set the one that belongs to it")
    folder: Path = settings.PIERHEAD.data_dir
    prepared.forget(folder)
    kept = {name: keys[name] for name in ("secret_key", "encryption_key")}
    _replace(folder / "keys", json.dumps(kept, indent=1) + "\n")
    _replace(folder / "cluster", keys["cluster_id"] + "\n")


def _replace(path: Path, content: str) -> None:
    aside = path.with_name(f".{path.name}-restored")
    with os.fdopen(os.open(aside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)


TRANSIENT = ("control_work", "control_change", "control_podusage", "usersessions_usersession", "django_session")
"""Tables that no backup holds, and that a restored cluster begins anew."""


def _load(archive: Archive) -> None:
    models = models_of(MigrationLoader(connection))
    with connection.cursor() as cursor:
        there = connection.introspection.table_names(cursor)  # an older backup's schema does not have all of them
        for table in TRANSIENT:
            if table in there:
                cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
        for model in reversed(models):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")  # noqa: S608
    for model in models:
        _insert(model, archive.rows(model))
    node = next(model for model in models if model._meta.model_name == "node")
    node._default_manager.update(observed_at=0)
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)


def _insert(model: type[Model], rows: Iterable[dict[str, Any]]) -> None:
    fields = {field.attname: field for field in model._meta.concrete_fields}
    batch: list[Model] = []
    for row in rows:
        batch.append(model(**{name: _value(fields[name], value) for name, value in row.items()}))
        if len(batch) >= BATCH:
            model._default_manager.bulk_create(batch)
            batch = []
    model._default_manager.bulk_create(batch)


def _value(field: Any, value: Any) -> Any:
    """JSON columns hold what JSON gave back; all others read their own text."""
    return value if value is None or field.get_internal_type() == "JSONField" else field.to_python(value)
