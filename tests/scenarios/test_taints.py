"""Taints with the effect NoExecute: who leaves, when, and where to; over simulated hosts and a clock that is moved."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from control.models import Event, Node, Pod, Work
from control.services import nodes as node_services
from control.services.audit import Actor
from control.store import clock
from control.store.taints import REASON
from control.store.work import LEASE_SECONDS
from deployer.core.survival.states import DEAD, READY
from tests.scenarios.guillotine import Guillotine, Killed
from tests.scenarios.test_drain import bare, budget
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
ADA = Actor("ada", "test")
GPU = {"key": "gpu", "value": "", "effect": "NoExecute"}
PATIENT = "tolerations: [{key: gpu, operator: Exists, effect: NoExecute, tolerationSeconds: 30}]"
KEEPER = "tolerations: [{operator: Exists}]"
FORBIDS = budget("maxUnavailable: 0")


def begin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """All pods on a, and room on b."""
    world = World(folder)
    monkeypatch.setattr(node_services, "time", SimpleNamespace(time=world.clock.now))
    world.add_node("a", reason=READY)
    world.push(
        web(replicas=2), web("patient", replicas=1, pod=PATIENT), web("keeper", replicas=1, pod=KEEPER), bare(), FORBIDS
    )
    world.pass_time(5)
    world.add_node("b", reason=READY)
    world.pass_time(2)
    assert where() == {"web": "aa", "patient": "a", "keeper": "a", "tool": "a"}
    return world


def taint(name: str = "a") -> None:
    node_services.taint(name, [dict(GPU)], [], ADA)


def where() -> dict[str, str]:
    """The nodes of those that are there, ready and not leaving."""
    found: dict[str, str] = {}
    for pod in Pod.objects.filter(deleted_at=None, ready=True).select_related("node").order_by("node__name"):
        name = pod.owner.partition("/")[2] or pod.name
        found[name] = found.get(name, "") + (pod.node.name if pod.node else "?")
    return found


def told(name: str) -> list[str]:
    """What was said of pods of that name, the first first."""
    rows = Event.objects.filter(kind="Pod", reason=REASON, name__startswith=name).order_by("first_at", "id")
    return [f"{row.count} {row.message}" for row in rows]


def test_who_does_not_tolerate_it_leaves_and_who_does_for_a_while_leaves_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = begin(tmp_path, monkeypatch)
    patient = world.pods("patient")[0]
    tool = Pod.objects.get(name="tool").uid
    before = set(Pod.objects.values_list("uid", "deleted_at"))
    Node.objects.filter(name="a").update(ready=False, reason=DEAD)
    taint()
    world.pass_time(5)
    assert set(Pod.objects.values_list("uid", "deleted_at")) == before, "nothing there can be stopped"
    world.watch(2)  # it is back
    world.pass_time(8)
    assert where() == {"web": "bb", "patient": "a", "keeper": "a", "tool": "b"}, "no budget was asked"
    assert Pod.objects.get(name="tool").uid != tool
    assert told("web-") == ["1 node a has the taint gpu:NoExecute, which it does not tolerate"] * 2
    assert Event.objects.filter(kind="Node", name="a", reason="Evicting", count=1).count() == 1

    node_services.taint("a", [{**GPU, "value": "x"}], [], ADA)  # another one, borne for as long from now on
    world.pass_time(1)
    assert len(told("patient")) == 2
    node_services.taint("a", [], ["gpu"], ADA)
    world.pass_time(40)
    assert where()["patient"] == "a" and world.pods("patient")[0].uid == patient.uid, "it went in time"
    announced = "which it tolerates for 30 s: it is evicted at 2025-06-15T15:07:17Z, if the taint is there still"
    assert told("patient") == [
        f"1 node a has the taint gpu:NoExecute, {announced}",
        f"1 node a has the taint gpu=x:NoExecute, {announced.replace('15:07:17', '15:07:32')}",
        "1 it stays: no taint of node a has it evicted any more",
    ]

    taint()
    added = world.clock.now()
    world.pass_time(20)
    taint()  # once more: it was there all the time
    world.resync()
    world.pass_time(9.9)
    assert world.pods("patient")[0].uid == patient.uid
    world.pass_time(0.2)
    assert Event.objects.get(name=patient.name, message__endswith="30 s").first_at == added + 30
    world.pass_time(5)
    assert where()["patient"] == "b", "not where it would have to leave again"
    assert told("patient")[-1] == "1 node a has the taint gpu:NoExecute, which it tolerates for 30 s"
    assert where()["keeper"] == "a"

    node_services.cordon("b", ADA)  # one that comes to a later has its time there
    placed = world.clock.now()
    world.push(web("patient", replicas=2, pod=PATIENT), bare("late"))
    world.pass_time(29)
    late = Pod.objects.get(owner="Deployment/patient", node__name="a")
    assert late.deleted_at is None
    assert "1 has a taint it does not tolerate (gpu:NoExecute)" in Pod.objects.get(name="late").message
    world.pass_time(1.5 + late.scheduled_at - placed)
    assert Event.objects.get(name=late.name, message__endswith="30 s").first_at == late.scheduled_at + 30

    clock.set_right(-3600.0, world.clock.now() - 3600)
    assert world.node("a").taints[0]["timeAdded"].startswith("2025-06-15T14:0")


def test_a_worker_killed_while_it_evicts_evicts_nobody_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = begin(tmp_path, monkeypatch)
    patient, added, node = world.pods("patient")[0], world.clock.now(), world.node("a").uid
    taint()
    Work.objects.filter(loop="evict").delete()  # as in a database that was put together by hand
    world.resync()
    assert ("evict", node) in world.work.due(world.clock.now())
    for _ in range(2):  # as if by two workers: the second has nothing to do
        world.work.wake("evict", node)
        world.run("evict", node)
    assert told("web-") == ["1 node a has the taint gpu:NoExecute, which it does not tolerate"] * 2
    world.pass_time(1)
    world.clock.at = added + 30
    for at, is_gone in ((1, False), (2, True)):  # before the commit, and after it
        with monkeypatch.context() as patches, contextlib.suppress(Killed):
            Guillotine(patches, at, [], armed=True)
            world.run("evict", node)
        assert (Pod.objects.get(pk=patient.pk).deleted_at is not None) == is_gone
        world.new_worker()
        world.clock.at += LEASE_SECONDS
    world.pass_time(5)
    assert where() == {"web": "bb", "patient": "b", "keeper": "a", "tool": "b"}
    assert told("patient")[0].startswith("1 node a has the taint gpu:NoExecute, which it tolerates for 30 s: it is ")
    assert told("patient")[1:] == ["1 node a has the taint gpu:NoExecute, which it tolerates for 30 s"]
    assert Pod.objects.count() == 5
