"""Backup, restore and upgrade, as processes do them: on a data folder of the version before, and on one of today."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sqlite3
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.control.installed import counts, emptied, left, manage, objects, start, without


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return left(tmp_path / "before")


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, brought to today's schema. Not to be changed."""
    data = left(tmp_path_factory.mktemp("today") / "data")
    manage(data, "migrate", "--verbosity", "0")
    return data


# Upgrade


def test_a_new_version_takes_over_what_the_one_before_has_left(before: Path) -> None:
    held = counts(before)
    said = start(before, "prepare")
    [kept] = (before / "backups").glob("before-*.tar.gz")
    assert f"a backup is in {kept}" in said
    assert counts(before) == held, "nothing is lost"
    assert [one["status"]["readyReplicas"] for one in objects(before, "deployments", "-n", "shop")] == [3]
    assert {one["metadata"]["name"] for one in objects(before, "nodes")} == {"sim-1", "sim-2", "sim-3"}
    assert "rolled back" in manage(before, "describe", "deployment", "web", "-n", "shop")
    assert "crash: this program was told to fail" in manage(before, "describe", "deployment", "web", "-n", "shop")
    assert "REVISION" in manage(before, "rollout", "history", "deployment/web", "-n", "shop")
    opened = manage(before, "shell", "-c", _OPENS)
    assert "c2VzYW1lLW9wZW5z" in opened, "what was sealed opens"
    assert "brought to a new version" not in manage(before, "prepare"), "once"


_OPENS = "from control.models import Secret; print(Secret.objects.get(name='token').sealed.load())"


def test_a_new_version_can_be_taken_back(today: Path, tmp_path: Path) -> None:
    data = shutil.copytree(today, tmp_path / "data")
    held = counts(data)
    manage(data, "migrate", "control", "0001", "--verbosity", "0")
    assert counts(data) == held
    manage(data, "migrate", "--verbosity", "0")
    assert counts(data) == held


def test_every_migration_can_be_taken_back() -> None:
    from django.db.migrations.loader import MigrationLoader

    for (app, name), migration in MigrationLoader(None).disk_migrations.items():
        if app == "control":
            assert all(operation.reversible for operation in migration.operations), name


def test_a_database_of_a_newer_version_is_refused(today: Path, tmp_path: Path) -> None:
    data = shutil.copytree(today, tmp_path / "data")
    with contextlib.closing(sqlite3.connect(data / "db.sqlite3")) as database, database:
        database.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('control', '0999_later', 0)")
    assert "is of a newer Pierhead (migration 0999_later is not known here)" in manage(data, "prepare", code=1)


# Backup and restore


def test_a_backup_holds_everything_and_comes_back_on_an_empty_machine(today: Path, tmp_path: Path) -> None:
    file, fresh = tmp_path / "pierhead.tar.gz", tmp_path / "fresh"
    said = start(today, "backup", str(file))
    assert "(3 nodes, 1 applications, 4 pods)" in said
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert "start `manage.py up`" in start(fresh, "restore", str(file))
    kept, restored = without(counts(today)), without(counts(fresh))
    assert restored == kept
    for name in ("keys", "cluster"):
        read = [(data / name).read_text().split() for data in (today, fresh)]
        assert read[0] == read[1]
    assert "c2VzYW1lLW9wZW5z" in manage(fresh, "shell", "-c", _OPENS)
    for kind in ("deployments", "services", "networkpolicies", "pods"):
        assert _essence(objects(fresh, kind, "-n", "shop")) == _essence(objects(today, kind, "-n", "shop"))
    with contextlib.closing(sqlite3.connect(fresh / "db.sqlite3")) as database:
        assert {at for (at,) in database.execute("SELECT observed_at FROM control_node")} == {0}, "hosts are read first"
        asked = database.execute("SELECT due_at FROM control_work WHERE loop = 'poll'").fetchall()
        assert asked == [(0,)], "and Git is asked at once"
        assert database.execute("SELECT password FROM auth_user").fetchone()[0].startswith("pbkdf2_")


def test_how_people_sign_in_comes_back(today: Path, tmp_path: Path) -> None:
    data, file = shutil.copytree(today, tmp_path / "data"), tmp_path / "pierhead.tar.gz"
    fresh = emptied(tmp_path / "fresh")
    manage(data, "user", "add", "olga", "--role", "operator", "-n", "shop")
    secret = manage(data, "user", "token", "make", "olga", "ci", "--role", "viewer", "-n", "shop").split()[0]
    manage(data, "shell", "-c", _SECOND_FACTOR)
    manage(data, "backup", str(file))
    manage(fresh, "restore", str(file))
    assert "operator in shop" in manage(fresh, "user", "list")
    assert "password, code" in manage(fresh, "user", "list")
    assert "olga" in manage(
        fresh, "shell", "-c", f"from control.services.tokens import use; print(use('{secret}', 1).owner)"
    )
    manage(fresh, "restore", str(file), "--force")


