"""A worker killed at every step of a router's pass, and ports of the host that somebody else has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from control.models import Router
from control.store.work import LEASE_SECONDS
from deployer.adapters.simulated import SimulatedEngine
from deployer.adapters.simulated_router import SimulatedLine
from deployer.core.network.edge import edge_text
from tests.scenarios.guillotine import Guillotine, Killed
from tests.scenarios.test_router import CONTAINERS, components, pods, router, servers, service
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
_CHANGES = ("create", "start", "stop", "remove", "attach", "ensure_network", "ensure_volume", "put_files", "execute")
CALLS = [*((SimulatedEngine, one) for one in _CHANGES), (SimulatedLine, "ask")]


def begin(folder: Path) -> World:
    """One host with a Service whose router has gone, so that one pass makes all of it."""
    world = World(folder)
    engine = world.add_node("a")
    world.push(web(replicas=2), service())
    world.pass_time(5)
    assert world.ready() == 2
    for one in CONTAINERS:
        engine.remove(one)
    engine.remove_volume("pierhead-router")
    world.work.wake("route", Router.objects.get().pk)
    return world


def one_pass(world: World) -> None:
    world.run("route", Router.objects.get().pk)


def check(world: World) -> None:
    assert components(world, "a") == CONTAINERS
    assert servers(world, "a") == pods(world)
    assert router(world, "a").ready
    assert len(world.running()["a"]) == 2


def test_a_pass_survives_a_kill_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = begin(tmp_path / "base")
    with transaction.atomic(), monkeypatch.context() as patches:
        world = base.twin(tmp_path / "count")
        counter = Guillotine(patches, 0, CALLS, armed=True)
        one_pass(world)
        count, counter.armed = counter.steps, False
        check(world)
        transaction.set_rollback(True)
    assert count > 30
    for at in range(1, count + 1):
        with monkeypatch.context() as patches, transaction.atomic():
            _killed_at(at, base.twin(tmp_path / str(at)), patches)
            transaction.set_rollback(True)


def _killed_at(at: int, world: World, patches: pytest.MonkeyPatch) -> None:
    guillotine = Guillotine(patches, at, CALLS, armed=True)
    with contextlib.suppress(Killed):
        one_pass(world)
    guillotine.armed = False
    world.new_worker()
    world.routers = {uid: world.router_access(uid) for uid in world.routers}
    world.pass_time(LEASE_SECONDS + 20)
    try:
        check(world)
    except AssertionError as error:
        raise AssertionError(f"killed at step {at}: {error}") from error


@pytest.mark.parametrize("late_looks", [0, 60])
def test_a_port_that_is_taken_is_told_and_the_others_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late_looks: int
) -> None:
    """HAProxy says so in its log, and would not serve any port of that configuration. On a busy host it takes seconds
    to say so (bug: after three of them all ports were taken for served)."""
    busy, looks = {"port": True}, iter(range(late_looks))
    logs = SimulatedEngine.logs

    def said(self: SimulatedEngine, container: str, **words: Any) -> Iterator[bytes]:
        text = configuration(self)
        if container != "pierhead-edge" or "edge.80 " not in text or not busy["port"]:
            return iter([*logs(self, container, **words), b"[NOTICE] (1) : Loading success.\n"])
        if next(looks, None) is not None:
            return iter(())
        alert = "frontend edge.80: cannot bind socket (Address already in use) for [0.0.0.0:80]"
        return iter([f"[ALERT] (1) : Binding [/pierhead/edge.cfg:9] for {alert}\n".encode(), b"Loading failure!\n"])

    monkeypatch.setattr(SimulatedEngine, "logs", said)
    world = World(tmp_path)
    engine = world.add_node("a")
    both = service(type="LoadBalancer").replace("[{name", "[{name: other, port: 81, targetPort: 8080}, {name")
    world.push(web(replicas=1), both)
    world.pass_time(30)
    one = router(world, "a")
    assert (one.ready, one.reason) == (True, "PortTaken")
    assert any("port 80 of a is taken by another program" in problem for problem in one.problems)
    assert configuration(engine) == edge_text("10.208.8.1", {81})
    busy["port"] = False
    world.pass_time(400)
    assert router(world, "a").reason == "RouterReady"
    assert configuration(engine) == edge_text("10.208.8.1", {80, 81})


def configuration(engine: SimulatedEngine) -> str:
    with engine.host.looking(engine.host.clock.now()) as records:
        found = records.get("pierhead-edge")
        return engine.host.machine(found).files.get("/pierhead/edge.cfg", b"").decode() if found else ""
