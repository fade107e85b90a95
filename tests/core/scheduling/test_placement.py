"""Where pods go, sketched. See `pictures.py` for the notation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.core.objects.placement import Toleration
from deployer.core.scheduling import hosts, placement
from deployer.core.scheduling.placement import elsewhere, place, still_fits
from deployer.core.scheduling.values import EVERYBODY, Node, PendingPod, Resources, Taint
from tests.core.scheduling.pictures import (
    GI,
    HOSTNAME,
    ONE,
    ZONE,
    affinity,
    beside,
    cluster,
    node,
    on_node,
    placed_in,
    pod,
    preferred,
    replicas,
    required,
    running,
    spread,
    targets,
)

param = pytest.param


@pytest.mark.parametrize(
    ("picture", "pods", "expected"),
    [
        param("a: b: c:", replicas(3, pod()), "a b c", id="replicas go to different nodes"),
        param("a: b: c:", replicas(3, pod(strategy="pack")), "a a a", id="pack fills one node first"),
        param("a: b:DD c:D", [pod()], "b", id="the fullest node that has no replica wins"),
        param("a: b:DD c:D", [pod(strategy="spread")], "a", id="spread prefers the emptiest node"),
        param("a:DDDD b:D c:", [pod()], "b", id="a full node is passed over"),
        param("a:W b: c:DD", [pod()], "c", id="the second replica avoids the first one's node"),
        param("a:W b:WW", [pod()], "a", id="fewer replicas beat a fuller node"),
        param("a@z1:W b@z1:DD c@z2:", [pod()], "c", id="a zone without a replica beats a fuller node"),
        param("a@z1:W b@z1: c@z2:WW", [pod()], "b", id="a node without a replica beats the emptier zone"),
        param("a@z1: b@z1: c@z2: d@z2:", replicas(4, pod()), "a c b d", id="zones fill in turn"),
        param("a: b:", [pod(requests=Resources(5000, 0))], "-", id="more CPU than any node has"),
        param("a:DDDD b:DDDD", [pod(requests=Resources(0, 0))], "a", id="a pod that asks for nothing fits everywhere"),
        param("a: b:", [pod(node_name="b")], "b", id="nodeName"),
        param("a: b:", [pod(node_name="x")], "-", id="nodeName of a node that is not there"),
        param("a:", replicas(6, pod()), "a a a a - -", id="as many of a group as fit"),
    ],
)  # fmt: skip
def test_the_usual_choice(picture: str, pods: list[PendingPod], expected: str) -> None:
    assert placed_in(picture, *pods) == expected


@pytest.mark.parametrize(
    ("picture", "pods", "expected"),
    [
        param("a: b:D", [pod(affinity=affinity(podAffinity=required(beside("db"))))], "b", id="near the database"),
        param("a: b:", [pod(affinity=affinity(podAffinity=required(beside("db"))))], "-", id="nobody to be near to"),
        param(
            "a@z1: b@z2:DDDD c@z2:", [pod(affinity=affinity(podAffinity=required(beside("db", ZONE))))], "c",
            id="near the database means its zone",
        ),
        param(
            "a: b:", replicas(3, pod(affinity=affinity(podAffinity=required(beside("web"))))), "a a a",
            id="the first of its kind chooses, the others follow",
        ),
        param(
            "a: b:", [pod(affinity=affinity(podAffinity=required(beside("db")))), pod("db", priority=-1)], "a a",
            id="a pod that comes first but needs a later one is tried again",
        ),
        param(
            "a: b:", [
                pod("x", priority=3, affinity=affinity(podAffinity=required(beside("y")))),
                pod("y", priority=2, affinity=affinity(podAffinity=required(beside("z")))), pod("z"),
            ], "a a a", id="again and again, as long as anything moves",
        ),
        param("a: b:", replicas(3, pod(affinity=affinity(podAntiAffinity=required(beside("web"))))), "a b -",
              id="anti-affinity to itself: one per node"),
        param("a@z1: b@z1: c@z2:", replicas(3, pod(affinity=affinity(podAntiAffinity=required(beside("web", ZONE))))),
              "a c -", id="anti-affinity per zone"),
        param("a:W b:", [pod("db", affinity=affinity(podAntiAffinity=preferred(beside("web"))))], "b",
              id="preferred anti-affinity beats fullness"),
        param("a:W b:DD", [pod("cache", affinity=affinity(podAffinity=preferred(beside("web"))))], "a",
              id="preferred affinity beats fullness"),
        param("a@z1:W b@z2:", replicas(4, pod(spread=(spread("web", ZONE),))), "b a b a", id="hard spread over zones"),
        param("a:WWWW b:DDDD", [pod(spread=(spread("web"),))], "-", id="the emptiest domain is full: nobody may grow"),
        param("a@z1: b:", replicas(2, pod(spread=(spread("web", ZONE),))), "a a", id="a node without the label is out"),
        param("a@z1: b@z2:", replicas(3, pod(spread=(spread("web", ZONE),), node_selector={ZONE: "z1"})), "a a a",
              id="a zone that the node selector rules out does not count"),
        param("a@z1: b@z1:", replicas(2, pod(spread=(spread("web", ZONE, minDomains=2),))), "a -",
              id="too few domains: the minimum is 0"),
        param("a:WW b:D", [pod(spread=(spread("web", hard=False),), strategy="pack")], "b",
              id="soft spread leans, it does not forbid"),
        param("a:DDDD b:WW", [pod(spread=(spread("web", hard=False),))], "b", id="soft spread gives way"),
    ],
)  # fmt: skip
def test_neighbours(picture: str, pods: list[PendingPod], expected: str) -> None:
    assert placed_in(picture, *pods) == expected


@pytest.mark.parametrize(
    ("nodes", "topology", "expected"),
    [
        param("a@z1:W b@z1: c@z2:", ZONE, {"": "c b c a", "pack": "c a c a", "spread": "c b c a"}, id="zones"),
        param("a:W b: c:", HOSTNAME, {"": "b c a b", "pack": "b c a b", "spread": "b c a b"}, id="hosts"),
    ],
)
@pytest.mark.parametrize("unique_above", [0, 16])
def test_a_group_spreads_in_one_go(
    monkeypatch: pytest.MonkeyPatch, nodes: str, topology: str, expected: dict[str, str], unique_above: int
) -> None:
    """Each replica may raise the emptiest domain; the group is not looked at a second time for that."""
    monkeypatch.setattr(placement, "_try_again", lambda *_: None)
    monkeypatch.setattr(hosts, "UNIQUE_ABOVE", unique_above)
    found = {
        strategy: placed_in(nodes, *replicas(4, pod(spread=(spread("web", topology),), strategy=strategy)))
        for strategy in expected
    }
    assert found == expected


def test_affinity_binds_once_a_pod_it_means_has_any_of_its_labels() -> None:
    nodes = [node("a", {ZONE: "z1"}), node("b", {ZONE: "z1", "rack": "1"})]
    both = pod(affinity=affinity(podAffinity=required(beside("web", ZONE), beside("web", "rack"))))
    assert targets(place([both], nodes, []), both) == "b"
    assert targets(place([both], nodes, [running("W", "a")]), both) == "-"
    assert targets(place([both], nodes, [running("W", "b")]), both) == "b"


def test_the_anti_affinity_of_a_placed_pod_keeps_newcomers_away() -> None:
    nodes, _ = cluster("a: b:")
    terms = affinity(podAntiAffinity=required(beside("web"))).pod_anti_affinity.required
    assert targets(place([pod()], nodes, [running("D", "a", anti_affinity=terms)]), pod()) == "b"


def test_a_terminating_pod_holds_its_room_but_is_no_replica() -> None:
    nodes, placed = cluster("a:W b:D")
    leaving = [replace(placed[0], terminating=True), placed[1]]
    assert targets(place([pod()], nodes, placed), pod()) == "b"
    assert targets(place([pod()], nodes, leaving), pod()) == "a"
    small = [node("a", allocatable=ONE), node("b", allocatable=ONE)]
    assert targets(place([pod()], small, leaving), pod()) == "-"
    even = pod(spread=(spread("web"),))
    mixed = [node("a"), node("b", allocatable=ONE)]
    assert targets(place([even], mixed, placed), even) == "-"
    assert targets(place([even], mixed, leaving), even) == "a"


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        param([node("a", recent_failures={"Deployment/shop/web": 5}), node("b")], "b", id="five failures rank last"),
        param([node("a", recent_failures={"Deployment/shop/web": 4}), node("b")], "a", id="four do not"),
        param([node("a", recent_failures={"Deployment/shop/db": 9}), node("b")], "a", id="another owner's do not"),
        param([node("a", recent_failures={"Deployment/shop/web": 9})], "a", id="last is not never"),
        param([node("a", recent_failures={EVERYBODY: 5}), node("b")], "b", id="the host's own fault counts for all"),
        param([node("a", taints=(Taint("old", effect="PreferNoSchedule"),)), node("b")], "b", id="PreferNoSchedule"),
        param([node("a", taints=(Taint("old", effect="PreferNoSchedule"),))], "a", id="PreferNoSchedule gives way"),
        param([node("a"), node("b", allocatable=Resources(8000, 8 * GI))], "b", id="the larger empty node is woken"),
        param([node("a"), node("b", images=frozenset({"web:1"}))], "a", id="an image does not wake an empty node"),
    ],
)
def test_ranks(nodes: list[Node], expected: str) -> None:
    asked = pod(images=("web:1",))
    assert targets(place([asked], nodes, []), asked) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [param(60, "b", id="where it would have to leave again comes last"), param(None, "a", id="where it may stay not")],
)
def test_ranks_of_nodes_that_evict(seconds: int | None, expected: str) -> None:
    borne = Toleration(key="gpu", operator="Exists", toleration_seconds=seconds)
    nodes = [node("a", taints=(Taint("gpu", effect="NoExecute"),)), node("b")]
    asked = pod(tolerations=(borne,))
    assert targets(place([asked], nodes, []), asked) == expected
    assert targets(place([asked], nodes[:1], []), asked) == "a", "last is not never"
    assert targets(place([pod()], nodes[:1], []), pod()) == "-"


@pytest.mark.parametrize(
    ("others", "stuck", "moves"),
    [
        param([node("b")], {}, True, id="another node takes it"),
        param([], {}, False, id="there is no other"),
        param([node("b", cordoned=True)], {}, False, id="the other one is cordoned"),
        param([node("b", allocatable=Resources(100, GI))], {}, False, id="the other one lacks room"),
        param([node("b", recent_failures={EVERYBODY: 5})], {}, False, id="the other one is sick, too"),
        param([node("b", recent_failures={"Deployment/shop/web": 5})], {}, False, id="it fails on the other one, too"),
        param([node("b", recent_failures={"Deployment/shop/db": 5})], {}, True, id="somebody else fails on the other"),
        param([node("b")], {"node_name": "a"}, False, id="its nodeName is the sick one"),
    ],
)
def test_a_pod_that_its_node_cannot_start_moves_if_it_is_well_elsewhere(
    others: list[Node], stuck: dict[str, str], moves: bool
) -> None:
    asked = pod(requests=ONE, **stuck)
    there = {asked.uid: "a"}
    assert elsewhere([asked], there, [node("a"), *others], []) == (there.keys() if moves else set())


def test_among_nodes_in_use_one_that_has_the_images_is_chosen() -> None:
    nodes = [node("a"), node("b", images=frozenset({"web:1", "log:1"})), node("c", images=frozenset({"web:1"}))]
    placed = [running("D", "a", 0), running("D", "a", 1), running("D", "b"), running("D", "c")]
    asked = pod(images=("web:1", "log:1"))
    assert targets(place([asked], nodes, placed), asked) == "b"


def test_priority_then_age_then_name_decide_who_gets_the_last_place() -> None:
    room = [node("a", allocatable=ONE)]
    old, young = pod("old", created_at=1.0), pod("young", created_at=2.0)
    assert targets(place([young, old], room, []), old, young) == "a -"
    urgent = replace(young, priority=10)
    assert targets(place([urgent, old], room, []), old, urgent) == "- a"
    assert targets(place([pod("b"), pod("a")], room, []), pod("a"), pod("b")) == "a -"


def test_pods_of_one_template_that_name_different_nodes_are_not_one_group() -> None:
    """As a DaemonSet's: the same template hash, and each pod its own node affinity."""
    pods = [pod(uid=name, name=name, affinity=affinity(nodeAffinity=on_node(name))) for name in ("a", "b", "c")]
    assert targets(place(pods, [node("c"), node("b"), node("a")], []), *pods) == "a b c"


@pytest.mark.parametrize(
    ("tolerations", "expected"),
    [
        param((), "-", id="a cordoned node takes nobody"),
        param(
            (Toleration(key="node.kubernetes.io/unschedulable", operator="Exists"),), "a", id="unless it is tolerated"
        ),
    ],
)
def test_a_cordon_is_kubernetes_taint(tolerations: tuple[Toleration, ...], expected: str) -> None:
    asked = pod(tolerations=tolerations)
    assert targets(place([asked], [node("a", cordoned=True)], []), asked) == expected


def test_still_fits_looks_at_the_node_as_it_is_now() -> None:
    here, asked = node("a", allocatable=Resources(2000, 2 * GI)), pod(host_ports=frozenset({("", 80, "TCP")}))
    assert still_fits(asked, here, [running("D", "a")])
    assert not still_fits(asked, here, [running("D", "a", 0), running("D", "a", 1)])
    assert not still_fits(asked, here, [running("D", "a", host_ports=frozenset({("10.0.0.1", 80, "TCP")}))])
    assert not still_fits(asked, replace(here, cordoned=True), [])
    shy = pod(affinity=affinity(podAntiAffinity=required(beside("db"))))
    assert not still_fits(shy, here, [running("D", "a")])
