"""A worker killed at every single change that a rollout makes: nothing is lost, nothing is doubled."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from control.models import Pod
from control.store.work import LEASE_SECONDS
from deployer.adapters.simulated import SimulatedEngine
from tests.scenarios.guillotine import Guillotine, Killed
from tests.scenarios.world import World, pods_of, web

pytestmark = pytest.mark.django_db
CHANGES: list[tuple[type, str]] = [(SimulatedEngine, one) for one in ("create", "start", "stop", "remove")]
"""To be killed at a call that changes nothing is to be killed at the change before it: nothing else is left behind."""
CALLS = [*CHANGES, (SimulatedEngine, "containers"), (SimulatedEngine, "inspect")]


def begin(folder: Path) -> World:
    world = World(folder)
    world.add_node("a")
    world.push(web(replicas=1))
    world.pass_time(5)
    assert world.ready() == 1
    return world


def finish(world: World) -> None:
    """Another worker takes over when the dead one's leases have run out."""
    world.new_worker()
    world.pass_time(LEASE_SECONDS + 30)


def check(world: World) -> None:
    assert world.ready() == len(world.pods()) == Pod.objects.count() == 1
    containers = [one for engine in world.engines.values() for one in pods_of(engine)]
    assert len(containers) == 1, [one.name for one in containers]
    assert {pod.revision for pod in world.pods()} == {2}


def steps_of_a_rollout(
    base: World, folder: Path, monkeypatch: pytest.MonkeyPatch, calls: list[tuple[type, str]]
) -> int:
    world, counter = base.twin(folder), Guillotine(monkeypatch, 0, calls, armed=False)
    counter.armed = True
    world.push(web(image="shop/web:2", replicas=1))
    world.pass_time(5)
    counter.armed = False
    check(world)
    return counter.steps


def test_a_rollout_survives_a_kill_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import transaction

    base = begin(tmp_path / "base")
    with transaction.atomic():
        count = steps_of_a_rollout(base, tmp_path / "count", monkeypatch, CHANGES)
        transaction.set_rollback(True)
    assert count > 20
    for at in range(1, count + 1):
        with monkeypatch.context() as patches, transaction.atomic():
            _killed_at(at, base.twin(tmp_path / str(at)), patches)
            transaction.set_rollback(True)


def _killed_at(at: int, world: World, patches: pytest.MonkeyPatch) -> None:
    guillotine = Guillotine(patches, at, CHANGES, armed=False)
    guillotine.armed = True
    world.push(web(image="shop/web:2", replicas=1))
    with contextlib.suppress(Killed):
        world.pass_time(5)
    guillotine.armed = False
    finish(world)
    try:
        check(world)
    except AssertionError as error:
        raise AssertionError(f"killed at step {at}: {error}") from error
