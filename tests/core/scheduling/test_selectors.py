"""Kubernetes' matching rules, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.objects.placement import LabelSelector, NodeSelectorTerm, PodAffinityTerm, Toleration
from deployer.core.scheduling.reserve import allocatable
from deployer.core.scheduling.selectors import label_selector, pod_term, term_matches, tolerates
from deployer.core.scheduling.values import Resources, Taint

param = pytest.param
MI, GI = 1024**2, 1024**3


def row(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("expression", "labels", "expected"),
    [
        param(row("disk", "In", "ssd", "nvme"), {"disk": "nvme"}, True, id="In"),
        param(row("disk", "In", "ssd"), {}, False, id="In without the label"),
        param(row("disk", "NotIn", "ssd"), {"disk": "ssd"}, False, id="NotIn"),
        param(row("disk", "NotIn", "ssd"), {}, True, id="NotIn without the label"),
        param(row("disk", "Exists"), {"disk": ""}, True, id="Exists, empty"),
        param(row("disk", "DoesNotExist"), {"disk": ""}, False, id="DoesNotExist"),
        param(row("cores", "Gt", "8"), {"cores": "16"}, True, id="Gt compares numbers"),
        param(row("cores", "Gt", "8"), {"cores": "8"}, False, id="Gt is strict"),
        param(row("cores", "Lt", "8"), {"cores": "-1"}, True, id="Lt, negative"),
        param(row("cores", "Lt", "8"), {"cores": "many"}, False, id="no number"),
        param(row("cores", "Lt", "8"), {"cores": "1_0"}, False, id="Python's own numbers do not count"),
        param(row("cores", "Gt", "8"), {}, False, id="Gt without the label"),
    ],
)
def test_node_expressions(expression: dict[str, Any], labels: dict[str, str], expected: bool) -> None:
    term = NodeSelectorTerm.model_validate({"matchExpressions": [expression]})
    assert term_matches(term, labels, "a") is expected


def test_an_empty_node_selector_term_matches_nothing() -> None:
    assert not term_matches(NodeSelectorTerm(), {}, "a")


def test_match_fields_knows_the_name() -> None:
    term = NodeSelectorTerm.model_validate({"matchFields": [row("metadata.name", "In", "a")]})
    assert term_matches(term, {}, "a")
    assert not term_matches(term, {"metadata.name": "a"}, "b")


def test_a_missing_label_selector_means_nothing_and_an_empty_one_everything() -> None:
    assert not label_selector(None).matches({"app": "web"})
    assert label_selector(LabelSelector()).matches({"app": "web"})


@pytest.mark.parametrize(
    ("toleration", "taint", "expected"),
    [
        param({"operator": "Exists"}, Taint("gpu", "x"), True, id="Exists without a key tolerates all"),
        param({"key": "gpu", "operator": "Exists"}, Taint("gpu", "x"), True, id="Exists"),
        param({"key": "gpu", "value": "x"}, Taint("gpu", "x"), True, id="Equal"),
        param({"key": "gpu", "value": "y"}, Taint("gpu", "x"), False, id="another value"),
        param({"key": "gpu", "value": "x", "effect": "NoExecute"}, Taint("gpu", "x"), False, id="another effect"),
        param({"key": "gpu"}, Taint("gpu"), True, id="Equal to the empty value"),
        param({}, Taint("gpu"), False, id="Equal without a key tolerates nothing"),
    ],
)
def test_tolerations(toleration: dict[str, Any], taint: Taint, expected: bool) -> None:
    assert tolerates([Toleration.model_validate(toleration)], taint) is expected


@pytest.mark.parametrize(
    ("term", "covered"),
    [
        param({}, "shop", id="the pod's own namespace"),
        param({"namespaces": ["blog"]}, "blog", id="those listed, not its own"),
        param({"namespaceSelector": {}}, "blog new shop", id="an empty namespaceSelector is all"),
        param({"namespaceSelector": {"matchLabels": {"team": "b"}}}, "blog", id="by label"),
        param({"namespaces": ["new"], "namespaceSelector": {"matchLabels": {"team": "b"}}}, "blog new", id="the union"),
        param(
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "new"}}}, "new", id="by name label"
        ),
    ],
)
def test_which_namespaces_a_pod_affinity_term_covers(term: dict[str, Any], covered: str) -> None:
    made = pod_term(PodAffinityTerm.model_validate({"topologyKey": "zone", **term}), "shop")
    namespaces = {"shop": {"team": "a"}, "blog": {"team": "b"}}
    assert " ".join(name for name in ("blog", "new", "shop") if made.covers(name, namespaces)) == covered


@pytest.mark.parametrize(
    ("cpu", "memory", "expected"),
    [
        param(4000, 8 * GI, Resources(3900, 8 * GI - 8 * GI * 5 // 100), id="5 %"),
        param(1000, GI, Resources(900, 768 * MI), id="at least 256 MiB"),
        param(100, 256 * MI, Resources(50, 128 * MI), id="never more than half"),
        param(0, 0, Resources(0, 0), id="nothing known"),
    ],
)
def test_what_a_host_keeps_for_itself(cpu: int, memory: int, expected: Resources) -> None:
    assert allocatable(cpu, memory) == expected
