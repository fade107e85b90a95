"""Routers as a person tells it: who gets whose endpoints, when a pod is in, when it is out, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from control.models import Pod, Router
from deployer.adapters.simulated import SimulatedEngine
from deployer.adapters.simulated_router import SimulatedLine
from deployer.core.container import LABEL_COMPONENT, ExecResult
from deployer.core.network.runtime import read_servers, read_stats
from deployer.ports import EngineError
from tests.scenarios.standing import standing
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db

READINESS = "readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 2}"
CONTAINERS = ["pierhead-router", "pierhead-router-dns", "pierhead-router-net"]
BACKEND = "svc.shop.web.80"
REFUSAL = "[ALERT] config : parsing [/pierhead/haproxy.cfg.new:7] : unknown keyword 'boom' in 'global' section"


def service(name: str = "web", **words: Any) -> str:
    more = "".join(f"  {key}: {value}\n" for key, value in words.items())
    ports = "  ports: [{name: http, port: 80, targetPort: 8080}]\n"
    return (
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  selector: {{app: {name}}}\n{ports}{more}"
    )


def served(folder: Path) -> World:
    made = World(folder)
    for name in ("a", "b"):
        made.add_node(name)
    made.push(web(), service())
    made.pass_time(20)
    assert made.ready() == 3
    return made


@pytest.fixture(scope="module")
def base(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from standing(django_db_blocker, lambda: served(tmp_path_factory.mktemp("base")))


@pytest.fixture
def world(base: World, db: None, tmp_path: Path) -> World:
    return base.twin(tmp_path)


def servers(world: World, node: str, backend: str = BACKEND) -> set[str]:
    """The pods that the router of a node leads to: servers that are open and not down."""
    state, stat = world.line(node).ask(["show servers state", "show stat -1 4 -1"])
    down = {row.server for row in read_stats(stat) if row.proxy == backend and row.status.startswith("DOWN")}
    found = read_servers(state).get(backend, {})
    return {name.removesuffix("_next") for name, one in found.items() if one.is_open} - down


def pods(world: World) -> set[str]:
    return {f"shop.{pod.name}" for pod in world.pods()}


def router(world: World, node: str) -> Router:
    return Router.objects.get(node__name=node)


def components(world: World, node: str) -> list[str]:
    found = world.engines[node].containers()
    return sorted(one.name for one in found if LABEL_COMPONENT in one.labels and one.state == "running")


def watched(monkeypatch: pytest.MonkeyPatch, seen: Callable[[str, str, str], None]) -> None:
    """`seen` is told of every line command that was taken and of every container that is stopped: host, what, whose."""
    ask, stop = SimulatedLine.ask, SimulatedEngine.stop

    def asked(self: SimulatedLine, commands: list[str]) -> list[str]:
        answers = ask(self, commands)
        for command in commands:
            if not command.startswith(("show", "get")):
                seen(self._host.name, " ".join(command.split()[:2]), command)
        return answers

    def stopped(self: SimulatedEngine, container: str, grace_seconds: int) -> None:
        seen(self.host.name, "stop", container)
        stop(self, container, grace_seconds)

    monkeypatch.setattr(SimulatedLine, "ask", asked)
    monkeypatch.setattr(SimulatedEngine, "stop", stopped)


def test_a_service_gets_its_endpoints_in_every_router(world: World) -> None:
    assert servers(world, "a") == servers(world, "b") == pods(world)
    for node in ("a", "b"):
        assert (router(world, node).reason, components(world, node)) == ("RouterReady", CONTAINERS)
    world.push(web(replicas=5), service())
    world.pass_time(20)
    assert servers(world, "a") == servers(world, "b") == pods(world)
    assert len(pods(world)) == 5


def test_nothing_to_do_sends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str, str]] = []
    puts: list[str] = []
    put = SimulatedEngine.put_files
    world.pass_time(70)
    watched(monkeypatch, lambda *what: said.append(what))
    monkeypatch.setattr(
        SimulatedEngine, "put_files", lambda self, *rest: (puts.append(self.host.name), put(self, *rest))
    )
    for uid in world.routers:
        world.work.wake("route", uid)
    world.settle()
    assert (said, puts) == ([], [])


def test_what_runs_is_changed_before_any_file_is_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """To write files takes the engine longer than all the rest, and a router reads them at its start only."""
    done: dict[str, list[str]] = {"a": [], "b": []}
    watched(monkeypatch, lambda host, what, whose: done[host].append(what))
    put = SimulatedEngine.put_files
    monkeypatch.setattr(
        SimulatedEngine, "put_files", lambda self, *rest: (done[self.host.name].append("files"), put(self, *rest))
    )
    world.push(web(replicas=5), service())
    world.settle()
    for what in done.values():
        assert "add server" in what
        assert what.index("add server") < what.index("files")


def test_a_readiness_probe_decides(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = SimulatedLine.ask

    def failing(self: SimulatedLine, commands: list[str]) -> list[str]:
        return [one.replace("L7OK", "L7STS").replace("UP,", "DOWN,") for one in checked(self, commands)]

    old = pods(world)
    with monkeypatch.context() as patches:
        patches.setattr(SimulatedLine, "ask", failing)
        world.push(web(container=READINESS, image="shop/web:2"), service())
        world.pass_time_watched(10)
        fresh = next(pod for pod in world.pods() if f"shop.{pod.name}" not in old)
        assert not fresh.ready
        assert "readiness probe" in fresh.message
    assert servers(world, "a") == servers(world, "b") == old
    world.pass_time_watched(30)
    assert world.ready() == 3
    assert servers(world, "a") == servers(world, "b") == pods(world)
    assert pods(world).isdisjoint(old)


def test_a_host_whose_disk_is_full_still_tells_who_is_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bug: files that could not be written ended the pass before it had said what the probes found."""
    world.push(web(container=READINESS), service())
    world.pass_time(20)
    put, full = SimulatedEngine.put_files, True

    def refusing(self: SimulatedEngine, name: str, *arguments: Any) -> None:
        if full and self.host.name == "b" and name == "pierhead-router":
            raise EngineError("DiskFull", "b: cannot put files: no space left on device")
        put(self, name, *arguments)

    monkeypatch.setattr(SimulatedEngine, "put_files", refusing)
    world.push(web(replicas=6, container=READINESS), service())
    world.pass_time(20)
    assert (world.ready(), {pod.node.name for pod in world.pods() if pod.node}) == (6, {"a", "b"})
    found = router(world, "b")
    assert found.ready
    assert found.message == (
        "b: cannot put files: no space left on device; a restart would bring back what its router was before"
    )
    full = False
    world.pass_time(61)
    assert router(world, "b").message == "serves 2 networks"


