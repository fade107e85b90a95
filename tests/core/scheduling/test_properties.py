"""What holds for any cluster and any pods, judged by the plain rules of `reference.py`."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from random import Random
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.core.objects.placement import LabelSelector, TopologySpreadConstraint
from deployer.core.scheduling import cluster
from deployer.core.scheduling.placement import place, still_fits
from deployer.core.scheduling.values import ANYWHERE, Node, PendingPod, Placement, Resources
from tests.core.scheduling.clusters import NAMESPACES, Scene, scenes
from tests.core.scheduling.reference import as_placed, fits, has_room, ports_conflict

thorough = settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def placement(scene: Scene) -> Placement:
    with scene.pooled():
        return place(scene.pending, scene.nodes, scene.placed, NAMESPACES)


def every_pod_is_bound_or_waits_with_a_sentence(scene: Scene, known: Placement | None = None) -> None:
    answer = known or placement(scene)
    assert sorted([*answer.bound, *answer.waiting]) == sorted(pod.uid for pod in scene.pending)
    for sentence in answer.waiting.values():
        head, _, reasons = re.sub(r" \([^)]*\)", "", sentence).partition(" fit: ")
        if scene.nodes:
            assert head == f"0 of {len(scene.nodes)} node{'s' * (len(scene.nodes) > 1)}"
            assert sum(int(reason.split()[0]) for reason in reasons.split(", ")) == len(scene.nodes), sentence


def no_node_gives_more_than_it_has(scene: Scene, known: Placement | None = None) -> None:
    answer = known or placement(scene)
    pods = {pod.uid: pod for pod in scene.pending}
    for node in scene.nodes:
        here = [other for other in scene.placed if other.node == node.name]
        for pod in (pods[uid] for uid, name in answer.bound.items() if name == node.name):
            assert has_room(pod, node, here)
            assert not ports_conflict(pod, here)
            here.append(as_placed(pod, node.name))


def a_bound_pod_passed_every_filter_at_its_turn(scene: Scene, known: Placement | None = None) -> None:
    pods, nodes = {pod.uid: pod for pod in scene.pending}, {node.name: node for node in scene.nodes}
    placed = list(scene.placed)
    for uid, name in (known or placement(scene)).bound.items():
        assert fits(pods[uid], nodes[name], scene.nodes, placed, NAMESPACES), f"{uid} on {name}"
        placed.append(as_placed(pods[uid], name))


def a_waiting_pod_fits_nowhere_in_the_end(scene: Scene, known: Placement | None = None) -> None:
    answer = known or placement(scene)
    pods = {pod.uid: pod for pod in scene.pending}
    placed = [*scene.placed, *(as_placed(pods[uid], name) for uid, name in answer.bound.items())]
    for uid in answer.waiting:
        found = [node.name for node in scene.nodes if fits(pods[uid], node, scene.nodes, placed, NAMESPACES)]
        assert not found, f"{uid} waits ({answer.waiting[uid]}), but fits on {found}"


def the_order_of_the_input_does_not_matter(scene: Scene, seed: int, known: Placement | None = None) -> None:
    order = Random(seed)
    shuffled = replace(
        scene,
        nodes=order.sample(scene.nodes, len(scene.nodes)),
        pending=order.sample(scene.pending, len(scene.pending)),
        placed=order.sample(scene.placed, len(scene.placed)),
    )
    one, other = known or placement(scene), placement(shuffled)
    assert list(one.bound.items()) == list(other.bound.items())
    assert one.waiting == other.waiting


def what_place_decides_still_fits_when_it_is_bound(scene: Scene, known: Placement | None = None) -> None:
    pods, nodes = {pod.uid: pod for pod in scene.pending}, {node.name: node for node in scene.nodes}
    placed = list(scene.placed)
    for uid, name in (known or placement(scene)).bound.items():
        here = [other for other in placed if other.node == name]
        assert still_fits(pods[uid], nodes[name], here, NAMESPACES)
        placed.append(as_placed(pods[uid], name))


def whom_nobody_asks_for_is_left_out_without_a_difference(scene: Scene, known: Placement | None = None) -> None:
    terms = [pod for pod in scene.pending if pod.spread or pod.affinity != ANYWHERE]
    without = replace(scene, pending=[pod for pod in scene.pending if pod not in terms])
    for one in (scene, without) if terms else (scene,):
        with patch.object(cluster, "_owners_counted", lambda _: None):
            whole = placement(one)
        assert (known if known and one is scene else placement(one)) == whole


@given(scenes(), st.integers(0, 1000))
@thorough
def test_what_holds_of_every_placement(scene: Scene, seed: int) -> None:
    """All of it for the same scenes, and for one answer to each: to make one up costs more than to judge it."""
    known = placement(scene)
    for holds in OF_A_SCENE:
        holds(scene, known)
    the_order_of_the_input_does_not_matter(scene, seed, known)


OF_A_SCENE = (
    every_pod_is_bound_or_waits_with_a_sentence, no_node_gives_more_than_it_has,
    a_bound_pod_passed_every_filter_at_its_turn, a_waiting_pod_fits_nowhere_in_the_end,
    what_place_decides_still_fits_when_it_is_bound, whom_nobody_asks_for_is_left_out_without_a_difference,
)  # fmt: skip


@given(
    zones=st.lists(st.sampled_from("abc"), min_size=1, max_size=8),
    rooms=st.lists(st.integers(0, 4), min_size=8, max_size=8),
    replicas=st.integers(1, 12),
    max_skew=st.integers(1, 3),
    strategy=st.sampled_from(["", "pack", "spread"]),
)
@thorough
def test_a_hard_spread_holds_in_the_end(
    zones: list[str], rooms: list[int], replicas: int, max_skew: int, strategy: str
) -> None:
    nodes = [
        Node(f"n{number}", {"zone": zone}, allocatable=Resources(rooms[number], 10))
        for number, zone in enumerate(zones)
    ]
    spread = TopologySpreadConstraint(
        max_skew=max_skew, topology_key="zone", when_unsatisfiable="DoNotSchedule",
        label_selector=LabelSelector(match_labels={"app": "web"}),
    )  # fmt: skip
    template = PendingPod("", "shop", "", {"app": "web"}, requests=Resources(1, 0), spread=(spread,))
    pods = [replace(template, uid=f"u{n}", name=f"web-{n}", strategy=strategy) for n in range(replicas)]  # type: ignore[arg-type]
    bound = place(pods, nodes, []).bound
    counted = Counter(dict.fromkeys(zones, 0))
    counted.update(zones[int(name[1:])] for name in bound.values())
    assert max(counted.values()) - min(counted.values()) <= max_skew
