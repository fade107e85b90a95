"""Nodes that are taken off the record, and bare pods that were to be replaced there: none is lost, none returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from control.models import Event, Node, Pod, Work
from control.services import nodes as node_services
from deployer.adapters.simulated import SimulatedEngine
from deployer.core.survival.states import DEAD
from tests.scenarios.test_drain import ADA, bare, cluster
from tests.scenarios.world import World, pods_of, web

pytestmark = pytest.mark.django_db
NEWER = bare().replace("shop/tool:1", "shop/tool:2")


def forget(world: World, name: str) -> None:
    """What the processes do once a node is off the record."""
    gone = next(uid for uid, one in world.access.items() if one.name == name)
    for known in (world.access, world.routers, world.looks):
        known.pop(gone)
    world.heart.forget(gone)
    del world.engines[name]


def home_of(pod: str) -> str:
    row = Pod.objects.select_related("node").get(name=pod)
    assert row.node is not None
    return row.node.name


def image_of(pod: str) -> str:
    return str(Pod.objects.get(name=pod).spec["containers"][0]["image"])


def test_a_pod_that_was_being_replaced_when_its_host_went_is_made_elsewhere(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=1), bare())
    home = home_of("tool")
    world.engines[home].host.power_off()
    world.settle()
    world.push(web(replicas=1), NEWER)
    world.watch(10)
    assert world.node(home).reason == DEAD
    assert home_of("tool") != home
    assert (image_of("tool"), Pod.objects.get(name="tool").ready) == ("shop/tool:2", True)


def test_removing_a_node_loses_no_pod_that_was_being_replaced_there(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=1), bare())
    home = home_of("tool")
    world.engines[home].host.power_off()
    Node.objects.filter(name=home).update(ready=False, reason="Unknown")
    world.push(web(replicas=1), NEWER)
    world.settle()
    assert Pod.objects.get(name="tool").replacement
    node_services.remove(home, ADA, force=True)
    forget(world, home)
    world.watch(10)
    assert (image_of("tool"), Pod.objects.get(name="tool").ready) == ("shop/tool:2", True)


def test_what_git_gave_up_while_it_moved_does_not_return(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=1), bare())
    home = home_of("tool")
    world.engines[home].host.cut_off()  # so that it cannot be stopped yet
    node_services.drain(home, ADA)
    world.settle()
    assert Pod.objects.get(name="tool").replacement
    world.push(web(replicas=1))
    world.settle()
    world.engines[home].host.reconnect()
    world.watch(20)
    assert not Pod.objects.filter(name="tool").exists()
    assert not any("tool" in one.name for engine in world.engines.values() for one in pods_of(engine))


def test_a_pod_that_has_done_its_work_does_it_only_once(tmp_path: Path) -> None:
    once = bare().replace("spec: {", "spec: {restartPolicy: Never, ")
    command = "'shop/tool:1', command: [sh, -c, 'exit 0']"
    world = cluster(tmp_path, web(replicas=1), once.replace("'shop/tool:1'", command))
    world.pass_time_watched(10)
    assert Pod.objects.get(name="tool").phase == "Succeeded"
    home = home_of("tool")
    Node.objects.filter(name=home).update(ready=False, reason="Unknown")
    node_services.remove(home, ADA, force=True)
    forget(world, home)
    world.watch(10)
    assert not Pod.objects.filter(name="tool").exists()


@pytest.mark.parametrize("call", ["create", "containers"])
def test_a_node_that_is_removed_in_the_middle_of_a_turn_stays_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    world = cluster(tmp_path, web(replicas=2), names="ab")
    gone, made = world.node("b").uid, getattr(SimulatedEngine, call)
    removed: list[str] = []

    def meanwhile(engine: SimulatedEngine, *arguments: Any, **options: Any) -> Any:
        if engine is world.engines.get("b") and not removed:
            removed.append("b")
            node_services.remove("b", ADA, force=True)
        return made(engine, *arguments, **options)

    monkeypatch.setattr(SimulatedEngine, call, meanwhile)
    node_services.cordon("a", ADA)
    world.push(web(replicas=2, image="shop/web:2"))
    world.event("b")
    for _ in range(20):
        if not removed:
            world.pass_time(1)
    assert removed
    node_services.cordon("a", ADA, cordoned=False)
    forget(world, "b")
    world.watch(20)
    assert world.ready() == 2
    assert [node.name for node in Node.objects.all()] == ["a"]
    assert not Work.objects.filter(key=gone).exists(), "nobody works for it"
    assert not Event.objects.filter(reason="Adopted").exists()


def test_a_bare_pod_that_runs_on_a_host_that_came_back_is_told_of(tmp_path: Path) -> None:
    """Two hosts claim one name. Which one is right nobody here can know: the one on record stands, and it is told."""
    world = cluster(tmp_path, web(replicas=1), bare())
    home = home_of("tool")
    engine = world.engines[home]
    engine.host.cut_off()
    world.watch(8)
    assert world.node(home).reason == DEAD
    node_services.remove(home, ADA)
    forget(world, home)
    world.watch(5)
    engine.host.reconnect()
    world.add_node(home, reason="EngineReady")
    world.watch(10)
    (told,) = Event.objects.filter(reason="NotAdopted")
    assert (told.kind, told.name) == ("Pod", "tool")
    assert told.message == (
        f"containers of another pod of this name run on node {home}, left over there; it is this one, on node "
        f"{home_of('tool')}, that counts: remove the others by hand (`docker ps --filter "
        "label=pierhead.io/pod=tool` shows them)"
    )
