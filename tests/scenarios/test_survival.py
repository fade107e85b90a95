"""Hosts die, are cut off and come back: the whole program over simulated hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.models import Event, Namespace, Pod
from control.services import nodes as node_services
from control.services.audit import Actor
from control.store import heartbeats
from deployer.adapters.simulated import Faults
from deployer.core.heartbeat import Pulse
from deployer.core.survival.states import CUT_OFF, DEAD, READY, RETURNING
from deployer.loops.heartbeat import Beating, Heartbeats
from tests.scenarios.world import Inline, World, pods_of, web

pytestmark = pytest.mark.django_db
ADA = Actor("ada", "test")
SPREAD = """topologySpreadConstraints:
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: DoNotSchedule
  labelSelector: {matchLabels: {app: web}}
"""


def cluster(folder: Path, names: str = "abc", *documents: str, zones: bool = False) -> World:
    world = World(folder)
    for place, name in enumerate(names):
        labels = {"topology.kubernetes.io/zone": "xyz"[place * 3 // len(names)]} if zones else {}
        world.add_node(name, reason=READY, labels=labels)
    world.push(*(documents or (web(replicas=len(names)),)))
    world.watch(20)
    return world


def where(world: World, name: str = "web") -> dict[str, str]:
    return {pod.name: pod.node.name if pod.node else "" for pod in world.pods(name)}


def on(world: World, name: str) -> list[str]:
    return [pod for pod, node in where(world).items() if node == name]


def told(world: World, name: str) -> list[str]:
    reasons = Event.objects.filter(kind="Node", name=name).order_by("pk").values_list("reason", flat=True)
    return [reason for reason in reasons if reason.startswith("Node") or reason == "Evicting"]


def test_a_dead_hosts_pods_run_elsewhere_within_seconds(tmp_path: Path) -> None:
    world = cluster(tmp_path)
    before = {pod.uid for pod in world.pods()}
    world.engines["b"].host.power_off()
    world.watch(6)
    assert world.node("b").reason == DEAD
    assert world.ready() == 3
    assert on(world, "b") == []
    kept = [pod for pod in world.pods() if pod.uid in before]
    assert len(kept) == 2, "the pods of living hosts are left alone"
    words = "heartbeats were missed (b: cannot reach the engine: no answer); none of 2 peers sees it either"
    assert world.node("b").message.endswith(words)
    assert told(world, "b")[-2:] == ["NodeDead", "Evicting"]


def test_a_host_that_we_merely_cannot_see_is_left_alone(tmp_path: Path) -> None:
    world = cluster(tmp_path)
    before, running = where(world), world.running()
    world.engines["b"].host.misbehave(Faults(unseen=True))
    world.watch(40)
    row = world.node("b")
    assert (row.reason, row.witnesses) == (CUT_OFF, {"a": True, "c": True})
    assert where(world) == before
    assert all(pod.ready for pod in world.pods()), "its pods go on serving"
    world.engines["b"].host.reconnect()
    world.watch(5)
    assert world.node("b").reason == READY
    assert (where(world), world.running()) == (before, running)
    assert told(world, "b")[-2:] == ["NodeCutOff", "NodeReady"]


def test_when_no_host_answers_we_are_cut_off_and_nothing_moves(tmp_path: Path) -> None:
    world = cluster(tmp_path)
    before, running = where(world), world.running()
    for engine in world.engines.values():
        engine.host.cut_off()
    world.watch(75)
    assert {world.node(name).reason for name in "abc"} == {CUT_OFF}
    for engine in world.engines.values():
        engine.host.reconnect()
    world.watch(5)
    assert (where(world), world.running()) == (before, running)
    assert not Event.objects.filter(reason="Evicting").exists()


def test_a_host_that_returns_is_read_and_its_surplus_removed(tmp_path: Path) -> None:
    world = cluster(tmp_path)
    host = world.engines["b"].host
    host.cut_off()  # nobody sees it, and its containers run on
    world.watch(10)
    assert (world.node("b").reason, world.ready(), on(world, "b")) == (DEAD, 3, [])
    settled = where(world)
    host.reconnect()
    assert world.running()["b"], "they are doubled for as long as nobody can reach them"
    world.watch(2)
    assert "NodeReturning" in told(world, "b")
    world.watch(20)
    assert (world.node("b").reason, world.running()["b"]) == (READY, [])
    assert where(world) == settled, "load moves back only when asked"
    assert not Pod.objects.exclude(deleted_at=None).exists()


def test_a_host_is_not_given_anything_before_it_was_read(tmp_path: Path) -> None:
    world = cluster(tmp_path)
    world.engines["b"].host.power_off()
    world.watch(10)
    world.engines["b"].host.power_on()
    world.engines["b"].host.misbehave(Faults(failing=("containers",)))
    world.watch(10)
    assert world.node("b").reason == RETURNING
    world.push(web(replicas=30))
    world.watch(30)
    assert on(world, "b") == []
    world.engines["b"].host.misbehave(Faults())
    world.watch(70)
    assert world.node("b").reason == READY


def test_three_of_four_are_not_evicted_and_an_operator_may_say_so(tmp_path: Path) -> None:
    world = cluster(tmp_path, "abcd")
    for name in "bcd":
        world.engines[name].host.power_off()
    world.watch(70)
    assert [world.node(name).evicting_at for name in "bcd"] == [0, 0, 0]
    assert world.ready() == 1
    assert "3 of 4 hosts are away" in world.node("b").held
    for name in "bcd":
        node_services.declare_dead(name, ADA)
    world.watch(10)
    assert (world.ready(), len(on(world, "a"))) == (4, 4)


def test_a_pod_with_data_on_its_host_waits_for_it(tmp_path: Path) -> None:
    database = web("db", replicas=1, pod="volumes: [{name: data, hostPath: {path: /srv}}]")
    world = World(tmp_path)
    for name in "ab":
        world.add_node(name, reason=READY)
    world.push("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
    world.watch(2)
    Namespace.objects.filter(name="shop").update(allowances=["host-path"])
    world.push("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}", database)
    world.watch(10)
    [pod] = world.pods("db")
    home = pod.node.name if pod.node else ""
    world.engines[home].host.power_off()
    world.watch(20)
    [waiting] = world.pods("db")
    assert (waiting.uid, waiting.waiting) == (pod.uid, "NodeDead")
    assert waiting.message.startswith(f"its node {home} is dead; it waits for it, since its volume /srv stays there;")
    world.engines[home].host.power_on()
    world.watch(30)
    [back] = world.pods("db")
    assert (back.uid, back.ready, back.waiting) == (pod.uid, True, "")


def test_when_room_is_short_the_most_needed_comes_first_and_the_rest_says_what_it_waits_for(tmp_path: Path) -> None:
    small = "resources: {requests: {cpu: 1500m, memory: 64Mi}}"
    world = cluster(tmp_path, "abc", web("fine", replicas=4, container=small), web("zone", replicas=1, container=small))
    [home] = where(world, "zone").values()
    world.engines[home].host.power_off()
    world.watch(10)
    [alone] = world.pods("zone")
    assert alone.ready, "what is gone altogether comes before what has a pod left"
    waiting = [pod for pod in world.pods("fine") if pod.node is None]
    assert {pod.message for pod in waiting} == {"0 of 3 nodes fit: 2 lack CPU (needs 1500m), 1 is not ready"}


def test_a_zone_is_lost_and_the_service_stays_up(tmp_path: Path) -> None:
    world = cluster(tmp_path, "abcdefghi", web(replicas=9, pod=SPREAD), zones=True)
    assert {len(on(world, name)) for name in "abcdefghi"} == {1}
    for name in "abc":
        world.engines[name].host.power_off()
    world.watch(6)
    assert sum(bool(world.node(name).evicting_at) for name in "abc") == 2, "recovery is paced"
    assert world.ready() >= 8
    world.watch(15)
    assert world.ready() == 9
    by_zone = {zone: sum(len(on(world, name)) for name in names) for zone, names in {"y": "def", "z": "ghi"}.items()}
    assert sorted(by_zone.values()) == [4, 5]


def test_a_rollout_goes_on_while_a_host_dies(tmp_path: Path) -> None:
    world = cluster(tmp_path, "abc", web(replicas=6))
    world.push(web(replicas=6, image="shop/web:2"))
    world.watch(2)
    world.engines["c"].host.power_off()
    world.watch(40)
    assert world.ready() == 6
    assert on(world, "c") == []
    assert {pod.revision for pod in world.pods()} == {2}


def test_recreate_does_not_wait_for_the_dead(tmp_path: Path) -> None:
    world = cluster(tmp_path, "abc", web(replicas=3, spec="strategy: {type: Recreate}"))
    world.engines["c"].host.power_off()
    world.watch(15)
    world.push(web(replicas=3, image="shop/web:2", spec="strategy: {type: Recreate}"))
    world.watch(40)
    assert ({pod.revision for pod in world.pods()}, world.ready()) == ({2}, 3)


def test_a_host_without_router_is_given_more_time(tmp_path: Path) -> None:
    world = cluster(tmp_path, "ab")
    for look in world.looks.values():
        look.peers = None
    world.heart.statements.clear()
    world.engines["b"].host.power_off()
    world.watch(25)
    assert world.node("b").evicting_at == 0
    world.watch(15)
    assert (world.node("b").reason, world.ready()) == (DEAD, 2)


def test_a_second_watch_process_writes_nothing(tmp_path: Path) -> None:
    world = cluster(tmp_path)
    blind = Heartbeats(Inline(), world.new_worker(), heartbeats, world.clock, ticked_at=world.clock.now())
    for uid, one in world.heart.beating.items():
        blind.beating[uid] = Beating(one.engine, Pulse(2, "it is we who hear nothing", 1.0))
    for engine in world.engines.values():
        engine.host.cut_off()
    blind.tick([heartbeats.host(world.node(name)) for name in "abc"])
    assert all(one.pulse.misses == 3 for one in blind.beating.values())
    assert {world.node(name).reason for name in "abc"} == {READY}


def test_an_adapter_with_a_defect_keeps_nobody_else_from_being_judged(tmp_path: Path) -> None:
    world = cluster(tmp_path)

    def broken() -> None:
        raise ZeroDivisionError

    world.engines["a"].ping = broken  # type: ignore[method-assign]
    world.engines["b"].host.power_off()
    world.watch(10)
    assert (world.node("a").reason, world.node("b").reason) == (CUT_OFF, DEAD)
    assert "the ping failed: ZeroDivisionError" in world.node("a").message


def test_left_over_containers_have_one_owner(tmp_path: Path) -> None:
    world = cluster(tmp_path)
    world.engines["b"].host.cut_off()
    world.watch(10)
    world.engines["b"].host.reconnect()
    world.watch(30)
    names = [one.labels["pierhead.io/pod"] for engine in world.engines.values() for one in pods_of(engine)]
    assert len(names) == len(set(names))


def test_a_pod_that_had_not_started_when_its_host_was_cut_off_is_made_elsewhere(tmp_path: Path) -> None:
    world = cluster(tmp_path, "abc", web(replicas=1))
    for name in "ac":
        node_services.cordon(name, ADA)
    world.engines["b"].host.misbehave(Faults(failing=("create",)))
    world.push(web(replicas=1), web("late", replicas=1))
    world.watch(3)
    assert where(world, "late").popitem()[1] == "b"
    for name in "ac":
        node_services.cordon(name, ADA, cordoned=False)
    world.engines["b"].host.misbehave(Faults(unseen=True))
    world.watch(10)
    assert world.node("b").reason == CUT_OFF
    assert where(world, "late").popitem()[1] == "b", "it is given some time"
    world.watch(20)
    [late] = world.pods("late")
    assert late.ready
    assert late.node is not None
    assert late.node.name != "b"
    world.engines["b"].host.misbehave(Faults())
    world.watch(20)
    assert not [name for name in world.running()["b"] if "late" in name]
