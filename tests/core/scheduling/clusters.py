"""Clusters for the properties: few names and few numbers, so that pods and nodes get in each other's way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from deployer.core.objects.base import Spec
from deployer.core.objects.placement import (
    Affinity,
    LabelSelector,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PreferredNodeTerm,
    SelectorRequirement,
    Toleration,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from deployer.core.scheduling import hosts
from deployer.core.scheduling.values import Node, PendingPod, PlacedPod, Resources, Taint

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
NAMESPACES = {"shop": {"team": "a"}, "blog": {"team": "b"}}


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


def sometimes(strategy: st.SearchStrategy, empty: object = ()) -> st.SearchStrategy:
    return st.one_of(st.just(empty), st.just(empty), strategy)


def model(kind: type[Spec], **parts: st.SearchStrategy) -> st.SearchStrategy:
    return st.fixed_dictionaries(parts).map(kind.model_validate)


names = st.sampled_from(["a", "b", "c", "d", "e"])
apps = st.sampled_from(["web", "db", "job"])
keys = st.sampled_from([HOSTNAME, ZONE, "rack"])
pod_labels = st.fixed_dictionaries({"app": apps}, optional={"pod-template-hash": st.sampled_from(["1", "2"])})
resources = st.builds(Resources, st.sampled_from([0, 1, 2, 3]), st.sampled_from([0, 1, 2, 3]))
ports = st.frozensets(
    st.tuples(st.sampled_from(["", "10.0.0.1", "10.0.0.2"]), st.sampled_from([80, 81]), st.just("TCP")), max_size=2
)
taints = st.builds(
    Taint, st.sampled_from(["gpu", "old"]), st.sampled_from(["", "x"]),
    st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"]),
)  # fmt: skip
tolerations = st.one_of(
    model(
        Toleration, key=st.sampled_from(["gpu", "old"]), value=st.sampled_from(["", "x"]),
        effect=st.sampled_from(["", "NoSchedule"]),
    ),
    model(
        Toleration, operator=st.just("Exists"),
        key=st.sampled_from(["", "gpu", "old", "node.kubernetes.io/unschedulable"]),
    ),
)  # fmt: skip


@st.composite
def node_lists(draw: st.DrawFn) -> list[Node]:
    return [draw(_node(name)) for name in draw(st.lists(names, unique=True, max_size=5))]


def _node(name: str) -> st.SearchStrategy[Node]:
    labels = st.fixed_dictionaries(
        {},
        optional={
            HOSTNAME: st.just(name),
            ZONE: st.sampled_from(["z1", "z2"]),
            "rack": st.sampled_from(["1", "2", "3", "x"]),
        },
    )
    return st.builds(
        Node, name=st.just(name), labels=labels, taints=sometimes(st.lists(taints, max_size=2).map(tuple)),
        cordoned=st.sampled_from([False, False, False, True]), ready=st.sampled_from([True, True, True, False]),
        allocatable=st.builds(Resources, st.integers(0, 9), st.integers(0, 9)), max_pods=st.integers(0, 5),
        recent_failures=sometimes(st.just({"Deployment/shop/web": 5}), {}),
        images=st.frozensets(st.sampled_from(["web:1", "db:1"])),
    )  # fmt: skip


node_rows = st.one_of(
    model(
        SelectorRequirement, key=st.sampled_from([HOSTNAME, ZONE, "rack"]), operator=st.sampled_from(["In", "NotIn"]),
        values=st.lists(st.sampled_from(["a", "b", "c", "z1", "1", "2"]), min_size=1, max_size=3).map(tuple),
    ),
    model(
        SelectorRequirement, key=st.sampled_from([HOSTNAME, ZONE, "rack"]),
        operator=st.sampled_from(["Exists", "DoesNotExist"]),
    ),
    model(
        SelectorRequirement, key=st.just("rack"), operator=st.sampled_from(["Gt", "Lt"]),
        values=st.sampled_from([("1",), ("2",)]),
    ),
)  # fmt: skip
field_rows = model(
    SelectorRequirement, key=st.just("metadata.name"), operator=st.sampled_from(["In", "NotIn"]),
    values=st.lists(names, min_size=1, max_size=2).map(tuple),
)  # fmt: skip
node_terms = model(
    NodeSelectorTerm, match_expressions=st.lists(node_rows, max_size=2).map(tuple),
    match_fields=sometimes(st.lists(field_rows, max_size=1).map(tuple)),
)  # fmt: skip
node_affinities = model(
    NodeAffinity,
    required=sometimes(
        model(NodeSelector, node_selector_terms=st.lists(node_terms, min_size=1, max_size=2).map(tuple)), None
    ),
    preferred=sometimes(
        st.lists(model(PreferredNodeTerm, weight=st.integers(1, 3), preference=node_terms), max_size=2).map(tuple)
    ),
)
pod_selectors = st.one_of(
    st.none(), st.just(LabelSelector()), model(LabelSelector, match_labels=st.fixed_dictionaries({"app": apps})),
    model(LabelSelector, match_labels=st.fixed_dictionaries({"app": apps})),
    model(
        LabelSelector,
        match_expressions=st.tuples(
            model(
                SelectorRequirement, key=st.just("app"), operator=st.sampled_from(["In", "NotIn"]),
                values=st.lists(apps, min_size=1, max_size=2).map(tuple),
            )
        ),
    ),
)  # fmt: skip
pod_terms = model(
    PodAffinityTerm, topology_key=keys, label_selector=pod_selectors,
    namespaces=sometimes(st.just(("blog",))),
    namespace_selector=sometimes(
        st.sampled_from([LabelSelector(), LabelSelector(match_labels={"team": "a"})]), None
    ),
)  # fmt: skip


def _pod_affinities(required: int) -> st.SearchStrategy[PodAffinity]:
    wishes = model(WeightedPodAffinityTerm, weight=st.integers(1, 3), pod_affinity_term=pod_terms)
    return model(
        PodAffinity, required=st.lists(pod_terms, max_size=required).map(tuple),
        preferred=sometimes(st.lists(wishes, max_size=2).map(tuple)),
    )  # fmt: skip


affinities = model(
    Affinity, node_affinity=sometimes(node_affinities, NodeAffinity()),
    pod_affinity=sometimes(_pod_affinities(2), PodAffinity()),
    pod_anti_affinity=sometimes(_pod_affinities(2), PodAffinity()),
)  # fmt: skip
spreads = model(
    TopologySpreadConstraint, max_skew=st.integers(1, 2), topology_key=keys,
    when_unsatisfiable=st.sampled_from(["DoNotSchedule", "DoNotSchedule", "ScheduleAnyway"]),
    label_selector=pod_selectors, min_domains=sometimes(st.integers(1, 3), None),
    match_label_keys=sometimes(st.just(("pod-template-hash",))),
)  # fmt: skip


@st.composite
def groups(draw: st.DrawFn, number: int) -> list[PendingPod]:
    """One to four pods of one template."""
    labels, app = draw(pod_labels), f"app-{number}"
    namespace = draw(st.sampled_from(["shop", "blog"]))
    template = draw(
        st.builds(
            PendingPod, uid=st.just(""), namespace=st.just(namespace), name=st.just(""), labels=st.just(labels),
            owner=st.sampled_from([f"Deployment/{namespace}/{app}", "Deployment/shop/web"]), requests=resources,
            node_selector=sometimes(st.sampled_from([{ZONE: "z1"}, {HOSTNAME: "a"}, {"rack": "1"}]), {}),
            node_name=sometimes(names, ""), affinity=sometimes(affinities, Affinity()),
            tolerations=sometimes(st.lists(tolerations, max_size=2).map(tuple)),
            spread=sometimes(st.lists(spreads, max_size=2).map(tuple)), host_ports=sometimes(ports, frozenset()),
            images=sometimes(st.just(("web:1",))), strategy=st.sampled_from(["", "pack", "spread"]),
            priority=st.integers(0, 1), created_at=st.sampled_from([0.0, 1.0]),
        )
    )  # fmt: skip
    return [_named(template, f"{app}-{replica}") for replica in range(draw(st.integers(1, 4)))]


def _named(template: PendingPod, name: str) -> PendingPod:
    return replace(template, uid=f"uid-{name}", name=name)


placed_pods = st.builds(
    PlacedPod, uid=st.just(""), namespace=st.sampled_from(["shop", "blog"]), name=st.just(""), node=names,
    labels=pod_labels, owner=st.just("Deployment/shop/web"), requests=resources, host_ports=sometimes(ports, frozenset()),
    anti_affinity=sometimes(st.lists(pod_terms, max_size=1).map(tuple)), terminating=st.booleans(),
)  # fmt: skip


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    count = draw(st.integers(1, 4))
    return Scene(
        nodes=draw(node_lists()),
        pending=[pod for number in range(count) for pod in draw(groups(number))],
        placed=draw(st.lists(placed_pods, max_size=4)),
        unique_above=draw(st.sampled_from([0, 16])),
    )
