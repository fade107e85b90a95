"""A canary as the routers see it: its pods on a side of their own, less traffic first of all, more last of all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control.models import Pod
from control.store import routing as routing_store
from deployer.adapters.simulated import SimulatedEngine
from deployer.adapters.simulated_router import SimulatedLine
from deployer.adapters.simulated_traffic import send
from deployer.core.canary.values import HeaderMatch, HeaderRoute, Split
from deployer.core.network.runtime import read_servers
from tests.scenarios.test_router import service
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db

BACKEND = "svc.shop.web.80"
CANARY = f"{BACKEND}:canary"
LABELS = (("app", "web"),)
ROUTE = HeaderRoute("team", (HeaderMatch("x-team", "exact", "ours"),))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Split]:
    """What routers are told; a test changes it."""
    found = [Split("shop/web", labels=LABELS)]
    monkeypatch.setattr(routing_store, "splits", lambda: tuple(found))
    return found


@pytest.fixture
def world(tmp_path: Path, told: list[Split]) -> World:
    """Two nodes and four pods, one of which is made the canary."""
    made = World(tmp_path)
    for name in ("a", "b"):
        made.add_node(name)
    made.push(web(replicas=4), service())
    made.pass_time(20)
    assert made.ready() == 4
    first = made.pods()[0]
    Pod.objects.filter(pk=first.pk).update(template_hash="new", revision=2)
    told[0] = replace(told[0], canary_hash="new", stable_hash=first.template_hash)
    wake(made)
    return made


def wake(world: World) -> None:
    routing_store.wake_all(world.work.wake)
    world.settle()


def servers(world: World, backend: str, node: str = "a") -> set[str]:
    (state,) = world.line(node).ask(["show servers state"])
    return {name for name, one in read_servers(state).get(backend, {}).items() if one.is_open}


def weight(world: World, node: str = "a") -> str:
    (said,) = world.line(node).ask(["show map /pierhead/maps/weights.map"])
    return said.rpartition(" ")[2]


def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent to routers and engines from now on, without looks."""
    found: list[str] = []
    ask, put, containers = SimulatedLine.ask, SimulatedEngine.put_files, SimulatedEngine.containers

    def asked(self: SimulatedLine, commands: list[str]) -> list[str]:
        found.extend(f"{self._host.name} {one}" for one in commands if not one.startswith(("show", "get")))
        return ask(self, commands)

    def seen(self: SimulatedEngine, *words: Any) -> Any:
        found.append(f"{self.host.name} containers")
        return containers(self, *words)

    def written(self: SimulatedEngine, *words: Any) -> None:
        found.append(f"{self.host.name} put")
        put(self, *words)

    monkeypatch.setattr(SimulatedLine, "ask", asked)
    monkeypatch.setattr(SimulatedEngine, "containers", seen)
    monkeypatch.setattr(SimulatedEngine, "put_files", written)
    return found


def loads(world: World) -> list[str]:
    return [world.line(node).ask(["show info"])[0].partition("Pid: ")[2].split()[0] for node in ("a", "b")]


def test_a_canary_has_a_side_of_its_own_in_every_router(world: World, told: list[Split]) -> None:
    new, *old = (f"shop.{pod.name}" for pod in world.pods())
    for node in ("a", "b"):
        assert servers(world, BACKEND, node) == {*old, f"{new}_backup"}
        assert servers(world, CANARY, node) == {new, *(f"{name}_backup" for name in old)}
    before = loads(world)
    told[0] = replace(told[0], weight=2000)
    wake(world)
    found = send(world.engines["b"], BACKEND, 1000)
    assert found[f"{CANARY}/{new}"] == 200 and sum(found.values()) in range(998, 1001)
    told[0] = Split("shop/web", labels=LABELS)
    wake(world)
    world.pass_time(20)
    assert servers(world, BACKEND) == {new, *old} and not servers(world, CANARY)
    assert loads(world) == before


def test_less_goes_before_everything_else(world: World, told: list[Split], monkeypatch: pytest.MonkeyPatch) -> None:
    told[0] = replace(told[0], weight=5000, headers=(ROUTE,))
    wake(world)
    assert weight(world) == "5000"
    seen = done(monkeypatch)
    told[0] = replace(told[0], weight=0, headers=(), withdrawn=True)
    wake(world)
    for node in ("a", "b"):
        mine = [one.partition(" ")[2] for one in seen if one.startswith(f"{node} ")]
        assert "set map /pierhead/maps/weights.map svc.shop.web.80 0" in mine[0]
        assert mine[0].startswith("del map /pierhead/maps/header-routes.map")
        assert weight(world, node) == "0"


def test_more_comes_when_its_servers_are_there(
    world: World, told: list[Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = world.pods()[1]
    Pod.objects.filter(pk=second.pk).update(template_hash="new", revision=2)
    seen = done(monkeypatch)
    told[0] = replace(told[0], weight=5000)
    wake(world)
    mine = [one for one in seen if one.startswith("a ")]
    added = next(place for place, one in enumerate(mine) if f"add server {CANARY}/shop.{second.name} " in one)
    assert added < next(place for place, one in enumerate(mine) if "weights.map" in one and "commit" in one)
    assert weight(world) == "5000"


def test_a_router_that_does_not_answer_is_told_by_the_pass(world: World, told: list[Split]) -> None:
    world.engines["a"].host.cut_off()
    told[0] = replace(told[0], weight=5000)
    wake(world)
    assert weight(world, "b") == "5000"
    world.engines["a"].host.reconnect()
    world.pass_time(90)
    assert weight(world) == "5000"
