"""A router whose image nobody has, until somebody has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployer.core.network.routing import RouterOutcome
from deployer.loops.router_turn import RouterTurn
from tests.scenarios.test_router import pods, router, servers, service
from tests.scenarios.world import FakeClock, World, web

pytestmark = pytest.mark.django_db


def test_an_image_that_cannot_be_had_is_told_with_the_setting_until_it_is_there(tmp_path: Path, settings: Any) -> None:
    settings.PIERHEAD = replace(settings.PIERHEAD, router_image="registry.test/missing-router:1")
    world = World(tmp_path)
    engine = world.add_node("a")
    world.push(web(replicas=1), service())
    world.pass_time(20)
    one = router(world, "a")
    assert (one.ready, one.reason) == (False, "RouterImageMissing")
    assert "PIERHEAD_ROUTER_IMAGE" in one.message
    assert "registry.test/missing-router:1" in one.message
    assert world.ready() == 1, "pods without network probes run without a router"
    engine.load_image("registry.test/missing-router:1")
    world.pass_time(70)
    assert router(world, "a").reason == "RouterReady"
    assert servers(world, "a") == pods(world)


@pytest.mark.parametrize(
    ("hosts", "failures", "pause"), [(2, 0, 5), (2, 9, 60), (99, 0, 5), (99, 4, 80), (99, 9, 495), (999, 10, 900)]
)
def test_many_that_fail_are_tried_as_often_as_fits_into_a_fifth_of_a_core(
    hosts: int, failures: int, pause: float
) -> None:
    """Bug: each was tried every minute, whatever a pass costs: a hundred hosts without the image took two cores."""
    clock, cluster = FakeClock(), SimpleNamespace(nodes=[None] * hosts)
    routed: Any = SimpleNamespace(retry=failures, cluster=cluster, wake_at=None)
    turn = RouterTurn(None, routed, clock, 1, clock.now() - 1)  # type: ignore[arg-type]
    failed = RouterOutcome(False, "ImagePullFailed", "nobody has it")
    assert turn._wake_at(failed) - clock.now() == pause
