"""DATABASE_URL and REDIS_URL: which servers an installation uses, as Django and Celery want to be told.

    postgresql://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full     or, by socket, postgresql:///NAME?host=/run/postgresql
    redis://:PASSWORD@HOST:PORT/0     rediss://... (TLS)     unix:///path/redis.sock

Errors name the variable and what is wrong with it, never its value: it holds a password.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from control import broker
from control.data import DataError

POOL_CONNECTIONS = 16  # 8 worker threads, the pages' threads, beat
# libpq's own names (PostgreSQL manual, 32.1.2); a name outside this list is refused rather than passed on.
DATABASE_OPTIONS = frozenset(
    {
        "application_name",
        "connect_timeout",
        "host",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
    }
)


def database(environment: Mapping[str, str], data_dir: Path) -> dict[str, Any]:
    """Django's DATABASES["default"]: PostgreSQL when DATABASE_URL is set, else SQLite in the data folder."""
    url = environment.get("DATABASE_URL")
    return _postgresql(url) if url else _sqlite(data_dir)


def redis_url(environment: Mapping[str, str], data_dir: Path) -> str:
    """Where the broker is, for the redis client: REDIS_URL, or the embedded broker's socket."""
    url = environment.get("REDIS_URL")
    if not url:
        return f"unix://{broker.socket_path(data_dir)}"
    parts = _split("REDIS_URL", url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise DataError("REDIS_URL must begin with redis://, rediss:// or unix://.")
    if parts.scheme != "unix" and not parts.hostname:
        raise DataError("REDIS_URL names no host: write redis://:PASSWORD@HOST:6379/0.")
    return url


def celery_broker_url(url: str) -> str:
    """`url` in Celery's spelling, which differs for sockets: unix:///p?db=1 is redis+socket:///p?virtual_host=1."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    options = dict(parse_qsl(parts.query))
    user = f":{parts.password}@" if parts.password else ""
    return f"redis+socket://{user}{parts.path}?virtual_host={options.get('db', '0')}"


def redis_warning(url: str) -> str | None:
    """A sentence when the Redis server of `url` takes orders from anyone who reaches it."""
    parts = urlsplit(url)
    if parts.scheme == "unix" or parts.password or _is_loopback(parts.hostname or ""):
        return None
    return (
        f"REDIS_URL names {parts.hostname} without a password: whoever reaches that server can make Pierhead run "
        "containers. Set `requirepass` there and write redis://:PASSWORD@HOST:PORT/0."
    )


def _sqlite(data_dir: Path) -> dict[str, Any]:
    # IMMEDIATE takes the write lock at BEGIN, so that the timeout covers it; an upgrade from reading to writing fails
    # at once under contention. NORMAL is durable across a crash of the process in WAL mode.
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": data_dir / "db.sqlite3",
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-4000;",
        },
        "TEST": {"NAME": data_dir / "test.sqlite3"},
    }


def _postgresql(url: str) -> dict[str, Any]:
    parts = _split("DATABASE_URL", url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise DataError("DATABASE_URL must begin with postgresql://; leave it out to use SQLite in the data folder.")
    name = unquote(parts.path.lstrip("/"))
    if not name:
        raise DataError("DATABASE_URL names no database: write postgresql://USER:PASSWORD@HOST:5432/NAME.")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    if unknown := sorted(options.keys() - DATABASE_OPTIONS):
        known = ", ".join(sorted(DATABASE_OPTIONS))
        raise DataError(f"DATABASE_URL has unknown options: {', '.join(unknown)}. Known: {known}.")
    host = options.pop("host", None) or parts.hostname or ""
    return {
        "ENGINE": "control.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(_port("DATABASE_URL", parts) or ""),
        # The pool keeps connections, Django must not as well. A connection is checked before it is handed out.
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": "5",
            **options,
            "pool": {"min_size": 1, "max_size": POOL_CONNECTIONS, "timeout": 10},
        },
    }


def _split(variable: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise DataError(f"{variable} is not a URL: percent-encode special characters in its password.") from None
    _port(variable, parts)
    return parts


def _port(variable: str, parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise DataError(f"{variable} has no valid port: percent-encode special characters in the password.") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
