"""A start prepares what there is to prepare, and skips it while nothing has changed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from control import prepared


def database(path: Path, *migrations: str, users: int = 1) -> None:
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE auth_user (id INTEGER)")
        made.execute("CREATE TABLE django_migrations (app TEXT, name TEXT)")
        made.executemany("INSERT INTO auth_user VALUES (?)", [(number,) for number in range(users)])
        made.executemany("INSERT INTO django_migrations VALUES ('control', ?)", [(name,) for name in migrations])
        made.commit()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    database(tmp_path / "db.sqlite3", "0001_initial", "0002_survival")
    prepared.note(tmp_path, prepared.mark(tmp_path, {}, 0))
    return tmp_path


def test_nothing_has_changed(folder: Path) -> None:
    assert prepared.holds(folder, prepared.mark(folder, {}, 0))


def _an_older_one(folder: Path) -> None:
    (folder / "db.sqlite3").unlink()
    database(folder / "db.sqlite3", "0001_initial")


def _without_users(folder: Path) -> None:
    (folder / "db.sqlite3").unlink()
    database(folder / "db.sqlite3", "0001_initial", "0002_survival", users=0)


@pytest.mark.parametrize(
    ("change", "environment", "simulated"),
    [
        (_an_older_one, {}, 0),
        (_without_users, {}, 0),
        (lambda folder: (folder / "db.sqlite3").write_bytes(b"no database"), {}, 0),
        (lambda folder: (folder / "db.sqlite3").unlink(), {}, 0),
        (prepared.forget, {}, 0),
        (lambda folder: (folder / prepared.NAME).write_bytes(b"\xff"), {}, 0),
        (lambda folder: None, {"DOCKER_HOST": "unix:///elsewhere.sock"}, 0),
        (lambda folder: None, {"DATABASE_URL": "postgresql://db/x"}, 0),
        (lambda folder: None, {}, 3),
    ],
    ids=[
        "an older database", "nobody in it", "no database in it", "no database", "no note", "a broken note",
        "another engine", "a server", "more hosts",
    ],
)  # fmt: skip
def test_what_has_changed_is_prepared_anew(
    folder: Path, change: Callable[[Path], object], environment: dict[str, str], simulated: int
) -> None:
    change(folder)
    assert not prepared.holds(folder, prepared.mark(folder, environment, simulated))


def test_a_migration_more_is_prepared(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "migrations").mkdir(parents=True)
    (code / "requirements.txt").touch()
    monkeypatch.setattr(prepared, "HOME", code)
    prepared.note(folder, prepared.mark(folder, {}, 0))
    assert prepared.holds(folder, prepared.mark(folder, {}, 0))
    (code / "migrations" / "0007_more.py").touch()
    assert not prepared.holds(folder, prepared.mark(folder, {}, 0))


def test_a_disk_without_room_is_no_reason_not_to_start(tmp_path: Path) -> None:
    prepared.note(tmp_path / "none", "x")
