"""What only a server does: it ends sessions. Collected by name, in every run of the suite, by test_production.py.

Not named test_*, for on SQLite there is nothing to test here, and nothing to skip.
"""

from __future__ import annotations

import threading
import time

import pytest
from django.db import close_old_connections, connection, transaction

from control.models import Namespace
from control.postgresql.base import IDLE_SECONDS
from control.store import objects
from control.store.work import LEASE_SECONDS
from tests.control.test_contention import NOW, THREADS, rows, side_by_side

LOOKED_SECONDS, LONGEST_SECONDS = 0.5, 30.0  # on a busy machine it takes a while until anybody is in the queue
IDLE_TRANSACTION = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_connection_that_is_cut_in_a_transaction_costs_that_transaction() -> None:
    def cut() -> None:
        rows().wake("sync", "a")
        lease = rows().claim("sync", "a", NOW)
        assert lease is not None
        with rows().fenced(lease):
            objects.create([Namespace(name="late")])
            side_by_side(_end_idle_sessions)
            objects.create([Namespace(name="later")])

    (error,) = side_by_side(cut)
    assert "terminating connection" in str(error)
    close_old_connections()
    assert not Namespace.objects.exists()
    rows().wake("sync", "b")
    assert rows().due(NOW) == [("sync", "b")]


def test_a_process_that_stops_in_a_transaction_is_ended_by_the_server() -> None:
    """It would hold up every other writer: while it is cut off, its session looks alive."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == (f"{IDLE_SECONDS}s",)
        assert LEASE_SECONDS < IDLE_SECONDS
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("0",)


def test_of_one_process_one_thread_queues_for_the_lock() -> None:
    """Paused with all of its threads in the queue, each held everybody up until the server had ended it."""
    queue = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    most, arrived = [0], threading.Barrier(THREADS + 1)

    def write() -> None:
        arrived.wait()
        with transaction.atomic():
            pass

    def watch() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            arrived.wait()
            began = time.monotonic()
            while (passed := time.monotonic() - began) < LONGEST_SECONDS and not (most[0] and passed > LOOKED_SECONDS):
                cursor.execute(queue)
                most[0] = max(most[0], cursor.fetchone()[0])

    assert side_by_side(watch, *[write] * THREADS) == []
    assert most == [1]


def _end_idle_sessions() -> None:
    with connection.cursor() as cursor:
        cursor.execute(IDLE_TRANSACTION)
