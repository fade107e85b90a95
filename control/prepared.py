"""Whether a start has anything to prepare: the tables, the first user, the hosts that come by themselves.

A control plane that was killed is to be back soon, and looking all that up again takes a process of its own two
seconds. So what was prepared is noted in the data folder, and skipped while the same code finds a database with the
same tables. A note that is missing, or that says anything else, costs those two seconds. Standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

HOME = Path(__file__).resolve().parent
NAME = "prepared"
LOCAL_SOCKET = Path("/var/run/docker.sock")


def mark(data_dir: Path, environment: Mapping[str, str], simulated: int) -> str:
    """What the preparation depends on; "" where nobody can tell from here, as with a database server."""
    tables = "" if environment.get("DATABASE_URL") else _tables(data_dir / "db.sqlite3")
    if not tables:
        return ""
    migrations = "\n".join(
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted((HOME / "migrations").glob("*.py"))
    )
    locks = (HOME / "requirements.txt").read_text(encoding="utf-8")  # other packages bring tables of their own
    host = environment.get("DOCKER_HOST", str(LOCAL_SOCKET) if LOCAL_SOCKET.exists() else "")
    whole = "\n".join((migrations, locks, host, str(simulated), tables))
    return hashlib.sha256(whole.encode()).hexdigest()


def _tables(database: Path) -> str:
    """The migrations that were applied to it; "" when it has no user yet, or cannot be read."""
    if not database.exists():
        return ""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=1)) as connection:
            if not connection.execute("SELECT COUNT(*) FROM auth_user").fetchone()[0]:
                return ""
            return str(connection.execute("SELECT app, name FROM django_migrations ORDER BY app, name").fetchall())
    except sqlite3.Error:
        return ""


def holds(data_dir: Path, found: str) -> bool:
    try:
        return bool(found) and (data_dir / NAME).read_text(encoding="ascii").strip() == found
    except (OSError, UnicodeDecodeError):
        return False


def note(data_dir: Path, found: str) -> None:
    """A disk without room is no reason not to start."""
    try:
        (data_dir / NAME).write_text(found + "\n", encoding="ascii")
    except OSError:
        forget(data_dir)


def forget(data_dir: Path) -> None:
    (data_dir / NAME).unlink(missing_ok=True)
