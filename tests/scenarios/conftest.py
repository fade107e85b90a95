"""What all scenarios need: time that is theirs alone."""

from __future__ import annotations

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
    log is found by the story that makes him do it: what is kept is compared with what is there, each time all is
    done."""
    kept, settle = Followed(), World.settle

    def settled(self: World) -> int:
        done = settle(self)
        for table, rows in zip(TABLES, kept.look(*TABLES), strict=True):
            fresh: dict[str, dict[str, Any]] = {}
            for namespace, name, row in table.read(Q()):
                fresh.setdefault(namespace, {})[name] = row
            assert rows == fresh, "written past the change log"
        return done

    monkeypatch.setattr(World, "settle", settled)
