"""What follows from a verdict, as rows: who is told, whose pods stop counting, and what waits."""

from __future__ import annotations

from typing import Any

import pytest

from control.models import Event, Node, Pod
from control.services import nodes as node_services
from control.services.audit import Actor
from control.services.refusal import Refused
from control.store import heartbeats, stranded
from control.store import nodes as node_store
from control.store import scheduling as scheduling_store
from control.store import workloads as workload_store
from deployer.core.pod_outcome import PodOutcome
from deployer.core.survival.guards import Verdict
from deployer.core.survival.states import CUT_OFF, DEAD, READY, RETURNING, UNKNOWN
from deployer.core.workloads.deployment import reconcile
from tests.control import factories
from tests.control.factories import NOW
from tests.control.test_routing_wakes import Woken

pytestmark = pytest.mark.django_db
ADA = Actor("ada", "test")


def concludes(row: Node, state: str, woken: Woken | None = None, **more: Any) -> Node:
    more = {"message": f"it is {state}", "witnesses": {}, **more}
    heartbeats.changed([(heartbeats.host(row), Verdict(state, **more))], woken or Woken(), NOW)
    row.refresh_from_db()
    return row


def told(name: str = "b") -> list[tuple[str, str]]:
    return list(Event.objects.filter(kind="Node", name=name).order_by("pk").values_list("reason", "message"))


def three() -> dict[str, Node]:
    return {name: factories.node(name, address=f"tcp://{name}:2376") for name in "abc"}


def test_a_host_that_others_see_goes_on_serving() -> None:
    nodes = three()
    pod = factories.pod(node=nodes["b"])
    row = concludes(nodes["b"], CUT_OFF, witnesses={"a": True, "c": False})
    assert (row.ready, row.reason, row.witnesses) == (False, CUT_OFF, {"a": True, "c": False})
    pod.refresh_from_db()
    assert pod.ready
    assert told() == [("NodeCutOff", "it is CutOff")]


@pytest.mark.parametrize("state", [UNKNOWN, DEAD])
@pytest.mark.parametrize("before", [READY, CUT_OFF])
def test_a_host_that_nobody_sees_serves_no_more(before: str, state: str) -> None:
    nodes = three()
    nodes["b"].ready, nodes["b"].reason = before == READY, before
    nodes["b"].save()
    pod = factories.pod(node=nodes["b"])
    woken = Woken()
    concludes(nodes["b"], state, woken)
    pod.refresh_from_db()
    assert (pod.ready, pod.settled) == (False, "")
    assert woken.only("route") == "a b c"


def test_a_verdict_on_another_state_than_the_one_on_record_is_not_written() -> None:
    row = three()["b"]
    before = heartbeats.host(row)
    concludes(row, UNKNOWN)
    heartbeats.changed([(before, Verdict(DEAD, "late", {}, NOW))], Woken(), NOW)
    row.refresh_from_db()
    assert (row.reason, row.evicting_at) == (UNKNOWN, 0)


def test_the_pods_of_a_dead_host_are_replaced_and_who_waits_says_why() -> None:
    nodes = three()
    owner = factories.replica_set(factories.deployment())
    tied = factories.template(volumes=[{"name": "data", "hostPath": {"path": "/srv"}}])
    stays = factories.replica_set(factories.deployment("db"), spec={"template": tied}, name="db-1", template_hash="t")
    lost, kept = factories.pod(owner, "web-1", node=nodes["b"]), factories.pod(stays, "db-1", node=nodes["b"])
    factories.pod(owner, "web-2", node=nodes["a"])
    woken = Woken()
    row = concludes(nodes["b"], DEAD, woken, evicting_at=NOW, witnesses={"a": False, "c": False})
    assert (row.evicting_at, row.observed_at) == (NOW, 0)
    assert told()[-1] == ("Evicting", "1 pod is replaced elsewhere, 1 wait for it: see `get pods`")
    kept.refresh_from_db()
    assert (kept.waiting, kept.message) == (
        "NodeDead",
        "its node b is dead; it waits for it, since its volume /srv stays there; "
        "`manage.py node declare-dead b` replaces it",
    )
    (loaded,) = workload_store.load([owner.deployment.uid], NOW)
    plan = reconcile(loaded.snapshot)
    assert [one.uid for one in plan.delete_pods] == [lost.uid]
    assert len(plan.create_pods) == 2
    (waiting,) = workload_store.load([stays.deployment.uid], NOW)
    assert reconcile(waiting.snapshot).delete_pods == ()


def test_one_that_is_held_back_says_why() -> None:
    row = concludes(three()["b"], DEAD, held="3 of 4 hosts are away")
    assert row.held == "3 of 4 hosts are away"
    assert told() == [("NodeDead", "it is Dead; its pods are not replaced yet: 3 of 4 hosts are away")]