_OWNER = "from control.services.tokens import use; print(use('{}', 1).owner)"
_SECOND_FACTOR = """
from allauth.mfa.totp.internal.auth import TOTP
from control.services.people import get
TOTP.activate(get("olga"), "JBSWY3DPEHPK3PXP")
"""


def test_a_backup_of_the_version_before_is_restored_and_brought_to_today(before: Path, tmp_path: Path) -> None:
    manage(before, "prepare")
    [kept] = (before / "backups").glob("before-*.tar.gz")
    fresh = tmp_path / "fresh"
    assert "schema 0001_initial" in manage(fresh, "restore", str(kept))
    assert counts(fresh)["control_pod"] == 4
    assert len(objects(fresh, "nodes")) == 3


def test_what_is_there_is_not_overwritten_unasked(today: Path, tmp_path: Path) -> None:
    file = tmp_path / "pierhead.tar.gz"
    manage(today, "backup", str(file))
    assert "exists already; name another file, or --force" in manage(today, "backup", str(file), code=1)
    data = shutil.copytree(today, tmp_path / "data")
    said = manage(data, "restore", str(file), code=1)
    assert "the database holds 3 nodes, 1 applications, 1 deployments, 4 pods already" in said
    with contextlib.closing(sqlite3.connect(data / "db.sqlite3")) as database, database:
        database.execute("DELETE FROM control_event")
        database.execute("UPDATE control_node SET name = 'renamed' WHERE name = 'sim-1'")
    manage(data, "restore", str(file), "--force")
    assert counts(data)["control_node"] == 3
    assert {one["metadata"]["name"] for one in objects(data, "nodes")} == {"sim-1", "sim-2", "sim-3"}


def test_what_cannot_be_used_is_refused_and_nothing_is_changed(today: Path, tmp_path: Path) -> None:
    file, fresh = tmp_path / "pierhead.tar.gz", tmp_path / "fresh"
    manage(today, "backup", str(file))
    whole = file.read_bytes()
    cut, other = tmp_path / "cut.tar.gz", tmp_path / "other.tar.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    other.write_text("this is no backup")
    altered = _altered(file, tmp_path / "altered.tar.gz")
    newer = _altered(file, tmp_path / "newer.tar.gz", migrations=["0001_initial", "0999_later"])
    for source, sentence in (
        (tmp_path / "missing", "does not exist"), (cut, "is no backup, or is damaged"), (other, "is no backup"),
        (altered, "rows/auth.user.jsonl is not what was written"), (newer, "is of a newer Pierhead (0999_later"),
    ):  # fmt: skip
        assert sentence in manage(fresh, "restore", str(source), code=1)
    assert not (fresh / "db.sqlite3").exists() or "control_node" not in counts(fresh)
    wrong = {"PIERHEAD_ENCRYPTION_KEY": "A" * 43 + "="}
    assert "is not the one of this backup" in manage(fresh, "restore", str(file), code=1, **wrong)


def test_it_is_not_restored_under_a_running_control_plane(today: Path, tmp_path: Path) -> None:
    from control.data import Claim

    file, fresh = tmp_path / "pierhead.tar.gz", tmp_path / "fresh"
    manage(today, "backup", str(file))
    fresh.mkdir(mode=0o700)
    claim = Claim(fresh)
    try:
        assert "Pierhead already runs on" in manage(fresh, "restore", str(file), code=1)
    finally:
        claim.release()


def test_a_backup_is_one_moment_while_others_write(today: Path, tmp_path: Path) -> None:
    """A writer moves a value between two tables, both in one transaction: no backup ever shows half of it."""
    data = shutil.copytree(today, tmp_path / "data")
    stop = threading.Event()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(data / "db.sqlite3", timeout=20)) as database:
            for number in range(100_000):
                if stop.is_set():
                    return
                with database:
                    database.execute("UPDATE control_repository SET message = ?", [str(number)])
                    database.execute("UPDATE control_application SET message = ?", [str(number)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(2):
            file = tmp_path / f"{number}.tar.gz"
            manage(data, "backup", str(file))
            assert _column(file, "control.repository", "message") == _column(file, "control.application", "message")
    finally:
        stop.set()
        writer.join()


def _column(file: Path, model: str, column: str) -> list[Any]:
    with tarfile.open(file) as archive:
        content = archive.extractfile(f"rows/{model}.jsonl")
        assert content is not None
        names, *rows = map(json.loads, content)
    return [row[names.index(column)] for row in rows]


def _altered(file: Path, target: Path, **manifest: Any) -> Path:
    """The same backup with another word in its manifest, or without one with a row changed."""
    with tarfile.open(file) as archive, tarfile.open(target, "w:gz") as other:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            data = content.read()
            if member.name == "manifest.json" and manifest:
                data = json.dumps({**json.loads(data), **manifest}).encode()
            if member.name == "rows/auth.user.jsonl" and not manifest:
                data = data.replace(b"admin", b"mallory")
            member.size = len(data)

            other.addfile(member, io.BytesIO(data))
    return target


def _essence(items: list[dict[str, Any]]) -> list[Any]:
    return [(one["kind"], one["metadata"]["name"], one["metadata"]["uid"], one.get("spec")) for one in items]
