"""Draining with disruption budgets, and nodes that are gone, over simulated hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.models import Event, Node, Pod
from control.models.budgets import budgets
from control.models.objects import PodDisruptionBudget
from control.services import nodes as node_services
from control.services.audit import Actor
from control.services.refusal import Refused
from deployer.core.survival.states import DEAD, READY
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
ADA = Actor("ada", "test")


def budget(limit: str, app: str = "web") -> str:
    return (
        "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: "
        f"{{{limit}, selector: {{matchLabels: {{app: {app}}}}}}}}}"
    )


def bare(name: str = "tool") -> str:
    return (
        f"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {name}}}}}, "
        f"spec: {{containers: [{{name: c, image: 'shop/tool:1'}}]}}}}"
    )


def cluster(folder: Path, *documents: str, names: str = "abc") -> World:
    world = World(folder)
    for name in names:
        world.add_node(name, reason=READY)
    world.push(*documents)
    world.watch(15)
    return world


def drained(world: World, name: str, seconds: int = 60) -> int:
    """The fewest pods of web that were ready at any time while the node was drained."""
    node_services.drain(name, ADA)
    fewest = 99
    for _ in range(seconds):
        world.watch(1)
        fewest = min(fewest, world.ready())
        if not Pod.objects.filter(node__name=name).exists():
            break
    return fewest


def test_even_a_budget_that_allows_nobody_to_be_missing_lets_a_drain_end(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=3), budget("maxUnavailable: 0"))
    [found] = budgets(PodDisruptionBudget.objects.all())
    assert (found.expected, found.healthy, found.needed, found.allowed) == (3, 3, 3, 0)
    home = world.pods()[0].node
    assert home is not None
    node_services.drain(home.name, ADA)  # asked for twice, it is one drain
    assert drained(world, home.name) == 3
    assert not Pod.objects.filter(node=home).exists()
    assert Event.objects.filter(reason="Cordoned", count=1).count() == 1


def test_a_budget_over_several_deployments_holds_a_pod_back_and_says_so(tmp_path: Path) -> None:
    every = "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: all}, " \
        "spec: {minAvailable: 100%, selector: {}}}"  # fmt: skip
    broken = web("ill", replicas=1, container="readinessProbe: {exec: {command: [fail]}}")
    world = cluster(tmp_path, web(replicas=3), broken, every)
    home = world.pods()[0].node
    assert home is not None
    drained(world, home.name, 20)
    waiting = Pod.objects.filter(node=home, owner="Deployment/web", deleted_at=None)
    assert waiting.count() >= 1
    assert "budget shop/all allows no disruption now" in waiting[0].message
    assert Event.objects.filter(reason="DrainWaits", name=waiting[0].name).exists()
    world.push(web(replicas=3), every)
    world.watch(30)
    assert not Pod.objects.filter(node=home).exists(), "the drain goes on by itself"


def test_a_bare_pod_is_made_again_elsewhere(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=1), bare())
    before = Pod.objects.get(name="tool")
    assert before.node is not None
    drained(world, before.node.name)
    world.watch(5)
    after = Pod.objects.get(name="tool")
    assert (after.uid == before.uid, after.node == before.node, after.ready) == (False, False, True)


def test_a_bare_pod_waits_for_its_budget(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=1), bare(), budget("minAvailable: 1", "tool"))
    pod = Pod.objects.get(name="tool")
    assert pod.node is not None
    drained(world, pod.node.name, 5)
    pod.refresh_from_db()
    assert pod.message == "budget shop/web allows no disruption now: 1 healthy, 1 needed"
    node_services.drain(pod.node.name, ADA, ask_budgets=False)
    world.watch(10)
    assert Pod.objects.get(name="tool").uid != pod.uid


def test_a_node_that_does_not_answer_cannot_be_drained_and_can_be_removed(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=3))
    engine = world.engines["b"]
    engine.host.cut_off()
    world.watch(8)
    assert world.node("b").reason == DEAD
    with pytest.raises(Refused, match="node b does not answer"):
        node_services.drain("b", ADA)
    gone = world.node("b").uid
    node_services.remove("b", ADA)  # its pods were replaced already
    for known in (world.access, world.routers, world.looks):
        known.pop(gone)
    world.heart.forget(gone)
    del world.engines["b"]
    world.watch(10)
    assert (world.ready(), Node.objects.count()) == (3, 2)

    engine.host.reconnect()
    world.add_node("b", reason=READY)
    world.watch(40)
    names = [one.labels["pierhead.io/pod"] for host in world.engines.values() for one in host.containers()
             if "pierhead.io/pod" in one.labels]  # fmt: skip
    assert world.ready() == 3
    assert len(names) == len(set(names)) == 3, "what was left over there is surplus, and goes"


def test_one_whose_pods_were_not_replaced_is_removed_by_force_only(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=2), bare(), names="ab")
    Node.objects.filter(name="b").update(ready=False, reason="Unknown")
    with pytest.raises(Refused, match="--force forgets them, and they are replaced elsewhere; it is Unknown"):
        node_services.remove("b", ADA)
    node_services.remove("b", ADA, force=True)
    world.heart.forget(next(uid for uid, one in world.access.items() if one.name == "b"))
    world.looks = {uid: look for uid, look in world.looks.items() if Node.objects.filter(pk=uid).exists()}
    world.watch(10)
    assert world.ready() == 2
    assert Pod.objects.get(name="tool").ready


def test_a_bare_pod_moves_when_its_budget_allows_it_whether_anybody_waits_or_not(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=1), bare(), bare("spare").replace("app: spare", "app: tool"),
                    budget("minAvailable: 2", "tool"))  # fmt: skip
    pod = Pod.objects.get(name="tool")
    assert pod.node is not None
    node_services.drain(pod.node.name, ADA)
    world.watch(5)
    pod.refresh_from_db()
    assert pod.message == "budget shop/web allows no disruption now: 2 healthy, 2 needed"
    assert Event.objects.filter(reason="DrainWaits", name="tool", count=1).count() == 1
    images = {"shop/tool:1": "shop/tool@sha256:" + "1" * 64}
    Pod.objects.filter(pk=pod.pk).update(images=images)
    spare = bare("spare").replace("app: spare", "app: tool")
    world.push(web(replicas=1), bare(), spare, budget("minAvailable: 1", "tool"))
    world.watch(10)
    assert Pod.objects.get(name="tool").uid != pod.uid
    assert Pod.objects.get(name="tool").images == images, "the same bytes, wherever it runs"


def test_whoever_ends_a_drain_ends_its_words(tmp_path: Path) -> None:
    world = cluster(tmp_path, web(replicas=3), bare(), budget("minAvailable: 1", "tool"))
    for node in Node.objects.all():
        node_services.drain(node.name, ADA)
    world.watch(5)
    waiting = Pod.objects.filter(node__isnull=False).values_list("message", flat=True)
    assert sorted(text.partition(":")[0] for text in waiting) == [
        "budget shop/web allows no disruption now", *["its replacement is not available yet"] * 3,
    ]  # fmt: skip
    for node in Node.objects.all():
        node_services.cordon(node.name, ADA, cordoned=False)
    world.watch(5)
    assert not Pod.objects.exclude(message="").exists()
    assert world.ready() == 3
