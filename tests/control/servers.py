"""The servers of an installation in production, for real: PostgreSQL and Redis from the system's packages.

Both listen on the loopback address alone, ask for a password, and keep everything in a temporary folder.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg import sql

from tests.environment import require
from tests.ports import free_port

START_SECONDS = 30.0
END_SECONDS = 10.0
USER = "pierhead"
# Nothing here outlives the run: no write waits for the disk.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "32MB"}


@dataclass(frozen=True)
class PostgreSQL:
    """A running server. Each test makes a database of its own."""

    port: int
    password: str

    def url(self, name: str) -> str:
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{name}"

    def create(self, name: str) -> str:
        """A new, empty database; its DATABASE_URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)


class Redis:
    """A server that keeps nothing on disk; started again, it is empty and at the same address."""

    def __init__(self) -> None:
        self.port, self.password = free_port(), secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """As docker-compose.yml does: the password comes by standard input."""
        lines = ("bind 127.0.0.1", f"port {self.port}", f"requirepass {self.password}", 'save ""', "appendonly no")
        self._process = subprocess.Popen(
            [_redis_server(), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin
        with self._process.stdin as configuration:
            configuration.write("\n".join(lines).encode())
        await_server(self._answers, "redis-server")

    def end(self) -> None:
        if self._process is not None:
            _end(self._process, signal.SIGTERM)

    def flush(self) -> None:
        """FLUSHALL: every message, lock and schedule is gone."""
        with self._client() as client:
            client.flushall()

    def _answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError), self._client() as client:
            return bool(client.ping())
        return False

    @contextlib.contextmanager
    def _client(self) -> Iterator[redis.Redis]:
        client = redis.Redis.from_url(self.url)
        try:
            yield client
        finally:
            client.close()


@contextlib.contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    programs = _postgresql_programs()
    folder, server = Path(tempfile.mkdtemp(prefix="ph-pg-", dir="/tmp")), PostgreSQL(free_port(), secrets.token_hex(16))
    try:
        _initialize(programs, folder, server.password)
        options = {**SETTINGS, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "port": server.port}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", *words], stdout=log, stderr=log, **_unprivileged()
            )
        try:
            await_server(lambda: _accepts(server), "postgres")
            yield server
        finally:
            _end(process, signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def redis_server() -> Iterator[Redis]:
    server = Redis()
    server.start()
    try:
        yield server
    finally:
        server.end()


def await_server(answers: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        assert time.monotonic() < deadline, f"{name} does not answer after {START_SECONDS:g} s"
        time.sleep(0.02)


def _initialize(programs: Path, folder: Path, password: str) -> None:
    """A cluster that sorts as people do (ICU), as the official image's does, and unlike SQLite."""
    (folder / "password").write_text(password)
    if unprivileged := _unprivileged():
        for path in (folder, folder / "password"):
            shutil.chown(path, unprivileged["user"], unprivileged["group"])
    words = ["-D", str(folder / "data"), "-U", USER, "-A", "scram-sha-256", f"--pwfile={folder / 'password'}"]
    words += ["--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
    subprocess.run([programs / "initdb", *words], check=True, capture_output=True, **_unprivileged())


def _postgresql_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    require(found, "PostgreSQL is missing: apt-get install postgresql")
    return found[-1].parent


def _redis_server() -> str:
    found = shutil.which("redis-server")
    require(found, "redis-server is missing: apt-get install redis-server")
    return str(found)


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: the user of its package, or nobody. Arguments of subprocess."""
    if os.getuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid}


def _accepts(server: PostgreSQL) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(server.url("postgres")).close()
        return True
    return False


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(number)
    process.wait(timeout=END_SECONDS)