def test_a_rolling_update_is_out_of_every_router_before_it_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[str] = []
    early: list[str] = []

    def seen(host: str, what: str, whose: str) -> None:
        if what == "stop":
            led_to = servers(world, "a") | servers(world, "b")
            early.extend(name for name in led_to if whose.startswith(f"pierhead-{name.replace('.', '-', 1)}-"))
        elif what in ("set server", "del server", "enable server"):
            emptied.extend(node for node in ("a", "b") if not servers(world, node))

    watched(monkeypatch, seen)
    old = pods(world)
    world.push(web(image="shop/web:2", container=READINESS), service())
    world.pass_time_watched(40)
    assert pods(world).isdisjoint(old)
    assert world.ready() == 3
    assert (emptied, early) == ([], [])


def test_a_container_of_the_router_that_was_removed_comes_back_with_everything(world: World) -> None:
    for component in CONTAINERS:
        world.engines["a"].remove(component)
        world.work.wake("route", router(world, "a").pk)
        world.pass_time(5)
        assert components(world, "a") == CONTAINERS, component
        assert servers(world, "a") == pods(world), component
        assert router(world, "a").ready, component


def test_all_of_a_router_is_made_again_when_its_host_was_emptied(world: World) -> None:
    engine = world.engines["a"]
    for component in CONTAINERS:
        engine.remove(component)
    engine.remove_volume("pierhead-router")
    world.work.wake("route", router(world, "a").pk)
    world.pass_time(10)
    assert components(world, "a") == CONTAINERS
    assert servers(world, "a") == pods(world)


def test_a_stopped_router_is_started_and_a_paused_look_is_no_pod(world: World) -> None:
    world.engines["b"].stop("pierhead-router", 0)
    world.work.wake("route", router(world, "b").pk)
    world.pass_time(5)
    assert components(world, "b") == CONTAINERS
    world.event("b")
    world.pass_time(5)
    assert Pod.objects.filter(orphaned=True).count() == 0, "nobody takes a router for a pod"


def test_another_process_finds_all_well(world: World) -> None:
    world.new_worker()
    for uid in list(world.routers):
        world.routers[uid] = world.router_access(uid)
        world.work.wake("route", uid)
    world.pass_time(10)
    assert servers(world, "a") == servers(world, "b") == pods(world)
    assert router(world, "a").ready


def test_a_refused_configuration_keeps_the_old_one_and_pods_still_come_and_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = SimulatedEngine.execute

    def refusing(
        self: SimulatedEngine, container: str, command: tuple[str, ...], *rest: Any, **more: Any
    ) -> ExecResult:
        if command[:2] == ("haproxy", "-c"):
            return ExecResult(1, REFUSAL)
        return execute(self, container, command, *rest, **more)

    with monkeypatch.context() as patches:
        patches.setattr(SimulatedEngine, "execute", refusing)
        world.push(web(replicas=4), service(), service("api"), web("api", replicas=1))
        world.pass_time(30)
        one = router(world, "a")
        assert (one.ready, one.reason) == (False, "RouterRefusedConfig")
        assert REFUSAL in one.message
        assert servers(world, "a") == pods(world), "the fourth is served by the configuration that runs"
    world.pass_time(60)
    assert router(world, "a").reason == "RouterReady"
    assert len(servers(world, "a", "svc.shop.api.80")) == 1


def test_a_silent_host_is_unknown_and_catches_up(world: World) -> None:
    world.engines["b"].host.cut_off()
    world.push(web(replicas=4), service())
    world.work.wake("route", router(world, "b").pk)
    world.pass_time(10)
    assert router(world, "b").reason == "Unknown"
    world.engines["b"].host.reconnect()
    world.pass_time(30)
    assert router(world, "b").reason == "RouterReady"
    assert servers(world, "b") == pods(world)


def test_the_hosts_ports_are_opened_and_closed(world: World) -> None:
    world.push(web(), service(type="NodePort"))
    world.pass_time(20)
    assert components(world, "a") == ["pierhead-edge", *CONTAINERS]
    assert router(world, "a").reason == "RouterReady"
    with world.engines["a"].host.looking(world.clock.now()) as records:
        loads = records["pierhead-edge"].loads
    for uid in list(world.routers):
        world.routers[uid] = world.router_access(uid)
        world.work.wake("route", uid)
    world.pass_time(20)
    with world.engines["a"].host.looking(world.clock.now()) as records:
        assert records["pierhead-edge"].loads == loads, "another process need not load it again"
    world.push(web(), service())
    world.pass_time(20)
    assert components(world, "a") == CONTAINERS