def test_a_toleration_ends_at_its_time() -> None:
    nodes = three()
    patient = factories.template(
        tolerations=[{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
                      "tolerationSeconds": 30}]
    )  # fmt: skip
    owner = factories.replica_set(factories.deployment(replicas=1), spec={"template": patient}, replicas=1)
    pod = factories.pod(owner, node=nodes["b"])
    concludes(nodes["b"], DEAD, evicting_at=NOW)
    pod.refresh_from_db()
    assert pod.message == "its node b is dead; it tolerates that for 30 s, then it is replaced elsewhere"
    (early,), (late,) = (workload_store.load([owner.deployment.uid], NOW + after) for after in (29, 30))
    plan = reconcile(early.snapshot)
    assert (plan.delete_pods, plan.create_pods, plan.wake_at) == ((), (), NOW + 30)
    assert [one.uid for one in reconcile(late.snapshot).delete_pods] == [pod.uid]


def test_a_bare_pod_is_made_again_elsewhere_and_what_is_left_of_it_is_removed() -> None:
    nodes = three()
    pod = factories.pod(name="tool", node=nodes["b"])
    woken = Woken()
    concludes(nodes["b"], DEAD, woken, evicting_at=NOW)
    again = Pod.objects.get(name="tool")
    assert (again.uid != pod.uid, again.node, again.spec) == (True, None, pod.spec)
    assert "schedule:?" in woken.keys
    left = node_store.placed(nodes["b"].uid)
    assert [(one.uid, one.deleting) for one in left] == [(pod.uid, True)]
    assert node_store.desired(nodes["b"].uid, [pod.uid]) == {pod.uid: None}
    node_store.save("b", [PodOutcome(pod.uid, None, gone=True)], Woken(), NOW)
    assert node_store.placed(nodes["b"].uid) == []


def test_a_bare_pod_whose_toleration_ends_later_is_found_by_the_safety_net() -> None:
    nodes = three()
    patient = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    spec = factories.template(tolerations=[{**patient, "tolerationSeconds": 30}])["spec"]
    pod = factories.pod(name="tool", node=nodes["b"], spec=spec)
    concludes(nodes["b"], DEAD, evicting_at=NOW)
    stranded.overdue(Woken(), NOW + 29)
    assert Pod.objects.get(name="tool").uid == pod.uid
    stranded.overdue(Woken(), NOW + 30)
    assert Pod.objects.get(name="tool").uid != pod.uid


def test_a_host_that_is_back_is_read_before_it_is_given_anything() -> None:
    nodes = three()
    concludes(nodes["b"], DEAD, evicting_at=NOW)
    woken = Woken()
    row = concludes(nodes["b"], RETURNING, woken)
    assert (row.ready, row.evicting_at, woken.only("converge")) == (True, 0, "b")
    assert [one.ready for one in scheduling_store.nodes(NOW) if one.name == "b"] == [False]
    node_store.saw(row.uid, NOW + 1)
    row.refresh_from_db()
    assert heartbeats.host(row).read_at == NOW + 1
    assert [one.ready for one in scheduling_store.nodes(NOW) if one.name == "b"] == [True]


def test_an_operator_declares_a_host_dead() -> None:
    nodes = three()
    tied = factories.template(volumes=[{"name": "data", "hostPath": {"path": "/srv"}}])
    owner = factories.replica_set(factories.deployment(replicas=1), spec={"template": tied}, replicas=1)
    pod = factories.pod(owner, node=nodes["b"])
    concludes(nodes["b"], DEAD, evicting_at=NOW)
    assert node_services.declare_dead("b", ADA) == 1
    row = Node.objects.get(name="b")
    assert heartbeats.host(row).declared_dead
    (loaded,) = workload_store.load([owner.deployment.uid], NOW)
    assert [one.uid for one in reconcile(loaded.snapshot).delete_pods] == [pod.uid]
    row = concludes(row, READY)
    assert row.declared_dead_by == ""


@pytest.mark.parametrize(
    ("state", "witnesses", "sentence"),
    [
        (READY, {}, "node b answers, so it is not dead; to move its pods away, use `manage.py node drain b`"),
        (CUT_OFF, {"a": True, "c": False},
         "node b is not dead: a sees it, so its pods run on; switch the host off first, or repair the way from here to "
         "it"),
    ],
)  # fmt: skip
def test_a_host_that_lives_cannot_be_declared_dead(state: str, witnesses: dict[str, bool], sentence: str) -> None:
    three()
    Node.objects.filter(name="b").update(ready=state == READY, reason=state, witnesses=witnesses)
    with pytest.raises(Refused) as refused:
        node_services.declare_dead("b", ADA)
    assert refused.value.sentence == sentence


def test_the_most_needed_are_placed_first() -> None:
    node = factories.node("a", cpu_millicores=1000, memory_bytes=4 << 30)
    for name, available in (("fine", 2), ("gone", 0), ("new", 0)):
        made = factories.deployment(name, replicas=3)
        made.progress["available"] = available
        made.save()
        owner = factories.replica_set(made, name=f"{name}-1", template_hash=name, healthy=name != "new")
        factories.pod(owner, f"{name}-pod", node=None)
    pending, *_ = scheduling_store.load(NOW)
    assert {one.name: one.urgency for one in pending} == {"fine-pod": 33, "gone-pod": 100, "new-pod": 0}
    assert node.ready
