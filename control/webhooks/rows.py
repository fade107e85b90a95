"""The rows of a batch of deliveries, by statements that stand ready.

Django makes a statement anew each time that it is asked for one, which costs ten times what SQLite takes to do it: at a
hundred deliveries a second that was most of the work. What is written here is written in the caller's transaction.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from typing import Any

from django.db import OperationalError, connection, transaction

from control.models import Webhook
from control.models.sealed import Sealed

PATIENCE_SECONDS, LOOK_SECONDS = 20.0, 0.002
CHECKPOINT_PAGES = 8000
"""Of the write-ahead log: eight times what the other processes wait for, so that it is they who write it back."""
_HOOKS = """
SELECT hook.uid, hook.provider, hook.secrets, hook.allowed, repository.uid, repository.name, repository.ref
FROM control_webhook hook JOIN control_repository repository ON repository.uid = hook.repository_id WHERE hook.uid IN
"""
_ACCEPTED = "SELECT webhook_id, name FROM control_delivery WHERE accepted = %s AND webhook_id IN {} AND name IN {}"
_KEEP = """
INSERT INTO control_delivery (webhook_id, at, name, event, pushes, "commit", source, size, status, proven, accepted,
  old_secret, message, payload) VALUES
"""
_HINTED = "UPDATE control_repository SET hinted_at = %s WHERE uid = %s RETURNING polled_at"


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook with what is asked of its repository: `repository` is its uid, `name` and `ref` are its own too."""

    uid: str
    provider: str
    secrets: Sealed
    allowed: tuple[str, ...]
    repository: str
    name: str
    ref: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A delivery as its row has it: the fields are the columns', in their order; `pushes` as JSON."""

    webhook: str
    at: float
    name: str
    event: str
    pushes: str
    commit: str
    source: str
    size: int
    status: int
    proven: bool
    accepted: bool
    old_secret: bool
    message: str
    payload: str


def hooks_of(uids: Collection[str]) -> dict[str, Hook]:
    """By uid; those that there are."""
    found = {}
    for uid, provider, sealed, allowed, repository, name, ref in _rows(_HOOKS + _places(uids), [*uids]):
        secrets = Webhook(uid=uid, secrets=sealed).secrets
        found[uid] = Hook(uid, provider, secrets, tuple(json.loads(allowed)), repository, name, ref)
    return found


def accepted_before(webhooks: Collection[str], names: Collection[str]) -> set[tuple[str, str]]:
    """(webhook, name of the delivery)"""
    if not names:
        return set()
    asked = _ACCEPTED.format(_places(webhooks), _places(names))
    return {(webhook, name) for webhook, name in _rows(asked, [True, *webhooks, *names])}


def keep(rows: Sequence[Kept]) -> None:
    """In their order. At least one."""
    found = [astuple(row) for row in rows]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP + ", ".join(map(_places, found)), [value for one in found for value in one])


def hinted(repository: str, now: float) -> float | None:
    """Notes that a webhook told of it. When it was polled last; None when it is gone."""
    found = _rows(_HINTED, [now, repository])
    return float(found[0][0]) if found else None


@contextmanager
def writing() -> Iterator[None]:
    """A transaction. SQLite has no queue of writers: whoever waits looks again, later and later, up to a tenth of a
    second, and the lock that others hold for milliseconds is lost to whoever comes by. So this looks often, and leaves
    it to others to write the log back."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic():
            yield
        return
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    with ExitStack() as stack:
        stack.push(_begun())
        yield


def _begun() -> transaction.Atomic:
    """A transaction that was entered. Raises OperationalError when others write for longer than anybody waits."""
    until = time.monotonic() + PATIENCE_SECONDS
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            block = transaction.atomic()
            try:
                block.__enter__()
            except OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(LOOK_SECONDS)
            else:
                return block
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout={1000 * int(PATIENCE_SECONDS)}")


def _rows(statement: str, values: Sequence[Any]) -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _places(values: Iterable[object]) -> str:
    return f"({', '.join('%s' for _ in values)})"
