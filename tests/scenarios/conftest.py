"""What all scenarios need: time that is theirs alone."""

from __future__ import annotations

from collections.abc import Callable
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


@pytest.fixture(autouse=True)
def nobody_looks_at_a_real_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that takes seconds, on a machine that does other things beside, would have its lease prolonged by a thread
    with a connection of its own; that waits for the test's transaction, in vain."""
    monkeypatch.setattr(single_flight, "KEEP_SECONDS", 3600.0)


@pytest.fixture(autouse=True)
def whatever_lists_show_is_told_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages keep rows and read again what the change log names (`selectors/followed.py`). Whoever writes a row past the
    log is found by the story that makes him do it: what is kept is compared with what is there when all is done, and
    when the time is over that a story lets pass: after every turn of that, it would cost more than the turns."""
    kept, outside = Followed(), True

    def compare() -> None:
        for table, rows in zip(TABLES, kept.look(*TABLES), strict=True):
            fresh: dict[str, dict[str, Any]] = {}
            for namespace, name, row in table.read(Q()):
                fresh.setdefault(namespace, {})[name] = row
            assert rows == fresh, "written past the change log"

    def compared(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(self: World, *args: Any) -> Any:
            nonlocal outside
            mine, outside = outside, False
            try:
                done = call(self, *args)
            finally:
                outside = mine
            if mine:
                compare()
            return done

        return wrapped

    for name in ("settle", "pass_time", "pass_time_watched", "watch"):
        monkeypatch.setattr(World, name, compared(getattr(World, name)))
