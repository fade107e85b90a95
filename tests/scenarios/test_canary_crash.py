"""A worker killed at steps of a canary's life: nothing is lost, doubled, promoted or aborted by mistake."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import transaction

from control.models import AnalysisRun
from control.store.work import LEASE_SECONDS
from tests.scenarios.canary_shop import SERVICE, CanaryShop, shop
from tests.scenarios.guillotine import Guillotine, Killed
from tests.scenarios.test_rollout_kinds import TEMPLATE, rollout
from tests.scenarios.world import pods_of

pytestmark = pytest.mark.django_db
ASKED = "templates: [{templateName: errors}]"
STEPS = (
    f"strategy: {{canary: {{steps: [{{setWeight: 50}}, {{analysis: {{{ASKED}}}}}], abortScaleDownDelaySeconds: 1}}}}"
)
GREEN = (
    f"strategy: {{blueGreen: {{activeService: web, prePromotionAnalysis: {{{ASKED}}}, scaleDownDelaySeconds: 2, "
    "abortScaleDownDelaySeconds: 1}}"
)


@dataclass(frozen=True)
class Kind:
    """`write`: its manifests with this image. `good`, `bad`: how its life ends. Each kill costs a life: one of so many
    (`stride`) steps is tried."""

    write: Callable[[str], tuple[str, ...]]
    good: str
    bad: str
    stride: int


KINDS = {
    "annotation": Kind(
        lambda image: (shop(image, replicas=1, annotations="{pierhead.io/canary: '50% for 10m'}"),),
        "Completed at 2, 0 %, 2:1", "Aborted at 1, 0 %, 1:1", 23,
    ),
    "canary": Kind(
        lambda image: (rollout(STEPS, image=image, replicas=1), SERVICE, TEMPLATE),
        "Completed at 2, 0 %, 2:1", "Aborted at 1, 0 %, 1:1", 41,
    ),
    "blue-green": Kind(
        lambda image: (rollout(GREEN, image=image, replicas=1), SERVICE, TEMPLATE),
        "Completed at 3, 0 %, 2:1", "Aborted at 1, 0 %, 1:1", 41,
    ),
}  # fmt: skip


def begin(folder: Path, kind: Kind) -> CanaryShop:
    world = CanaryShop(folder)
    world.add_node("a")
    world.push(*kind.write("shop/web:1"))
    world.pass_time(5)
    assert world.where() == "Completed at 0, 0 %, 1:1"
    return world


def live(world: CanaryShop, kind: Kind, verdict: str) -> None:
    world.push(*kind.write("shop/web:2"))
    world.pass_time(5)
    world.judge(verdict, "as the story says")
    world.pass_time(8)


def check(world: CanaryShop, kind: Kind, verdict: str) -> None:
    assert world.where() == {"Successful": kind.good, "Failed": kind.bad}[verdict]
    assert len([one for engine in world.engines.values() for one in pods_of(engine)]) == 1
    assert AnalysisRun.objects.count() == 1
    assert bool(world.deployment().pin) == (verdict == "Failed")


@pytest.mark.parametrize("verdict", ["Successful", "Failed"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_canary_survives_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, verdict: str) -> None:
    """At commits only: calls of an engine know nothing of a canary."""
    base = begin(tmp_path / "base", kind)
    with transaction.atomic():
        world, counter = base.twin(tmp_path / "count"), Guillotine(monkeypatch, 0, [], armed=True)
        live(world, kind, verdict)
        counter.armed = False
        check(world, kind, verdict)
        transaction.set_rollback(True)
    assert counter.steps > 20
    first = {"Successful": 1, "Failed": 3}[verdict]
    for at in range(first, counter.steps + 1, kind.stride):
        with monkeypatch.context() as patches, transaction.atomic():
            _killed_at(at, base.twin(tmp_path / str(at)), patches, kind, verdict)
            transaction.set_rollback(True)


def _killed_at(at: int, world: CanaryShop, patches: pytest.MonkeyPatch, kind: Kind, verdict: str) -> None:
    guillotine = Guillotine(patches, at, [], armed=True)
    with contextlib.suppress(Killed):
        live(world, kind, verdict)
    guillotine.armed = False
    world.new_worker()
    world.pass_time(LEASE_SECONDS + 10)
    world.judge(verdict, "as the story says")
    world.pass_time(20)
    try:
        check(world, kind, verdict)
    except AssertionError as error:
        raise AssertionError(f"killed at step {at}: {error}") from error
