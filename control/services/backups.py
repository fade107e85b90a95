"""Backup and restore: the whole state of an installation and its keys, in one file.

    one snapshot of the database -> rows of each table as JSON lines -> with keys, manifest and checksums: a tar.gz

Rows are written as Django's fields have them, not as a database stores them, so that a backup of SQLite is restored
into PostgreSQL and the other way round. Models are those of the migrations that have been applied, so that a new
version can back up the database of the one before.

What is left out can be made again: sessions (people sign in again), leases and wake-ups (everything is looked at
after a restore), the change log (whoever follows it begins anew), what pods used in the last two hours, Django's own
tables.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model

from control.services.refusal import Refused

FORMAT = 1
MANIFEST, KEYS = "manifest.json", "keys.json"
KEPT = 3
"""Copies of before a migration."""
LEFT_OUT = frozenset({"work", "change", "cacheentry", "podusage"})
PEOPLE = (("auth", "user"), ("mfa", "authenticator"), ("socialaccount", "socialaccount"))
"""What is kept of other apps, as far as a database has it: who may sign in, and how."""


@dataclass(frozen=True)
class Content:
    """What a backup holds: rows by table, the migrations of `control` that were applied, whose it is, since when; and
    the checksum of each member."""

    rows: dict[str, int]
    migrations: list[str]
    cluster_id: str
    made_at: float
    sums: dict[str, str]

    def __str__(self) -> str:
        counts = ", ".join(f"{self.rows.get(f'control.{kind}', 0)} {kind}s" for kind in ("node", "application", "pod"))
        return f"{sum(self.rows.values())} rows ({counts}), schema {self.migrations[-1]}"


def make(target: Path, *, replace: bool = False) -> Content:
    """Write a backup to `target`, mode 0600, whole or not at all. Nothing that runs has to stop for it."""
    if target.exists() and not replace:
        raise Refused(f"{target} exists already; name another file, or --force to replace it")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as name:
            folder = Path(name)
            content = _write(folder)
            made = folder / "backup.tar.gz"
            with os.fdopen(os.open(made, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
                with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
                    for member in (MANIFEST, *sorted(content.sums)):
                        archive.add(folder / member, member)
                file.flush()
                os.fsync(file.fileno())
            made.rename(target)
    except OSError as error:
        raise Refused(f"{target} cannot be written: {error.strerror or error}; nothing of it was left") from error
    return content


def _write(folder: Path) -> Content:
    rows: dict[str, int] = {}
    sums: dict[str, str] = {}
    (folder / "rows").mkdir()
    with snapshot():
        loader = MigrationLoader(connection)
        for model in models_of(loader):
            member = f"rows/{model._meta.label_lower}.jsonl"
            rows[model._meta.label_lower], sums[member] = _dump(model, folder / member)
        migrations = applied(loader)
    keys = json.dumps(_keys())
    (folder / KEYS).write_text(keys, encoding="utf-8")
    sums[KEYS] = hashlib.sha256(keys.encode()).hexdigest()
    content = Content(rows, migrations, settings.PIERHEAD.cluster_id, time.time(), sums)
    manifest = {"format": FORMAT, **content.__dict__}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return content


@contextmanager
def snapshot() -> Iterator[None]:
    """Everything that is read inside is as it was at one moment; writers are not held up."""
    is_sqlite = connection.vendor == "sqlite"
    begin = "BEGIN DEFERRED" if is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    with connection.cursor() as cursor:
        cursor.execute(begin)
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def models_of(loader: MigrationLoader) -> list[type[Model]]:
    """The models whose rows are kept, as the applied migrations have them."""
    state = loader.project_state(sorted(loader.applied_migrations))
    people = [state.apps.get_model(*key) for key in PEOPLE if key in state.models]
    control = state.apps.get_app_config("control").get_models()
    mine = [model for model in control if model._meta.model_name not in LEFT_OUT]
    return [*people, *sorted(mine, key=lambda model: model._meta.label_lower)]


def applied(loader: MigrationLoader) -> list[str]:
    return sorted(name for app, name in loader.applied_migrations if app == "control")


def unknown_to(loader: MigrationLoader, migrations: Iterable[str]) -> str:
    """The newest of these migrations that this version does not have, "" when it has them all."""
    return max(set(migrations) - {name for app, name in loader.disk_migrations if app == "control"}, default="")


def columns(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def _dump(model: type[Model], path: Path) -> tuple[int, str]:
    """A line with the columns, then one for each row. Returns the number of rows, and the file's checksum."""
    digest, count = hashlib.sha256(), -1
    names = columns(model)
    with path.open("wb") as file:
        for row in (names, *model._default_manager.order_by("pk").values_list(*names)):
            line = json.dumps(row, default=_plain, separators=(",", ":")).encode() + b"\n"
            digest.update(line)
            file.write(line)
            count += 1
    return count, digest.hexdigest()


def _plain(value: Any) -> Any:
    """What JSON does not know: moments and bytes, as Django's fields read them again."""
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    return value.isoformat()


def _keys() -> dict[str, str]:
    found = settings.PIERHEAD
    return {
        "secret_key": found.secret_key, "encryption_key": base64.b64encode(found.encryption_key).decode(),
        "cluster_id": found.cluster_id,
    }  # fmt: skip


class Archive:
    """A backup that was opened: checked whole before anything of it is used."""

    def __init__(self, source: Path) -> None:
        """Refused when the file is no backup, is damaged, or was made by a newer version."""
        self._source = source
        self._members: dict[str, bytes] = {}
        try:
            with tarfile.open(source, "r:gz") as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isfile() else None
                    self._members[member.name] = content.read() if content is not None else b""
        except FileNotFoundError as error:
            raise Refused(f"{source} does not exist") from error
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise Refused(f"{source} is no backup, or is damaged: {error}; use another copy") from error
        self.content = self._checked()

    @property
    def keys(self) -> dict[str, str]:
        return dict(json.loads(self._members[KEYS]))

    def rows(self, model: type[Model]) -> Iterator[dict[str, Any]]:
        lines = io.BytesIO(self._members.get(f"rows/{model._meta.label_lower}.jsonl", b"[]\n"))
        names = json.loads(next(lines))
        return (dict(zip(names, json.loads(line), strict=True)) for line in lines)

    def _checked(self) -> Content:
        try:
            manifest = json.loads(self._members[MANIFEST])
            version = manifest.pop("format")
            if version != FORMAT:
                raise Refused(f"{self._source} has format {version}, this Pierhead reads {FORMAT}: use a newer one")
            content = Content(**manifest)
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(f"{self._source} is no backup of Pierhead: it has no manifest that can be read") from error
        for member, expected in content.sums.items():
            if hashlib.sha256(self._members.get(member, b"")).hexdigest() != expected:
                raise Refused(f"{self._source} is damaged: {member} is not what was written; use another copy")
        return content


def before_migration() -> str:
    """What there is to say of a copy that was kept before the schema changes, "" when it does not. Refused for a
    database of a newer version, which this one would damage."""
    loader = MigrationLoader(connection)
    found = applied(loader)
    if unknown := unknown_to(loader, found):
        raise Refused(
            f"The database is of a newer Pierhead (migration {unknown} is not known here): start that version, "
            "or restore a backup of this one"
        )
    pending = {name for app, name in loader.disk_migrations if app == "control"} - set(found)
    if not found or not pending:
        return ""
    folder = settings.PIERHEAD.data_dir / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"before-{max(pending)}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.tar.gz"
    make(target, replace=True)
    for old in sorted(folder.glob("before-*.tar.gz"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
    return f"The database is brought to a new version ({max(pending)}); a backup is in {target}"
