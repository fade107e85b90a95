"""The support table says what the code does."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from deployer.core.objects import schema
from deployer.core.objects.kinds import API_VERSIONS, KINDS
from deployer.core.objects.refusals import HONOURED_NOTES, REFUSED_FIELDS, REFUSED_VALUES, UNSUPPORTED_KINDS
from deployer.core.objects.support import DROPPED, render_support_table, support_table

ROWS = support_table()


def test_every_field_is_there_once() -> None:
    twice = [
        key for key, count in Counter((row.kind, row.field.replace("[]", "")) for row in ROWS).items() if count > 1
    ]
    assert not twice


def test_every_field_of_the_schema_is_in_the_table() -> None:
    """Counted by Kubernetes' types, apart from the walk: every type below a kind whose field is honoured is there."""
    listed = Counter(_owner(row.kind, row.field) for row in ROWS)
    reached = {*KINDS}
    for row in ROWS:
        held = schema.type_name(_definition(row.kind, row.field))
        if row.honoured and schema.fields_of(held):
            reached.add(held)
    for name in reached:
        fields = len(schema.fields_of(name))
        assert listed[name], f"{name} is not walked"
        assert listed[name] % fields == 0, f"{name} is not walked whole"


def _owner(kind: str, field: str) -> str:
    return schema.type_at(kind, _path(field)[:-1])


def _definition(kind: str, field: str) -> dict[str, Any]:
    return schema.fields_of(_owner(kind, field))[str(_path(field)[-1])]


def _path(field: str) -> tuple[str | int, ...]:
    steps = field.removesuffix("[]").replace("[]", ".0").split(".")
    return tuple(int(step) if step == "0" else step for step in steps)


@pytest.mark.parametrize(
    ("kind", "field", "honoured"),
    [
        ("Pod", "spec.containers[].image", True),
        ("Pod", "spec.containers[].livenessProbe.httpGet", True),
        ("Pod", "spec.containers[].livenessProbe.httpGet.host", False),
        ("Pod", "spec.containers[].livenessProbe.grpc", False),
        ("Ingress", "spec.defaultBackend.resource", False),
        ("NetworkPolicy", "spec.ingress[].from[].ipBlock.except[]", True),
        ("NetworkPolicy", "spec.egress", False),
        ("Pod", "spec.serviceAccountName", False),
        ("Pod", "spec.volumes[].persistentVolumeClaim", False),
        ("Deployment", "spec.template.spec", True),
        ("Deployment", "status", False),
        ("Service", "spec.ports[].protocol", True),
        ("Namespace", "spec.finalizers", False),
        ("Rollout", "spec.strategy.canary.steps[].setHeaderRoute.match[].headerValue.regex", True),
        ("Rollout", "spec.strategy.canary.steps[].experiment", False),
        ("Rollout", "spec.strategy.canary.trafficRouting.istio", False),
        ("AnalysisTemplate", "spec.metrics[].provider.prometheus.query", True),
        ("AnalysisTemplate", "spec.metrics[].provider.web", False),
    ],
)
def test_a_field_stands_where_it_belongs(kind: str, field: str, honoured: bool) -> None:
    (row,) = [row for row in ROWS if (row.kind, row.field) == (kind, field)]
    assert row.honoured is honoured


def test_limits_are_told() -> None:
    notes = {(row.kind, row.field): row.note for row in ROWS}
    assert notes["Service", "spec.ports[].protocol"] == "only TCP"
    assert notes["Pod", "spec.enableServiceLinks"] == "only false"
    assert notes["Pod", "spec.volumes[].hostPath"] == "where the namespace is allowed host-path"
    assert notes["Pod", "metadata.uid"] == DROPPED
    assert notes["Deployment", "spec.template.spec"] == "as Pod spec"
    assert notes["Rollout", "spec.template"] == "as Deployment spec.template"
    assert notes["Rollout", "spec.strategy.canary.dynamicStableScale"] == "only false"


@pytest.mark.parametrize("key", sorted({**REFUSED_FIELDS, **REFUSED_VALUES, **HONOURED_NOTES}), ids=".".join)
def test_what_is_said_about_a_field_is_about_one_that_exists(key: tuple[str, str]) -> None:
    owner, name = key
    assert name in schema.fields_of(owner)


def test_what_is_said_to_be_refused_is_refused() -> None:
    honoured = {(_owner(row.kind, row.field), _path(row.field)[-1]) for row in ROWS if row.honoured}
    assert not honoured & (set(REFUSED_FIELDS) - {("ObjectMeta", "name"), ("ObjectMeta", "namespace")})


def test_no_kind_is_served_and_refused() -> None:
    assert not KINDS.keys() & UNSUPPORTED_KINDS.keys()
    assert API_VERSIONS.keys() == KINDS.keys()


def test_the_models_know_nothing_that_kubernetes_does_not() -> None:
    """Otherwise a field would be honoured that the schema refuses first."""
    for row in ROWS:
        assert _definition(row.kind, row.field)
    for kind, model in KINDS.items():
        names = {one.alias or name for name, one in model.model_fields.items()}
        assert names <= schema.fields_of(kind).keys()


def test_the_table_is_markdown_and_always_the_same() -> None:
    text = render_support_table()
    assert text == render_support_table()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {4}
    assert "| Pod `spec.containers[].livenessProbe` | `exec` (one command for all exec probes of a container)" in text
    assert "| `grpc`, `terminationGracePeriodSeconds` |" in text
    assert len(text) < 11000
