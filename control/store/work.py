"""Leases and wake-ups: the rows that make every loop level-triggered and single-flight.

How a key lives: `wake` lowers its `due_at`; `claim` takes the lease and sets `due_at` to the lease's end, so that a
killed worker's key comes due again by itself; `release` puts the plan's `wake_at` there, unless somebody woke the key
meanwhile. `fenced` opens a transaction that fails with `LeaseLost` when the epoch has moved on.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.db import connection, transaction

from control.models import NEVER, Work
from deployer.ports import LeaseLost

LEASE_SECONDS = 10.0

_WAKE = """
INSERT INTO control_work (loop, key, due_at, owner, leased_until, epoch, dirty) VALUES {rows}
ON CONFLICT (loop, key) DO UPDATE SET due_at = excluded.due_at WHERE control_work.due_at > excluded.due_at
RETURNING key
"""
_ROW = "(%s, %s, %s, '', 0, 0, '[]')"
_AT_ONCE = 300
"""Keys of one statement."""


# Every pass of every loop comes by these: they stand ready, as making them costs more than the database's part.
_READ = "SELECT {columns} FROM control_work WHERE loop = %s AND key IN ({keys}) ORDER BY key"
_CLAIM = """
UPDATE control_work SET owner = %s, leased_until = %s, epoch = %s, due_at = %s, dirty = '[]'
WHERE loop = %s AND key = %s
"""
_RELEASE = "UPDATE control_work SET leased_until = 0, owner = '', due_at = %s WHERE loop = %s AND key = %s"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act on one key. `dirty`: the containers that whoever woke it has named."""

    loop: str
    key: str
    owner: str
    epoch: int
    until: float
    dirty: frozenset[str] = frozenset()


def _no_alarm(_loop: str, _key: str, _at: float) -> None:
    """Whoever sets none leaves it to the dispatcher."""


