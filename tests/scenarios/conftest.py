"""What all scenarios need: time that is theirs alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models import Q

from control.selectors.application_rows import APPLICATIONS
from control.selectors.backing import PODS
from control.selectors.connecting import INGRESSES, SERVICES
from control.selectors.deployment_facts import DEPLOYMENTS
from control.selectors.followed import Followed
from deployer.loops import single_flight
from tests.scenarios.world import World

TABLES = (APPLICATIONS, DEPLOYMENTS, SERVICES, INGRESSES, PODS)
TURNS_BETWEEN_LOOKS = 10


@pytest.fixture(autouse=True)
def nobody_looks_at_a_real_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that takes seconds, on a machine that does other things beside, would have its lease prolonged by a thread
    with a connection of its own; that waits for the test's transaction, in vain."""
    monkeypatch.setattr(single_flight, "KEEP_SECONDS", 3600.0)


@pytest.fixture(autouse=True)
def whatever_lists_show_is_told_when_it_is_written(
    _django_db_marker: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Pages keep rows and read again what the change log names (`selectors/followed.py`). Whoever writes a row past the
    log is found by the story that makes him do it: what is kept is compared with what is there when the story is over,
    and now and then before: to compare after every turn would cost more than the turns."""
    kept, calls = Followed(), 0

    def compare() -> None:
        for table, rows in zip(TABLES, kept.look(*TABLES), strict=True):
            fresh: dict[str, dict[str, Any]] = {}
            for namespace, name, row in table.read(Q()):
                fresh.setdefault(namespace, {})[name] = row
            assert rows == fresh, "written past the change log"

    def compared(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(self: World, *args: Any) -> Any:
            nonlocal calls
            if calls % TURNS_BETWEEN_LOOKS == 0:
                compare()
            calls += 1
            return call(self, *args)

        return wrapped

    monkeypatch.setattr(World, "settle", compared(World.settle))
    yield
    if calls:
        compare()
