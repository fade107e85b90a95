"""What holds for every input: nothing raises, nothing is silently dropped, no order matters."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.core.manifests import ReadResult, read_manifests
from deployer.core.objects import schema
from deployer.core.objects.support import DROPPED, Row, support_table
from deployer.core.repository import SourceFile
from tests.core.manifest_scenarios import OBJECTS, read

REFUSED = [row for row in support_table() if not row.honoured and row.note != DROPPED]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def valid(definition: dict[str, Any], draw: Any, chance: int) -> Any:
    """A value that the schema admits; `chance` of 10 that an optional field is there."""
    if "$ref" in definition:
        return valid(schema.definitions()[schema.type_name(definition)], draw, chance)
    kind = definition.get("type", "object")
    if "properties" in definition:
        required = definition.get("required", ())
        wanted = [name for name in definition["properties"] if name in required or draw(st.integers(1, 10)) <= chance]
        return {name: valid(definition["properties"][name], draw, max(chance - 2, 0)) for name in wanted}
    match kind if isinstance(kind, str) else kind[0]:
        case "array":
            return [valid(definition["items"], draw, max(chance - 2, 0))]
        case "object":
            return {}
        case "integer" | "number":
            return draw(st.integers(1, 100))
        case "boolean":
            return draw(st.booleans())
        case _:
            return draw(st.sampled_from(["a", "b-1"]))


def place(kind: str, field: str, draw: Any) -> tuple[dict[str, Any], str]:
    """A valid object of the kind that has the field as well, and the field's path with indexes."""
    data: dict[str, Any] = json.loads(json.dumps(OBJECTS[kind]))
    here: Any = data
    path: list[str | int] = []
    for step in field.replace("[]", ".0").split("."):
        key = int(step) if step == "0" else step
        path.append(key)
        if isinstance(here, list) and len(here) > 0:
            here = here[0]
            continue
        owner = schema.type_at(kind, tuple(path[:-1]))
        made = valid(_definition(kind, path, owner), draw, 0)
        if isinstance(here, list):
            here.append(made)
            here = made
        else:
            here = here.setdefault(str(key), made)
    _put(data, path, valid(_definition(kind, path, schema.type_at(kind, tuple(path[:-1]))), draw, 4))
    return data, field.replace("[]", "[0]")


def _definition(kind: str, path: list[str | int], owner: str) -> dict[str, Any]:
    if isinstance(path[-1], int):
        return _definition(kind, path[:-1], schema.type_at(kind, tuple(path[:-2])))["items"]  # type: ignore[no-any-return]
    return schema.fields_of(owner)[path[-1]]


def _put(data: Any, path: list[str | int], value: Any) -> None:
    for step in path[:-1]:
        data = data[step]
    data[path[-1]] = value


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: f"{row.kind}-{row.field}")
@given(data=st.data())
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_field_that_is_not_supported_is_always_refused_by_name(row: Row, data: st.DataObject) -> None:
    found, field = place(row.kind, row.field, data.draw)
    result = read(json.dumps(found))
    assert not result.manifests
    assert field in [one.field for one in result.errors], (found, [str(one) for one in result.errors])


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    assert isinstance(read(data), ReadResult)


WORDS = (
    "a", "kind", "Pod", ":", " ", "\n", "- ", "[", "]", "{", "}", "&a ", "*a", "<<: ", "!!int ", "|", ">", "'", '"',
    "#",
    "---\n", "...\n", "\t", "0644", "yes", "~", "%YAML 1.1\n", "? ", "\\u0000", "@", "\r\n",
)  # fmt: skip
yaml_words = st.lists(st.sampled_from(WORDS), max_size=40)


@given(yaml_words)
@settings(max_examples=500, deadline=None)
def test_no_text_that_looks_like_yaml_makes_the_reader_raise(words: list[str]) -> None:
    assert isinstance(read("".join(words)), ReadResult)


def _paths(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    steps: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(one for step, value in steps for one in _paths(value, (*path, step)))]


@given(st.sampled_from(sorted(OBJECTS)), st.data(), json_values, st.text(max_size=8))
@settings(max_examples=400, deadline=None)
def test_what_is_accepted_is_what_was_written(kind: str, data: st.DataObject, value: Any, key: str) -> None:
    """Whatever stands in a manifest is in the object that is read, or there is an error: a null alone says nothing."""
    written: dict[str, Any] = json.loads(json.dumps(OBJECTS[kind]))
    path = data.draw(st.sampled_from(_paths(written)[1:]))
    here: Any = written
    for step in path[:-1]:
        here = here[step]
    if isinstance(here[path[-1]], dict) and data.draw(st.booleans()):
        here[path[-1]][key] = value
    else:
        here[path[-1]] = value
    result = read(json.dumps(written))
    assert bool(result.errors) != bool(result.manifests) or written.get("kind") == "List"
    for one in result.manifests:
        if kind not in ("ConfigMap", "Secret", "Namespace", "List"):
            again = read(yaml.safe_dump({**OBJECTS[kind], "spec": dict(one.spec)}))
            assert again.manifests[0].spec == one.spec == schema.settle_nulls(kind, _plain(written))["spec"]


def _plain(data: Any) -> Any:
    """2.0 is 2 in JSON."""
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_of_files_does_not_matter(order: list[str]) -> None:
    texts = {"a": "kind: Job", "b": "x: [", "c": json.dumps(OBJECTS["Pod"]), "d": json.dumps(OBJECTS["Pod"])}
    files = [SourceFile(name, texts[name].encode()) for name in order]
    result = read_manifests(files, default_namespace="shop", policies={})
    assert result == read_manifests(sorted(files, key=lambda one: one.path), default_namespace="shop", policies={})
    assert [one.file for one in result.errors] == ["a", "b", "d"]
