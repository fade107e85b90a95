"""The clock is set while a rollout is under way, and while a dead worker holds leases."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.models import Event, Work
from control.store import clock
from control.store.work import LEASE_SECONDS
from deployer.core.clock_jump import Moment, jump_seconds
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
HOUR = 3600.0
SLOW = "minReadySeconds: 5\nstrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}"


@pytest.mark.parametrize(
    ("wall", "monotonic", "jump"),
    [(1, 1, 0), (61, 61, 0), (3601, 1, 3600), (-3599, 1, -3600), (4, 1, 0), (1, 5, 0), (100, 1000, -900)],
)
def test_a_jump_is_what_one_clock_has_and_the_other_has_not(wall: float, monotonic: float, jump: float) -> None:
    before = Moment(1_000_000.0, 500.0)
    assert jump_seconds(before, Moment(1_000_000.0 + wall, 500.0 + monotonic)) == jump
    assert jump_seconds(None, before) == 0


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_rollout_goes_on_when_the_clock_is_set(tmp_path: Path, jump: float) -> None:
    world = World(tmp_path)
    world.add_node("a")
    world.push(web(replicas=2, spec=SLOW))
    world.pass_time(30)
    world.push(web(replicas=2, image="shop/web:2", spec=SLOW))
    world.pass_time(4)
    assert {pod.revision for pod in world.pods()} == {1, 2}, "it is under way"
    world.work.claim("reconcile", world.deployment().uid, world.clock.now())  # by a worker that died with it
    world.clock.at += jump
    clock.set_right(jump, world.clock.now())
    assert not Work.objects.filter(leased_until__gt=world.clock.now() + LEASE_SECONDS).exists()
    world.new_worker()
    world.pass_time(60)
    assert ({pod.revision for pod in world.pods()}, world.ready()) == ({2}, 2)
    assert world.deployment().pin == {}, "nobody's deadline has passed"
    assert Event.objects.filter(reason="ClockJumped").count() == 1
    clock.set_right(jump, world.clock.now())
    world.pass_time(5)
    assert world.ready() == 2
