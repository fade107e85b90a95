"""What only a server does: it ends sessions. Collected by name, in every run of the suite, by test_production.py.

Not named test_*, for on SQLite there is nothing to test here, and nothing to skip.
"""

from __future__ import annotations

import pytest
from django.db import close_old_connections, connection, transaction

from control.models import Namespace
from control.postgresql.base import IDLE_SECONDS
from control.store import objects
from control.store.work import LEASE_SECONDS
from tests.control.test_contention import NOW, rows, side_by_side

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


def _end_idle_sessions() -> None:
    with connection.cursor() as cursor:
        cursor.execute(IDLE_TRANSACTION)
