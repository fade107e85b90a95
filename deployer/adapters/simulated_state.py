"""Where simulated hosts keep what they hold: one small SQLite file each.

The web server, the worker and the watcher of `up --simulate 3` are three processes that must see one host, and a host
outlives the control plane. Within a process a file is opened once and its rows are kept decoded; another process'
write (SQLite's data_version tells) drops them. Durability is not sought: it is a simulation.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deployer.core.container import EngineEvent

_EVENTS_KEPT = 5000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS thing (kind TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, value TEXT NOT NULL);
"""

_opened: dict[tuple[int, Path], State] = {}
_opening = threading.Lock()


def open_state(path: Path) -> State:
    """The state in this file; one object per process and file. After a fork the child opens its own."""
    key = (os.getpid(), path.absolute())
    with _opening:
        state = _opened.get(key)
        if state is None or not path.exists():
            state = _opened[key] = State(path)
        return state


class State:
    """Things by kind and name, each a JSON value; and events. Use only inside `changing()` or `reading()`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.executescript(_SCHEMA)
        self._seen_version = -1
        self._things: dict[str, dict[str, Any]] = {}
        self.memory: dict[str, Any] = {}
        """What a user of this state has derived from it; emptied when another process has written."""

    @contextmanager
    def changing(self) -> Iterator[None]:
        """All or nothing, and alone. May be entered again inside."""
        with self._lock:
            if self._database.in_transaction:
                yield
                return
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._refresh()
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                self._forget()
                raise
            self._database.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What other processes have written until now."""
        with self._lock:
            if not self._database.in_transaction:
                self._refresh()
            yield

    def all(self, kind: str) -> dict[str, Any]:
        """Every thing of a kind by name. Values are shared: `put` one back after changing it."""
        if kind not in self._things:
            rows = self._database.execute("SELECT name, value FROM thing WHERE kind = ? ORDER BY name", (kind,))
            self._things[kind] = {name: json.loads(value) for name, value in rows}
        return self._things[kind]

    def put(self, kind: str, name: str, value: Any) -> None:
        self.all(kind)[name] = value
        self._database.execute("REPLACE INTO thing VALUES (?, ?, ?)", (kind, name, json.dumps(value)))

    def drop(self, kind: str, name: str) -> None:
        self.all(kind).pop(name, None)
        self._database.execute("DELETE FROM thing WHERE kind = ? AND name = ?", (kind, name))

    def append(self, event: EngineEvent) -> None:
        value = json.dumps([event.action, event.container_id, dict(event.labels), event.exit_code])
        number = self._database.execute("INSERT INTO event (at, value) VALUES (?, ?)", (event.at, value)).lastrowid
        if number and number % 500 == 0:
            self._database.execute("DELETE FROM event WHERE number < ?", (number - _EVENTS_KEPT,))

    def events(self, since: float, until: float, after: int) -> list[tuple[int, EngineEvent]]:
        """Events with their numbers, those above `after`, in the order of time."""
        rows = self._database.execute(
            "SELECT number, at, value FROM event WHERE number > ? AND at >= ? AND at <= ? ORDER BY at, number",
            (after, since, until),
        )
        return [(number, _event(at, *json.loads(value))) for number, at, value in rows]

    def _refresh(self) -> None:
        version = self._database.execute("PRAGMA data_version").fetchone()[0]
        if version != self._seen_version:
            self._forget()
            self._seen_version = version

    def _forget(self) -> None:
        self._things.clear()
        self.memory.clear()


def _event(at: float, action: str, container: str, labels: dict[str, str], exit_code: int | None) -> EngineEvent:
    return EngineEvent(action, container, labels, at, exit_code)
