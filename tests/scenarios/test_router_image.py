"""A router whose image nobody has, until somebody has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.test_router import pods, router, servers, service
from tests.scenarios.world import World, web

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
