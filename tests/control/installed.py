"""A data folder, and `manage.py` on it as a process of its own: a new one, or (much sooner) a fork of a loaded one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import tables
from tests.control import forks

HOME = Path(__file__).resolve().parents[2]
BEFORE = HOME / "tests" / "data" / "schema-0001"
NOT_KEPT = ("control_work", "control_change", "control_auditentry")
NOT_COUNTED = ("django_migrations", "django_content_type", "auth_permission", "sqlite_sequence", "control_event")


def manage(data: Path, *words: str, code: int = 0, **environment: str) -> str:
    """What `manage.py` prints on this data folder, errors too."""
    done = forks.run(words, _environment(data, environment))
    said = done.stdout + done.stderr
    assert done.returncode == code, f"exit code {done.returncode}: {said}"
    return said


def start(data: Path, *words: str, **environment: str) -> str:
    """The same in a process that starts from nothing, as a person's does. It must end with 0."""
    command = [sys.executable, "manage.py", *words]
    given = _environment(data, environment)
    done = subprocess.run(command, cwd=HOME, env=given, capture_output=True, text=True, timeout=forks.SECONDS)
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"exit code {done.returncode}: {said}"
    return said


def _environment(data: Path, more: dict[str, str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in ("DJANGO_SETTINGS_MODULE", "DATABASE_URL")}
    return {**ours, "PIERHEAD_DATA": str(data), "PIERHEAD_NO_BOOTSTRAP": "1", **more}


def counts(data: Path) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(data / "db.sqlite3")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: database.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in tables}
    return {name: count for name, count in found.items() if name not in NOT_COUNTED and count}


def objects(data: Path, *words: str) -> list[dict[str, Any]]:
    return list(json.loads(manage(data, "get", *words, "-o", "json"))["items"])


def left(data: Path) -> Path:
    """A data folder as the version before has left it."""
    data.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(data / "db.sqlite3")) as database:
        database.executescript((BEFORE / "database.sql").read_text())
    for name in ("keys", "cluster"):
        shutil.copy(BEFORE / name, data / name)
    return data


def emptied(data: Path) -> Path:
    """A data folder with today's tables, and nothing in them: where it is not told how they come about."""
    data.mkdir(mode=0o700)
    tables.copy(data / "db.sqlite3")
    return data


def without(found: dict[str, int]) -> dict[str, int]:
    """But for what a backup leaves out, and what it writes itself."""
    return {name: count for name, count in found.items() if name not in NOT_KEPT}
