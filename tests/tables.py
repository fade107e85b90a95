"""The tables of an empty database, made once: to run all migrations takes three seconds of processor, and to copy what
they come to a hundredth of one. What has its own words about migrations runs them itself (test_backup.py, test_up.py).

Kept between runs, by what the tables are made of.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
KEPT = HOME / ".pytest_cache"
SOURCES = ("control/migrations/*.py", "control/models/*.py", "control/requirements.txt")
"""Tables come from migrations, ours and those of packages; names of permissions from models."""


def copy(target: Path) -> None:
    """`target` becomes a SQLite database with every table and no rows but Django's own."""
    shutil.copy(_made(), target)


@functools.cache
def _made() -> Path:
    KEPT.mkdir(exist_ok=True)
    file = KEPT / f"tables-{_mark()}.sqlite3"
    with (KEPT / "tables.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever else needs them now waits, instead of making them as well
        if not file.exists():
            for older in KEPT.glob("tables-*.sqlite3"):
                older.unlink()
            with tempfile.TemporaryDirectory(dir=KEPT) as folder:
                _migrate(Path(folder))
                Path(folder, "db.sqlite3").rename(file)
    return file


def _mark() -> str:
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(HOME.glob(pattern)):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _migrate(folder: Path) -> None:
    """In a process that ends: none of its connections is left, and nothing of what it wrote is beside the file."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")}
    environment = {**kept, "PIERHEAD_DATA": str(folder), "PIERHEAD_NO_BOOTSTRAP": "1"}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=HOME, env=environment, check=True)
