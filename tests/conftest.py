"""What every test may ask for, and tables that are made once and emptied without ado."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.test import TransactionTestCase

from tests import tables
from tests.environment import require as require_or_skip

STAY = {"django_content_type", "auth_permission"}
"""Rows that Django makes with the tables, of what models there are."""


@pytest.fixture
def require() -> Callable[[object, str], None]:
    """`require(condition, sentence)`: skip without a real thing, fail without it under CI."""
    return require_or_skip


@pytest.fixture(scope="session")
def django_db_setup(request: pytest.FixtureRequest, django_test_environment: None, django_db_blocker: Any) -> Any:
    """A copy of the tables that are kept; on a server, what pytest-django does."""
    if connection.vendor != "sqlite":
        return request.getfixturevalue("django_db_setup")
    with django_db_blocker.unblock():
        connection.close()
        file = Path(connection.settings_dict["TEST"]["NAME"])
        tables.copy(file)
        for known in (settings.DATABASES["default"], connection.settings_dict):
            known["NAME"] = str(file)
        connection.settings_dict["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"
        request.addfinalizer(connections.close_all)
    return None


@pytest.fixture(scope="session", autouse=True)
def what_was_committed_is_deleted() -> Iterator[None]:
    """A flush makes anew what it need not have deleted, and asks Django for every model of every app: after a test that
    commits, that took longer than most of these tests."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(TransactionTestCase, "_fixture_teardown", _delete_all)
        yield


def _delete_all(_: TransactionTestCase) -> None:
    names = set(connection.introspection.django_table_names(include_views=False)) - STAY
    with transaction.atomic(), connection.cursor() as cursor:
        for name in sorted(names):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(name)}")
