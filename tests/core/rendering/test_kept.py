"""What is kept of a rendering: the objects as they would be applied, and never what a Secret holds."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from deployer.core.rendering import kept as module
from deployer.core.rendering.kept import Kept, kept
from deployer.core.rendering.masking import masked, secret_values
from deployer.core.rendering.rendered import Piece, Rendered, read_rendered
from deployer.core.rendering.ways import Way
from deployer.core.repository import SourceFile, SourceTree

HUSH = "hunter2-hunter2"
CODED = base64.b64encode(HUSH.encode()).decode()
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: {HUSH}}}\ndata: {{b: {CODED}}}\n"
LAST = f"""
apiVersion: v1
kind: Secret
metadata:
  name: t
  annotations: {{kubectl.kubernetes.io/last-applied-configuration: '{{"data":{{"a":"{CODED}"}}}}'}}
data: {{a: {CODED}}}
"""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, labels: {x: one}}\ndata: {a: open}\n"
KUSTOMIZE, COMPOSE = Way("kustomize", "k", "k/kustomization.yaml"), Way("compose", "", "compose.yaml")


def of(*texts: str, way: Way | None = None) -> Kept:
    rendered = Rendered(way or Way(), tuple(Piece(f"{n}.yaml", text.encode()) for n, text in enumerate(texts)))
    return kept(rendered, read_rendered(rendered, default_namespace="shop", policies={}))


def objects(found: Kept) -> list[dict[str, Any]]:
    return list(json.loads(found.text)["objects"])


def test_the_objects_with_where_they_come_from() -> None:
    (one,) = objects(of(CONFIG))
    assert one == {
        "file": "0.yaml", "line": 1, "kind": "ConfigMap", "namespace": "shop", "name": "c",
        "body": {
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "c", "namespace": "shop", "labels": {"x": "one"}}, "data": {"a": "open"},
        },
    }  # fmt: skip


@pytest.mark.parametrize("way", [Way(), KUSTOMIZE, COMPOSE], ids=lambda way: way.kind)
@pytest.mark.parametrize("broken", ["", "kind: Nonsense\n"])
def test_no_value_of_a_secret_is_kept(way: Way, broken: str) -> None:
    found = of(SECRET, LAST, CONFIG, broken, way=way)
    assert "open" in found.text
    assert HUSH not in found.text
    assert CODED not in found.text
    names = {one["name"]: one["body"] for one in objects(found)}
    assert set(names["s"]["data"]) <= {"a", "b"}
    assert set(names["s"]["data"].values()) == {"***"}


def test_a_secret_that_is_written_wrongly_is_masked_too() -> None:
    wrong = {"kind": "secret", "data": [HUSH], "stringData": HUSH}
    assert masked(wrong) == {"kind": "secret", "data": "***", "stringData": "***"}


def test_what_was_refused_is_kept_as_the_tool_made_it() -> None:
    found = objects(of("kind: Job\nmetadata: {name: j}\n", CONFIG, way=KUSTOMIZE))
    assert [(one["kind"], one["name"], one["line"]) for one in found] == [("Job", "j", 0), ("ConfigMap", "c", 0)]
    assert [one["name"] for one in objects(of("kind: Job\nmetadata: {name: j}\n", CONFIG))] == ["c"]


def test_equal_renderings_have_equal_digests() -> None:
    assert of(CONFIG).digest == of(CONFIG).digest
    assert of(CONFIG).digest != of(CONFIG.replace("open", "shut")).digest
    assert of("").text == ""


def test_what_is_too_large_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 600)
    found = of(*(CONFIG.replace("name: c", f"name: c{n}").replace("open", "x" * 150) for n in range(4)))
    told = json.loads(found.text)
    assert (len(told["objects"]), told["left_out"], found.count) == (1, 3, 4)


def test_errors_name_where_an_object_comes_from_and_what_made_it() -> None:
    bad = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ncolour: red\n"
    rendered = Rendered(KUSTOMIZE, (Piece("base/a.yaml", bad.encode()),))
    (error,) = read_rendered(rendered, default_namespace="shop", policies={}).errors
    assert str(error) == (
        "base/a.yaml: ConfigMap shop/c: colour: is not a field that Kubernetes knows [rendered by kustomize] (fields "
        "here: apiVersion, binaryData, data, immutable, kind, metadata, status)"
    )
    rendered = Rendered(KUSTOMIZE, (Piece("base/a.yaml", CONFIG.encode()),))
    assert read_rendered(rendered, default_namespace="shop", policies={}).manifests[0].place == "base/a.yaml"


def test_the_values_that_an_error_must_not_show() -> None:
    files = (SourceFile("s.yaml", SECRET.encode()), SourceFile("a.env", b"TOKEN='abcdef'\nX=1\n"))
    assert set(secret_values(SourceTree(files, ()))) == {HUSH, CODED, "abcdef"}
