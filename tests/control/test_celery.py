"""What a worker's thread does with its database connection between tasks: keeps it, and drops one that is broken."""

from __future__ import annotations

import pytest
from celery.fixups.django import DjangoWorkerFixup
from celery.signals import task_postrun
from django.db import connection

from control.celery import app
from control.models import Node

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_task_ends_with_its_connection_open() -> None:
    assert not Node.objects.exists()
    kept = connection.connection
    DjangoWorkerFixup(app).close_database()  # as before and after each task
    task_postrun.send(None)
    assert connection.connection is kept is not None


def test_a_connection_that_failed_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Node.objects.exists()
    connection.errors_occurred = True
    monkeypatch.setattr(connection, "is_usable", lambda: False)
    task_postrun.send(None)
    assert connection.connection is None
    assert not Node.objects.exists(), "the next task has a new one"
