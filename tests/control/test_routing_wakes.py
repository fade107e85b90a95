"""Who is woken, and who is let go, when something changes that routers are made from.

A cluster in words: `b:7` is node b, whose router has routing version 7; `b:7-` one that is not seen, `b:-` one whose
router was never applied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable
from typing import Any

import pytest
from pytest import param

from control.models import Event, Node, Pod, Router
from control.services import nodes as node_services
from control.services.audit import Actor
from control.services.refusal import Refused
from control.store import heartbeats, leaving, scheduling, sync, waking
from control.store import nodes as node_store
from control.store.routing import RouteRows
from control.store.workloads import delete_pods
from deployer.adapters import authority
from deployer.adapters.docker_address import EngineAddress
from deployer.composition import composition, engine_of
from deployer.core.container import LABEL_COMPONENT, ContainerSpec
from deployer.core.manifests import Manifest
from deployer.core.network.routing import RouterOutcome
from deployer.core.network.values import MESH_NETWORK, ProbeResult
from deployer.core.pod_outcome import PodOutcome
from deployer.core.pod_status import PodStatus
from deployer.core.survival.guards import Verdict
from deployer.core.sync import SyncPlan
from tests.control import factories
from tests.control.factories import NOW

pytestmark = pytest.mark.django_db
ROUTES = RouteRows(authority)
READY = RouterOutcome(True, "RouterReady", "the router is as it should be")


class Woken:
    """Takes wake-ups, and tells them as "route:a converge:b"."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.dirty: dict[str, list[str]] = {}

    def __call__(self, loop: str, key: str | Collection[str], at: float = 0.0, dirty: Iterable[str] = ()) -> None:
        if not isinstance(key, str):
            for one in key:
                self(loop, one, at, dirty)
            return
        name = Node.objects.filter(pk=key).values_list("name", flat=True).first() or "?"
        self.keys.add(f"{loop}:{name}")
        self.dirty.setdefault(f"{loop}:{name}", []).extend(dirty)

    def only(self, loop: str) -> str:
        return " ".join(sorted(key.partition(":")[2] for key in self.keys if key.startswith(f"{loop}:")))


def cluster(words: str) -> dict[str, Node]:
    made = {}
    for word in words.split():
        name, _, version = word.partition(":")
        row = made[name] = factories.node(name, ready=not version.endswith("-") or version == "-")
        if version:
            number = version.strip("-")
            applied = {"applied_at": NOW, "version": int(number)} if number else {}
            Router.objects.create(node=row, ready=True, reason="RouterReady", message=READY.message, **applied)
    return made


# Letting go


@pytest.mark.parametrize(
    ("words", "leaving_version", "released"),
    [
        param("a:6", 6, True, id="the only router has it"),
        param("a:5", 6, False, id="the only router does not have it"),
        param("a:6 b:5", 6, False, id="one of two does not"),
        param("a:6 b:7", 6, True, id="both have it, or newer"),
        param("a:6 b:5-", 6, True, id="the node of the other is not seen"),
        param("a:6 b:-", 6, True, id="the other was never applied"),
        param("a:6 b", 6, True, id="the other has no router yet"),
        param("a b", 6, True, id="nobody has a router"),
        param("a:5-", 6, True, id="none is seen"),
        param("a:5", 0, True, id="no Service selects it"),
    ],
)
def test_a_pod_is_released_when_every_router_that_counts_let_it_go(
    words: str, leaving_version: int, released: bool
) -> None:
    made = cluster(words)
    row = factories.pod(node=made["a"], deleted_at=NOW, leaving_version=leaving_version)
    found = node_store.desired(made["a"].uid, [row.uid])[row.uid]
    assert found is not None
    assert (found.released, found.release_by) == (released, NOW + 15)
    woken = Woken()
    leaving.wake_released(woken)
    assert bool(woken.only("converge")) == (released and leaving_version > 0)


@pytest.mark.parametrize(
    ("words", "version", "expected"),
    [
        param("a:6 b:5", 6, "a", id="the last router that was missing"),
        param("a:5 b:5", 6, "", id="another one is missing still"),
        param("a:6 b:6", 7, "", id="released before: nobody is told twice"),
        param("a:6 b:5", None, "", id="it is not in whole"),
        param("a:6 b:-", 6, "a", id="its first one"),
    ],
)
def test_a_router_that_lets_go_wakes_the_nodes_of_released_pods(words: str, version: int | None, expected: str) -> None:
    made = cluster(words)
    row = factories.pod(node=made["a"], deleted_at=NOW, leaving_version=6)
    woken = Woken()
    ROUTES.save(made["b"].uid, dataclasses.replace(READY, version=version), woken, NOW)
    assert woken.only("converge") == expected
    assert woken.dirty.get("converge:a", []) == ([row.uid] if expected else [])


