"""A worker killed at steps of a canary's life: nothing is lost, doubled, promoted or aborted by mistake."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from django.db import transaction

from control.models import AnalysisRun
from control.store.work import LEASE_SECONDS
from tests.scenarios.canary_shop import CanaryShop, shop
from tests.scenarios.guillotine import Guillotine, Killed
from tests.scenarios.world import pods_of

pytestmark = pytest.mark.django_db
STEPS = "{pierhead.io/canary: '50% for 10m'}"
STRIDES = {"Successful": 23, "Failed": 17}
"""Each kill costs a life of a canary."""


def begin(folder: Path) -> CanaryShop:
    world = CanaryShop(folder)
    world.add_node("a")
    world.push(shop(replicas=1, annotations=STEPS))
    world.pass_time(5)
    assert world.where() == "Completed at 0, 0 %, 1:1"
    return world


def live(world: CanaryShop, verdict: str) -> None:
    world.push(shop("shop/web:2", replicas=1, annotations=STEPS))
    world.pass_time(5)
    world.judge(verdict, "as the story says")
    world.pass_time(8)


def check(world: CanaryShop, verdict: str) -> None:
    expected = {"Successful": "Completed at 2, 0 %, 2:1", "Failed": "Aborted at 1, 0 %, 1:1"}[verdict]
    assert world.where() == expected
    assert len([one for engine in world.engines.values() for one in pods_of(engine)]) == 1
    assert AnalysisRun.objects.count() == 1
    assert bool(world.deployment().pin) == (verdict == "Failed")


@pytest.mark.parametrize("verdict", ["Successful", "Failed"])
def test_a_canary_survives_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: str) -> None:
    """At commits only: calls of an engine know nothing of a canary."""
    base = begin(tmp_path / "base")
    with transaction.atomic():
        world, counter = base.twin(tmp_path / "count"), Guillotine(monkeypatch, 0, [], armed=True)
        live(world, verdict)
        counter.armed = False
        check(world, verdict)
        transaction.set_rollback(True)
    assert counter.steps > 20
    first = {"Successful": 1, "Failed": 3}[verdict]
    for at in range(first, counter.steps + 1, STRIDES[verdict]):
        with monkeypatch.context() as patches, transaction.atomic():
            _killed_at(at, base.twin(tmp_path / str(at)), patches, verdict)
            transaction.set_rollback(True)


def _killed_at(at: int, world: CanaryShop, patches: pytest.MonkeyPatch, verdict: str) -> None:
    guillotine = Guillotine(patches, at, [], armed=True)
    with contextlib.suppress(Killed):
        live(world, verdict)
    guillotine.armed = False
    world.new_worker()
    world.pass_time(LEASE_SECONDS + 10)
    world.judge(verdict, "as the story says")
    world.pass_time(20)
    try:
        check(world, verdict)
    except AssertionError as error:
        raise AssertionError(f"killed at step {at}: {error}") from error
