"""A cluster that many stories of a file begin with, made once: each of them has a twin of it, and takes back its rows.

@pytest.fixture(scope="module")
def base(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from standing(django_db_blocker, lambda: begun(tmp_path_factory.mktemp("base")))

A story of such a file that makes a cluster of its own would find the rows of this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from django.db import transaction

from deployer.loops import single_flight
from tests.scenarios.world import World

Some = TypeVar("Some", bound=World)


def standing(blocker: Any, build: Callable[[], Some]) -> Iterator[Some]:
    """What `build` makes, in a transaction around those of the tests: the body of a fixture of a module."""
    atomic = transaction.atomic()
    with pytest.MonkeyPatch.context() as patches, blocker.unblock():
        patches.setattr(single_flight, "KEEP_SECONDS", 3600.0)  # as for each test, see conftest.py
        atomic.__enter__()
        made = build()
    yield made
    with blocker.unblock():
        transaction.set_rollback(True)
        atomic.__exit__(None, None, None)