@pytest.mark.parametrize(
    ("fields", "labels", "held"),
    [
        param({"ready": True}, {"app": "web"}, True, id="ready"),
        param({"ready": False, "ip": "10.208.16.2"}, {"app": "web"}, True, id="not ready, but it may be published"),
        param({"ready": False}, {"app": "web"}, False, id="it never had an address"),
        param({"ready": True}, {"app": "other"}, True, id="a selector that moved on in the same commit"),
        param({"ready": True, "namespace": "alone"}, {"app": "web"}, False, id="no Service in its namespace"),
    ],
)
def test_a_deletion_takes_a_version_that_routers_have_to_reach(
    fields: dict[str, Any], labels: dict[str, str], held: bool
) -> None:
    cluster("a b")
    factories.service()
    row = factories.pod(labels=labels, **fields)
    woken = Woken()
    delete_pods([(row.uid, "scaled down")], woken, NOW)
    row.refresh_from_db()
    assert row.leaving_version == (row.resource_version if held else 0)
    all_routers = held or row.namespace == "shop"
    assert (woken.only("route"), woken.only("converge")) == ("a b" if all_routers else "", "a")


@pytest.mark.parametrize(("reason", "expected"), [("Dead", ""), ("CutOff", "a b")])
def test_pods_of_a_host_that_serves_nobody_wake_no_router(reason: str, expected: str) -> None:
    """Bug: 5 % of 1,000 hosts were lost, and each of 1,000 Deployments woke 1,000 routers, which knew it already."""
    made = cluster("a b")
    factories.service()
    row = factories.pod(ready=False, ip="10.208.16.2")
    Node.objects.filter(pk=made["a"].uid).update(ready=False, reason=reason)
    woken = Woken()
    delete_pods([(row.uid, "its node is dead")], woken, NOW)
    row.refresh_from_db()
    assert row.leaving_version == row.resource_version, "once it is back, routers let go of it before it is stopped"
    assert (woken.only("route"), woken.only("converge")) == (expected, "a")


def test_a_node_that_is_not_seen_any_more_is_not_waited_for() -> None:
    made = cluster("a:6 b:5")
    factories.pod(node=made["a"], deleted_at=NOW, leaving_version=6)
    woken = Woken()
    heartbeats.changed([(heartbeats.host(made["b"]), Verdict("Unknown", "no answer", {}))], woken, NOW)
    assert (woken.only("converge"), woken.only("route")) == ("a", "a b")


# What a pass came to


def test_a_pass_is_told_once() -> None:
    made = cluster("a")
    ROUTES.load(made["a"].uid, NOW)
    bad = RouterOutcome(False, "RouterImageMissing", "image haproxy is not there", ("Service shop/web: no port http",))
    for outcome in (READY, READY, bad, bad, READY):
        ROUTES.save(made["a"].uid, outcome, Woken(), NOW)
    told = Event.objects.order_by("pk").values_list("kind", "name", "type", "reason", "count")
    assert list(told) == [
        ("Node", "a", "Normal", "RouterReady", 2),
        ("Node", "a", "Warning", "RouterImageMissing", 1),
        ("Service", "web", "Warning", "NotRouted", 1),
    ]
    assert Router.objects.get().failures == 0


def test_failures_in_a_row_are_counted_for_the_back_off() -> None:
    made = cluster("a")
    ROUTES.load(made["a"].uid, NOW)
    for _ in range(3):
        ROUTES.save(made["a"].uid, RouterOutcome(False, "RouterUnreachable", "no answer"), Woken(), NOW)
    found = ROUTES.load(made["a"].uid, NOW)
    assert found is not None and found.retry == 3


def test_a_pass_that_found_nothing_new_writes_nothing(django_assert_num_queries: Any) -> None:
    made = cluster("a:6")
    outcome = dataclasses.replace(READY, version=6)
    ROUTES.save(made["a"].uid, outcome, Woken(), NOW)
    with django_assert_num_queries(1):
        ROUTES.save(made["a"].uid, outcome, Woken(), NOW + 5)


def test_a_probes_finding_wakes_its_pods_node_and_is_handed_on() -> None:
    made = cluster("a b")
    row = factories.pod(node=made["a"], probes={"web/startup": {"started_at": NOW, "passing": True, "message": ""}})
    found = ProbeResult("web", "readiness", NOW, False, "HTTP 503 from /ready on port 8080")
    outcome = dataclasses.replace(READY, probes={row.uid: (found,)})
    for _ in range(2):
        woken = Woken()
        Router.objects.get_or_create(node=made["a"])
        ROUTES.save(made["a"].uid, outcome, woken, NOW)
    assert woken.keys == set(), "the same again is nothing new"
    desired = node_store.desired(made["a"].uid, [row.uid])[row.uid]
    assert desired is not None
    assert set(desired.probes) == {found, ProbeResult("web", "startup", NOW, True)}


# Wake-ups


def pod_becomes(**fields: Any) -> Callable[[Woken], None]:
    """A converge of node a that finds the pod so."""

    def act(woken: Woken) -> None:
        row = Pod.objects.get()
        status = factories.pod_status(factories.running(**fields.pop("container", {})), **fields)
        before = PodStatus.from_dict(row.status)
        assert before is not None
        changed = dataclasses.replace(status, pod_ip=fields.get("pod_ip", before.pod_ip))
        node_store.save("a", [PodOutcome(row.uid, changed)], woken, NOW)

    return act


