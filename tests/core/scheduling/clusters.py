"""Clusters for the properties: few names and few numbers, so that pods and nodes get in each other's way.

A scene is made from a seed by Python's own generator: ten times faster than drawing every field, which buys examples.
Every group of pods gets one or two *topics* (what its manifest says beyond requests), so that rules meet often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from deployer.core.objects.placement import Affinity, PodAffinityTerm, Toleration, TopologySpreadConstraint
from deployer.core.scheduling import hosts
from deployer.core.scheduling.values import Node, PendingPod, PlacedPod, Resources, Taint

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
NAMESPACES = {"shop": {"team": "a"}, "blog": {"team": "b"}}
NAMES = ("a", "b", "c", "d", "e")
APPS = ("web", "db", "job")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
Json = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    nodes: list[Node]
    pending: list[PendingPod]
    placed: list[PlacedPod]
    unique_above: int

    @contextmanager
    def pooled(self) -> Iterator[None]:
        """With small fleets treated like large ones, or not: the answers must be right either way."""
        usual, hosts.UNIQUE_ABOVE = hosts.UNIQUE_ABOVE, self.unique_above
        try:
            yield
        finally:
            hosts.UNIQUE_ABOVE = usual


def scenes() -> st.SearchStrategy[Scene]:
    return st.integers(0, 2**32 - 1).map(scene)


def scene(seed: int) -> Scene:
    draw = Random(seed)
    return Scene(
        nodes=[_node(draw, name) for name in draw.sample(NAMES, draw.choice((0, 1, 2, 3, 4, 4, 5, 5)))],
        pending=[pod for number in range(draw.randint(1, 4)) for pod in _group(draw, number)],
        placed=[_placed(draw, number) for number in range(draw.choice((0, 0, 1, 2, 4, 6)))],
        unique_above=draw.choice((0, 16)),
    )


def _node(draw: Random, name: str) -> Node:
    labels = {HOSTNAME: name, ZONE: draw.choice(("z1", "z2")), "rack": draw.choice("123x")}
    room = (2, 4, 8, 12, 12)
    return Node(
        name=name,
        labels={key: value for key, value in labels.items() if draw.random() < 0.85},
        taints=tuple(_taint(draw) for _ in range(draw.choice((0, 0, 0, 0, 0, 1, 2)))),
        cordoned=draw.random() < 0.07,
        ready=draw.random() < 0.95,
        allocatable=Resources(draw.choice(room), draw.choice(room)),
        max_pods=draw.choice((0, 2, 4, 9, 9, 9, 9)),
        recent_failures=draw.choice(({}, {}, {"Deployment/shop/web": 5})),
        images=frozenset(draw.sample(("web:1", "db:1"), draw.randint(0, 2))),
    )


def _taint(draw: Random) -> Taint:
    effect = draw.choice(("NoSchedule", "NoExecute", "PreferNoSchedule"))
    return Taint(draw.choice(("gpu", "old")), draw.choice(("", "x")), effect)  # type: ignore[arg-type]


def _labels(draw: Random) -> dict[str, str]:
    labels = {"app": draw.choice(APPS)}
    return labels | ({"pod-template-hash": draw.choice("12")} if draw.random() < 0.4 else {})


def _group(draw: Random, number: int) -> list[PendingPod]:
    """One to four pods of one template."""
    namespace, app = draw.choice(("shop", "blog")), f"app-{number}"
    template = PendingPod(
        uid="", namespace=namespace, name="", labels=_labels(draw), requests=_requests(draw),
        owner=draw.choice((f"Deployment/{namespace}/{app}", "Deployment/shop/web")),
        strategy=draw.choice(("", "pack", "spread")), priority=draw.randint(0, 1), created_at=float(draw.randint(0, 1)),
    )  # fmt: skip
    for topic in draw.sample(TOPICS, draw.choice((0, 1, 1, 2))):
        template = replace(template, **topic(draw))
    return [replace(template, uid=f"uid-{app}-{n}", name=f"{app}-{n}") for n in range(draw.randint(1, 4))]


def _placed(draw: Random, number: int) -> PlacedPod:
    return PlacedPod(
        uid=f"old-{number}", namespace=draw.choice(("shop", "blog")), name=f"old-{number}", node=draw.choice(NAMES),
        labels=_labels(draw), owner="Deployment/shop/web", requests=_requests(draw),
        host_ports=_ports(draw) if draw.random() < 0.5 else frozenset(),
        anti_affinity=tuple(_term(draw) for _ in range(draw.choice((0, 0, 1)))), terminating=draw.random() < 0.4,
    )  # fmt: skip


def _requests(draw: Random) -> Resources:
    return Resources(draw.choice((0, 1, 1, 2, 3)), draw.choice((0, 1, 1, 2, 3)))


def _ports(draw: Random) -> frozenset[tuple[str, int, str]]:
    addresses = ("", "10.0.0.1", "10.0.0.2")
    return frozenset((draw.choice(addresses), draw.choice((80, 81)), "TCP") for _ in range(draw.randint(1, 2)))


def _term(draw: Random) -> PodAffinityTerm:
    return PodAffinityTerm.model_validate(_pod_term(draw))


def _pod_term(draw: Random) -> Json:
    more: Json = draw.choice(
        ({}, {}, {}, {"namespaces": ["blog"]}, {"namespaceSelector": {}},
         {"namespaceSelector": {"matchLabels": {"team": "a"}}})
    )  # fmt: skip
    return {"topologyKey": draw.choice((HOSTNAME, ZONE, "rack")), "labelSelector": _selector(draw), **more}


def _selector(draw: Random) -> Json | None:
    one = {"matchLabels": {"app": draw.choice(APPS)}}
    rows = {"matchExpressions": [_row(draw, "app", APPS, ("In", "NotIn", "Exists"))]}
    return draw.choice((one, one, one, rows, {}, None))


def _row(draw: Random, key: str, values: tuple[str, ...], operators: tuple[str, ...]) -> Json:
    operator = draw.choice(operators)
    if operator in ("Exists", "DoesNotExist"):
        return {"key": key, "operator": operator}
    if operator in ("Gt", "Lt"):
        return {"key": "rack", "operator": operator, "values": [draw.choice("12")]}
    return {"key": key, "operator": operator, "values": draw.sample(values, draw.randint(1, min(3, len(values))))}


def _node_term(draw: Random) -> Json:
    key, values = draw.choice(((HOSTNAME, NAMES), (ZONE, ("z1", "z2")), ("rack", ("1", "2", "3"))))
    operators = ("In", "In", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
    rows = [_row(draw, key, values, operators) for _ in range(draw.choice((0, 1, 1, 2)))]
    fields = [_row(draw, "metadata.name", NAMES, ("In", "NotIn"))] if draw.random() < 0.25 else []
    return {"matchExpressions": rows, "matchFields": fields}


def _node_affinity(draw: Random) -> Json:
    wishes = [{"weight": draw.randint(1, 3), "preference": _node_term(draw)} for _ in range(draw.randint(0, 1))]
    terms = [_node_term(draw) for _ in range(draw.randint(1, 2))]
    required = {REQUIRED: {"nodeSelectorTerms": terms}} if draw.random() < 0.8 else {}
    affinity = Affinity.model_validate({"nodeAffinity": {**required, PREFERRED: wishes}})
    return {"affinity": affinity, "spread": _spread(draw)["spread"] if draw.random() < 0.3 else ()}


def _pod_affinity(draw: Random) -> Json:
    return {"affinity": Affinity.model_validate({"podAffinity": _neighbours(draw)})}


def _anti_affinity(draw: Random) -> Json:
    return {"affinity": Affinity.model_validate({"podAntiAffinity": _neighbours(draw)})}


def _neighbours(draw: Random) -> Json:
    wishes = [{"weight": draw.randint(1, 3), "podAffinityTerm": _pod_term(draw)} for _ in range(draw.choice((0, 0, 1)))]
    return {REQUIRED: [_pod_term(draw) for _ in range(draw.choice((0, 1, 1, 2)))], PREFERRED: wishes}


def _spread(draw: Random) -> Json:
    constraints = [
        {
            "maxSkew": draw.choice((1, 1, 2)),
            "topologyKey": draw.choice((HOSTNAME, ZONE, "rack")),
            "whenUnsatisfiable": draw.choice(("DoNotSchedule", "DoNotSchedule", "ScheduleAnyway")),
            "labelSelector": _selector(draw),
            "minDomains": draw.choice((None, None, 2, 3)),
            "matchLabelKeys": draw.choice(([], [], ["pod-template-hash"])),
        }
        for _ in range(draw.choice((1, 1, 2)))
    ]
    return {"spread": tuple(TopologySpreadConstraint.model_validate(row) for row in constraints)}


def _tolerations(draw: Random) -> Json:
    rows: list[Json] = [
        {"key": "gpu", "value": draw.choice(("", "x")), "effect": draw.choice(("", "NoSchedule"))},
        {"key": draw.choice(("gpu", "old")), "operator": "Exists"},
        {"operator": "Exists", "effect": draw.choice(("", "NoExecute"))},
        {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"},
    ]
    return {"tolerations": tuple(Toleration.model_validate(row) for row in draw.sample(rows, draw.randint(1, 2)))}


def _node_selector(draw: Random) -> Json:
    return {"node_selector": draw.choice(({ZONE: "z1"}, {HOSTNAME: "a"}, {"rack": "1"}))}


TOPICS: tuple[Callable[[Random], Json], ...] = (
    _node_affinity, _pod_affinity, _pod_affinity, _anti_affinity, _spread, _spread, _tolerations, _node_selector,
    lambda draw: {"node_name": draw.choice(NAMES)},
    lambda draw: {"host_ports": _ports(draw)},
    lambda draw: {"images": ("web:1",)},
)  # fmt: skip
