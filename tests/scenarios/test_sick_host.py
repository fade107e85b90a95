"""A host whose disk is full, or whose engine answers with errors: nobody waits for it who could run elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.models import Event
from deployer.adapters.simulated import Faults
from deployer.core.survival.states import READY
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
FULL, FAILING = Faults(disk_full=True), Faults(failing=("create",))
ON_B = "nodeSelector: {kubernetes.io/hostname: b}"


def cluster(folder: Path, *documents: str, names: str = "abc") -> World:
    world = World(folder)
    for name in names:
        world.add_node(name, reason=READY)
    world.push(*documents)
    world.pass_time(20)
    return world


def where(world: World, name: str = "web") -> list[str]:
    return sorted(pod.node.name if pod.node else "" for pod in world.pods(name))


def given_up() -> list[str]:
    return list(Event.objects.filter(reason="NotStarted").values_list("message", flat=True))


@pytest.mark.parametrize(
    ("fault", "said"), [(FULL, "no space left on device"), (FAILING, "the simulated engine was told to fail")]
)
def test_a_rollout_does_not_wait_for_a_sick_host(tmp_path: Path, fault: Faults, said: str) -> None:
    """Bug: its pods stayed there, and after ten minutes the rollout was taken back everywhere."""
    world = cluster(tmp_path, web(replicas=6))
    world.engines["b"].host.misbehave(fault)
    world.push(web(replicas=6, image="shop/web:2"))
    world.pass_time(10)
    assert any(said in pod.message for pod in world.pods()), "its pods say why"
    world.pass_time(30)
    assert (world.ready(), len(world.pods()), {pod.revision for pod in world.pods()}) == (6, 6, {2})
    assert "b" not in where(world)
    assert given_up()
    assert all(one.startswith("node b could not start it, so it is made elsewhere: b: cannot") for one in given_up())
    assert world.deployment().pin == {}

    told = len(given_up())
    world.push(web(replicas=6, image="shop/web:2"), web("more", replicas=2))
    world.pass_time(10)
    assert (world.ready("more"), len(given_up())) == (2, told), "who comes later is not sent there at all"


def test_who_can_run_nowhere_else_waits_for_it(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=2))
    world.engines["b"].host.misbehave(FULL)
    world.push(web(replicas=2), web("tied", replicas=1, pod=ON_B))
    world.pass_time(30)
    [pod] = world.pods("tied")
    assert given_up() == []
    assert "free space on the host" in pod.message
    world.engines["b"].host.misbehave(Faults())
    world.pass_time(40)
    assert [(one.uid, one.ready) for one in world.pods("tied")] == [(pod.uid, True)]


def test_where_all_hosts_are_sick_pods_do_not_wander(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=2), names="ab")
    for engine in world.engines.values():
        engine.host.misbehave(FULL)
    world.push(web(replicas=2), web("more", replicas=2))
    world.pass_time(70)
    assert len(given_up()) <= 2
    for engine in world.engines.values():
        engine.host.misbehave(Faults())
    world.pass_time(90)
    assert world.ready("more") == len(world.pods("more")) == 2


def test_what_is_wrong_everywhere_stays_where_it_is(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=2))
    before = world.pods()
    world.push(web(replicas=2, image="shop/missing:1"))
    world.pass_time(40)
    assert given_up() == []
    assert {pod.uid for pod in before} <= {pod.uid for pod in world.pods()}