@pytest.mark.parametrize(
    ("labels", "placement", "act", "expected"),
    [
        param("web", {}, pod_becomes(ready=False), "a b", id="a served pod is not ready any more"),
        param("web", {}, pod_becomes(), "", id="nothing that a router asks"),
        param("web", {}, pod_becomes(container={"restarts": 3}), "", id="a restart that nobody probes"),
        param("other", {}, pod_becomes(ready=False), "", id="nobody serves it"),
        param("other", {"probed": True}, pod_becomes(container={"started_at": NOW}), "a", id="a new run to probe"),
        param("other", {"probed": True}, pod_becomes(container={"started": False}), "a", id="another probe's turn"),
    ],
)
def test_a_changed_pod_wakes_those_who_route_to_it(
    labels: str, placement: dict[str, Any], act: Callable[[Woken], None], expected: str
) -> None:
    cluster("a b")
    factories.service()
    factories.pod(labels={"app": labels}, placement={"cpu": 0, **placement}, ip="172.18.0.7")
    woken = Woken()
    act(woken)
    assert woken.only("route") == expected


def test_without_services_a_pod_costs_one_query(django_assert_num_queries: Any) -> None:
    row = factories.pod()
    with django_assert_num_queries(1):
        waking.wake_for_pods([row], Woken())


def test_the_first_pod_of_a_network_on_a_node_wakes_its_router() -> None:
    made = cluster("a b")
    factories.pod(node=made["a"], network="pierhead-shop")
    for node, expected in (("a", ""), ("b", "b")):
        row, woken = factories.pod(node=None), Woken()
        scheduling.bind({row.uid: node}, {}, woken, NOW)
        assert woken.only("route") == expected
        assert Pod.objects.get(pk=row.pk).network == "pierhead-shop"


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        param("Service", {"selector": {"app": "web"}, "ports": [{"port": 80}]}, "a b", id="service"),
        param("Ingress", {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}, "a b", id="ingress"),
        param("NetworkPolicy", {"podSelector": {}}, "a b", id="policy"),
        param("Namespace", {}, "a b", id="namespace"),
        param("Secret", {"type": "kubernetes.io/tls", "data": {}}, "a b", id="TLS secret"),
        param("Secret", {"type": "Opaque", "data": {}}, "", id="any other secret"),
        param("ConfigMap", {"data": {"a": "b"}}, "", id="config map"),
    ],
)
def test_a_written_or_pruned_object_wakes_all_routers(kind: str, spec: dict[str, Any], expected: str) -> None:
    cluster("a b")
    application = factories.application()
    namespace, name = ("", "blog") if kind == "Namespace" else ("shop", "web")
    one = manifest(kind, spec, name=name, namespace=namespace)
    for plan in (SyncPlan(create=(one,)), SyncPlan(update=(one,)), SyncPlan(prune=((kind, namespace, name),))):
        woken = Woken()
        sync.apply(factories.attempt(application), plan, "t3", woken, NOW)
        assert woken.only("route") == expected


def manifest(
    kind: str, spec: dict[str, Any], *, namespace: str = "shop", name: str = "web", labels: dict[str, str] | None = None
) -> Manifest:
    return Manifest("v1", kind, namespace, name, labels or {}, {}, spec, "web.yaml", 1)


def test_a_node_that_comes_or_goes_or_is_labelled_wakes_all_routers(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster("b")
    woken = Woken()
    monkeypatch.setattr(composition().work, "wake", woken)
    ann = Actor("ann")
    node_services.register("a", EngineAddress(url="sim://a"), ann, mesh_address="10.0.0.9")
    assert (woken.only("route"), Node.objects.get(name="a").annotations) == (
        "a b",
        {"pierhead.io/mesh-address": "10.0.0.9"},
    )
    woken.keys.clear()
    node_services.label("a", {"pierhead.io/ingress": "true"}, ann)
    assert woken.only("route") == "a b"
    uid = Node.objects.get(name="a").uid
    ROUTES.load(uid, NOW)
    woken.keys.clear()
    node_services.remove("a", ann)
    assert woken.only("route") == "b"
    with pytest.raises(Refused, match="neither a host name nor an address; leave the port out"):
        node_services.register("c", EngineAddress(url="sim://c"), ann, mesh_address="10.0.0.9:8443")


def test_a_removed_node_keeps_its_pods_and_loses_its_router() -> None:
    ann = Actor("ann")
    row = node_services.register("gone", EngineAddress(url="sim://gone"), ann)
    engine = engine_of(row)
    engine.ensure_network(MESH_NETWORK, {})
    for name, labels in (("router", {LABEL_COMPONENT: "router"}), ("web", {})):
        engine.pull("registry.example.com/any:1")
        engine.create(ContainerSpec(name, "registry.example.com/any:1", labels))
        engine.start(name)
    node_services.remove("gone", ann)
    assert ([one.name for one in engine.containers()], engine.networks()) == (["web"], [])
