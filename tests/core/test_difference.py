"""Differences, in the notation that people see."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.core.difference import ORDER, Change, difference, path_text, render_difference


def said(before: Any, after: Any) -> list[str]:
    return render_difference(difference(before, after)).splitlines()


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({"replicas": 2}, {"replicas": 3}, ["~ replicas: 2 -> 3"]),
        ({}, {"paused": True}, ["+ paused: true"]),
        ({"paused": True}, {}, ["- paused: true"]),
        ({"a": 1}, {"a": True}, ["~ a: 1 -> true"]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": "1"}, ['~ a: 1 -> "1"']),
        ({"a": {}}, {"a": []}, ["~ a: {} -> []"]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, ["~ a[1]: 2 -> 3", "+ a[2]: 4"]),
        ({"labels": {"example.com/x": "1"}}, {"labels": {"example.com/x": "2"}},
         ['~ labels["example.com/x"]: "1" -> "2"']),
        ({"containers": [{"name": "web", "image": "a:1"}]},
         {"containers": [{"name": "log", "image": "b"}, {"name": "web", "image": "a:2"}]},
         ['~ containers[web].image: "a:1" -> "a:2"', '+ containers[log]: {"image": "b", "name": "log"}',
          '~ containers[order]: ["[web]"] -> ["[log]", "[web]"]']),
        ({"initContainers": [{"name": "a"}, {"name": "b"}]}, {"initContainers": [{"name": "b"}, {"name": "a"}]},
         ['~ initContainers[order]: ["[a]", "[b]"] -> ["[b]", "[a]"]']),
        ({"ports": [{"containerPort": 80}]}, {"ports": [{"containerPort": 80, "hostPort": 80}]},
         ["+ ports[80].hostPort: 80"]),
        ({"ports": [{"port": 80, "name": "http"}]}, {"ports": [{"port": 81, "name": "http"}]},
         ["~ ports[http].port: 80 -> 81"]),
        ({"env": [{"name": "A", "value": "1"}, {"name": "A"}]}, {"env": [{"name": "A", "value": "2"}, {"name": "A"}]},
         ['~ env[0].value: "1" -> "2"']),
        ({"volumeMounts": [{"mountPath": "/a", "name": "x"}]}, {"volumeMounts": []},
         ['- volumeMounts[/a]: {"mountPath": "/a", "name": "x"}']),
        (1, 2, ["~ (all): 1 -> 2"]),
    ],
)  # fmt: skip
def test_a_difference_reads_like_a_sentence(before: Any, after: Any, lines: list[str]) -> None:
    assert said(before, after) == lines


def test_masked_values_are_not_shown() -> None:
    changes = difference({"data": {"a": "hush"}}, {"data": {"a": "secret", "b": "more"}})
    assert render_difference(changes, mask=True) == "~ data.a: *** -> ***\n+ data.b: ***"


def test_values_are_one_short_printable_line() -> None:
    (line,) = said({"a": ""}, {"a": "\x1b[31m" + "x" * 500 + "\n"})
    assert "\x1b" not in line
    assert len(line) < 250


def patched(before: Any, changes: list[Change]) -> Any:
    """The changes carried out: what they are must be enough to get from one to the other."""
    holder = {"root": copy.deepcopy(before)}
    removals = [one for one in changes if one.op == "remove" and isinstance(one.path[-1:][0] if one.path else "", int)]
    for change in [*(one for one in changes if one not in removals), *reversed(removals)]:
        _carry_out(holder, ("root", *change.path), change)
    return holder["root"]


def _carry_out(here: Any, path: tuple[str | int, ...], change: Change) -> None:
    *way, last = path
    for step in way:
        here = here[_index(here, step)]
    if last == ORDER:
        here[:] = [here[_index(here, step)] for step in change.after]
    elif change.op == "remove":
        del here[_index(here, last)]
    elif change.op == "add" and isinstance(here, list):
        here.append(change.after)
    else:
        here[_index(here, last)] = change.after


def _index(here: Any, step: str | int) -> Any:
    if isinstance(here, list) and isinstance(step, str):
        return next(n for n, item in enumerate(here) if f"[{item['name']}]" == step)
    return step


names = st.sampled_from("abcd")
scalars = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x"])
named_lists = st.lists(st.fixed_dictionaries({"name": names, "value": scalars}), max_size=4)
data = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names, inner, max_size=3)
        | st.fixed_dictionaries({"env": named_lists, "containers": named_lists})
    ),
    max_leaves=12,
)


@given(data, data)
@settings(max_examples=400, deadline=None)
def test_the_changes_lead_from_one_to_the_other(before: Any, after: Any) -> None:
    assert _typed(patched(before, difference(before, after))) == _typed(after)


@given(data)
def test_equal_data_has_no_changes(found: Any) -> None:
    assert difference(found, copy.deepcopy(found)) == []


@given(data, data)
def test_different_data_has_changes_and_they_are_ordered_alike(before: Any, after: Any) -> None:
    changes = difference(before, after)
    assert bool(changes) == (_typed(before) != _typed(after))
    assert changes == difference(copy.deepcopy(before), copy.deepcopy(after))


def _typed(found: Any) -> Any:
    """Data in which true and 1 differ."""
    if isinstance(found, dict):
        return {key: _typed(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_typed(value) for value in found]
    return (type(found).__name__, found)


def test_paths_are_written_as_in_kubernetes() -> None:
    assert path_text(("spec", "containers", "[web]", "env", 0, "a.b/c")) == 'spec.containers[web].env[0]["a.b/c"]'