class WorkRows:
    """`hint(loop, keys)` is called after commit for what is due now, `alarm(loop, key, at)` for what is due later: they
    only save the dispatcher's second."""

    def __init__(
        self, owner: str, hint: Callable[[str, Sequence[str]], None],
        alarm: Callable[[str, str, float], None] = _no_alarm,
    ) -> None:  # fmt: skip
        self.owner = owner
        self._hint, self._alarm = hint, alarm

    def wake(self, loop: str, key: str | Collection[str], at: float = 0.0, dirty: Iterable[str] = ()) -> None:
        """Make the key due at `at` (0: at once), whatever it was due at later; or each of many keys. `dirty` names
        containers of the one key that are to be inspected. Of many keys those that were due are not hinted at again.
        """
        named = list(dirty)
        with transaction.atomic(savepoint=False):
            keys = [key] if isinstance(key, str) else sorted(set(key))
            fresh = _woken(loop, keys, at)
            hinted = keys if isinstance(key, str) else fresh
            if named:
                row = Work.objects.select_for_update().get(loop=loop, key=key)
                Work.objects.filter(pk=row.pk).update(dirty=sorted({*row.dirty, *named})[:1000])
            if at > 0:
                transaction.on_commit(lambda: self._alarm_all(loop, keys, at))
            elif hinted:
                transaction.on_commit(lambda: self._hint(loop, hinted))

    def _alarm_all(self, loop: str, keys: Iterable[str], at: float) -> None:
        for key in keys:
            self._alarm(loop, key, at)

    def claim(self, loop: str, key: str, now: float) -> Lease | None:
        """The lease, or None: not due, or somebody else is at it."""
        return next(iter(self.claim_many(loop, [key], now)), None)

    def claim_many(self, loop: str, keys: Sequence[str], now: float) -> list[Lease]:
        """The leases of those that are due and free."""
        until = now + LEASE_SECONDS
        with transaction.atomic():
            leases = [
                Lease(loop, key, self.owner, epoch + 1, until, frozenset(json.loads(dirty)))
                for key, due_at, leased_until, epoch, dirty in _rows(
                    "key, due_at, leased_until, epoch, dirty", loop, keys
                )
                if leased_until <= now and due_at <= now
            ]
            _said(_CLAIM, [[self.owner, until, one.epoch, until, loop, one.key] for one in leases])
        return leases

    def renew(self, lease: Lease, now: float) -> tuple[Lease, bool]:
        """The lease prolonged, and whether the key was woken since it was claimed or last renewed."""
        until = now + LEASE_SECONDS
        with self.fenced(lease):
            row = Work.objects.get(loop=lease.loop, key=lease.key)
            Work.objects.filter(pk=row.pk).update(leased_until=until, due_at=until, dirty=[])
        return replace(lease, until=until, dirty=frozenset(row.dirty)), row.due_at < lease.until

    def hold(self, loop: str, key: str, lease: Lease | None, now: float) -> Lease | None:
        """The lease for whoever keeps time by itself, taken or prolonged; None while another worker holds it."""
        if lease is not None and 0 <= lease.until - LEASE_SECONDS / 2 - now <= LEASE_SECONDS:
            return lease
        until = now + LEASE_SECONDS
        with transaction.atomic():
            row, _ = Work.objects.select_for_update().get_or_create(loop=loop, key=key)
            ours = lease is not None and (row.owner, row.epoch) == (lease.owner, lease.epoch)
            if not ours and now < row.leased_until <= until:
                return None
            epoch = row.epoch if ours else row.epoch + 1
            Work.objects.filter(pk=row.pk).update(owner=self.owner, leased_until=until, epoch=epoch, due_at=NEVER)
        return Lease(loop, key, self.owner, epoch, until)

    def woken(self, lease: Lease) -> bool:
        """Whether the key was woken since the lease was taken or renewed. One cheap read."""
        due = Work.objects.filter(loop=lease.loop, key=lease.key).values_list("due_at", flat=True).first()
        return due is not None and due < lease.until

    def release(self, lease: Lease, wake_at: float | None) -> bool:
        """Give the lease back. True when the key was woken meanwhile: look again at once."""
        return bool(self.release_many([(lease, wake_at)]))

    def release_many(self, ended: Sequence[tuple[Lease, float | None]]) -> list[str]:
        """Give leases of one loop back, each with the time of the next look; the keys that were woken meanwhile."""
        woken, written = list[str](), list[tuple[Lease, float]]()
        with transaction.atomic():
            held = self._held([lease for lease, _ in ended])
            for lease, wake_at in ended:
                if lease.key not in held:
                    continue
                due_at, next_at = held[lease.key], NEVER if wake_at is None else wake_at
                if due_at < lease.until:
                    woken.append(lease.key)
                    next_at = min(due_at, next_at)
                elif next_at < NEVER:
                    transaction.on_commit(partial(self._alarm, lease.loop, lease.key, next_at))
                written.append((lease, next_at))
            _said(_RELEASE, [[next_at, lease.loop, lease.key] for lease, next_at in written])
        return woken

    @contextlib.contextmanager
    def fenced(self, lease: Lease) -> Iterator[None]:
        """A transaction in which the lease is known to be ours still; `LeaseLost` otherwise, and nothing is written."""
        with self.fenced_many([lease]) as held:
            if not held:
                raise LeaseLost(f"the lease on {lease.loop} {lease.key} went to another worker; nothing was written")
            yield

    @contextlib.contextmanager
    def fenced_many(self, leases: Sequence[Lease]) -> Iterator[list[Lease]]:
        """A transaction, with those of the leases, all of one loop, that are ours still."""
        with transaction.atomic():
            held = self._held(leases)
            yield [lease for lease in leases if lease.key in held]

    def _held(self, leases: Sequence[Lease]) -> dict[str, float]:
        """Key -> when it is due, of those that are ours still."""
        if not leases:
            return {}
        rows = _rows("key, due_at, epoch, owner", leases[0].loop, [one.key for one in leases])
        epochs = {one.key: (one.epoch, one.owner) for one in leases}
        return {key: due_at for key, due_at, *holder in rows if tuple(holder) == epochs[key]}

    def due(self, now: float, limit: int = 500) -> list[tuple[str, str]]:
        return [(loop, key) for loop, key, _ in self.coming(now, now, limit)]

    def coming(self, now: float, until: float, limit: int = 500) -> list[tuple[str, str, float]]:
        """What is due by `until` and held by nobody, with its time: the earliest first."""
        rows = Work.objects.filter(due_at__lte=until, leased_until__lte=now).order_by("due_at", "loop", "key")
        return list(rows.values_list("loop", "key", "due_at")[:limit])

    def forget(self, loop: str, key: str) -> None:
        Work.objects.filter(loop=loop, key=key).delete()

    def release_all(self) -> None:
        """At the start of the only control plane on this database: nobody holds a lease that counts."""
        Work.objects.filter(leased_until__gt=0).update(leased_until=0, owner="", due_at=0)


def _woken(loop: str, keys: Sequence[str], at: float) -> list[str]:
    """Those that were not due at `at` or before. Rows are taken in one order, so that writers never cross."""
    fresh: list[str] = []
    with connection.cursor() as cursor:
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            values = [value for key in some for value in (loop, key, at)]
            cursor.execute(_WAKE.format(rows=", ".join([_ROW] * len(some))), values)
            fresh += [key for (key,) in cursor.fetchall()]
    return fresh


def _rows(columns: str, loop: str, keys: Sequence[str]) -> list[tuple[Any, ...]]:
    """Rows of the table, locked until the transaction ends."""
    lock = " FOR UPDATE" if connection.features.has_select_for_update else ""  # SQLite has one writer
    question = _READ.format(columns=columns, keys=", ".join(["%s"] * len(keys)))
    with connection.cursor() as cursor:
        cursor.execute(question + lock, [loop, *keys])
        return list(cursor.fetchall())


def _said(statement: str, rows: Sequence[Sequence[str | float]]) -> None:
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)
