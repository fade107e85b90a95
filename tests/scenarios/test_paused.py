"""A worker that is stopped beyond its lease, at every kind of step, while another takes over, and goes on afterwards.

That is two control planes on one database as well: what the first one still does, it does beside the second.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import transaction

from control.store.work import LEASE_SECONDS
from deployer.ports import LeaseLost
from tests.scenarios.guillotine import Icebox
from tests.scenarios.test_crash import CALLS, begin, check, steps_of_a_rollout
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
STRIDE = 4


def test_a_worker_that_was_stopped_in_mid_rollout_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = begin(tmp_path / "base")
    with transaction.atomic():
        count = steps_of_a_rollout(base, tmp_path / "count", monkeypatch, CALLS)
        transaction.set_rollback(True)
    for at in range(1, count + 1, STRIDE):
        with monkeypatch.context() as patches, transaction.atomic():
            _stopped_at(at, base.twin(tmp_path / str(at)), patches)
            transaction.set_rollback(True)


def _stopped_at(at: int, world: World, patches: pytest.MonkeyPatch) -> None:
    first = world.work

    def meanwhile() -> None:
        world.clock.at += LEASE_SECONDS + 1
        world.new_worker()
        world.pass_time(LEASE_SECONDS + 20)
        check(world)
        world.work = first

    icebox = Icebox(patches, at, CALLS, meanwhile)
    world.push(web(image="shop/web:2", replicas=1))
    icebox.armed = True
    try:
        world.pass_time(5)
    except LeaseLost as lost:  # said by a loop, not by us: nobody else may see it
        raise AssertionError(f"stopped at step {at}: {lost}") from lost
    icebox.armed = False
    world.new_worker()
    world.pass_time(LEASE_SECONDS + 60)
    try:
        check(world)
    except AssertionError as error:
        raise AssertionError(f"stopped at step {at}: {error}") from error
