"""What a sync would change, and when it asks a person first."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.manifests import Manifest
from deployer.core.sync import StoredObject, SyncPlan, decide, key_of, manifest_hash

NAMES = ("a", "b", "c")
KINDS = ("Namespace", "ConfigMap", "Deployment")


def manifest(kind: str, name: str, content: str = "1") -> Manifest:
    namespace = "" if kind == "Namespace" else "shop"
    return Manifest("v1", kind, namespace, name, {}, {}, {"data": {"key": content}}, f"{name}.yaml", 3)


def stored(kind: str, name: str, content: str = "1", application: str = "app", **more: Any) -> StoredObject:
    one = manifest(kind, name, content)
    return StoredObject(key_of(one), manifest_hash(one), application, **more)


def plan(wanted: list[Manifest], there: list[StoredObject], *, prune: bool = True, confirmed: bool = False) -> SyncPlan:
    return decide(wanted, there, application="app", prune=prune, confirmed=confirmed)


def said(found: SyncPlan) -> str:
    return " ".join(f"{change.op}:{change.key[0]}/{change.key[2]}" for change in found.changes)


@pytest.mark.parametrize(
    ("wanted", "there", "expected"),
    [
        pytest.param([manifest("ConfigMap", "a")], [], "create:ConfigMap/a", id="new"),
        pytest.param([manifest("ConfigMap", "a")], [stored("ConfigMap", "a")], "", id="the same"),
        pytest.param([manifest("ConfigMap", "a", "2")], [stored("ConfigMap", "a")], "update:ConfigMap/a", id="changed"),
        pytest.param(
            [manifest("ConfigMap", "a")], [stored("ConfigMap", "a"), stored("ConfigMap", "b")], "prune:ConfigMap/b",
            id="surplus",
        ),
        pytest.param(
            [manifest("ConfigMap", "a")], [stored("ConfigMap", "a"), stored("ConfigMap", "b", application="other")], "",
            id="another application's is not ours to prune",
        ),
        pytest.param(
            [manifest("ConfigMap", "a")], [stored("ConfigMap", "a", terminating=True)], "update:ConfigMap/a",
            id="one that is ending is wanted again",
        ),
        pytest.param(
            [manifest("ConfigMap", "a")], [stored("ConfigMap", "a", application="")], "update:ConfigMap/a",
            id="nobody's is taken over",
        ),
        pytest.param(
            [manifest("Deployment", "a"), manifest("ConfigMap", "b"), manifest("Namespace", "c")], [],
            "create:Namespace/c create:ConfigMap/b create:Deployment/a", id="in the order in which they are needed",
        ),
        pytest.param(
            [manifest("ConfigMap", "x")],
            [stored("ConfigMap", "x"), stored("Namespace", "n"), stored("Deployment", "d")],
            "prune:Deployment/d prune:Namespace/n", id="pruned the other way round",
        ),
    ],
)  # fmt: skip
def test_what_changes(wanted: list[Manifest], there: list[StoredObject], expected: str) -> None:
    found = plan(wanted, there)
    assert said(found) == expected
    assert found.refusal == ""


def test_an_object_of_another_application_is_refused_by_file_and_line() -> None:
    found = plan([manifest("ConfigMap", "a")], [stored("ConfigMap", "a", application="other")])
    assert found.refusal.startswith("a.yaml:3: ConfigMap shop/a belongs to application other already")


def test_a_namespace_may_be_named_by_many() -> None:
    assert plan([manifest("Namespace", "a")], [stored("Namespace", "a", application="other")]).refusal == ""


def test_an_emptied_folder_asks_first() -> None:
    there = [stored("ConfigMap", name) for name in NAMES]
    assert "all 3 of its objects" in plan([], there).refusal
    assert plan([], there, confirmed=True).refusal == ""
    assert plan([], there, prune=False).refusal == ""


def test_without_prune_surplus_is_kept_and_named() -> None:
    found = plan([manifest("ConfigMap", "a")], [stored("ConfigMap", "a"), stored("ConfigMap", "b")], prune=False)
    assert (found.prune, found.kept) == ((), (("ConfigMap", "shop", "b"),))


def test_what_is_immutable_does_not_change() -> None:
    fixed = stored("ConfigMap", "a", immutable=True)
    assert plan([manifest("ConfigMap", "a")], [fixed]).refusal == ""
    assert "is immutable" in plan([manifest("ConfigMap", "a", "2")], [fixed]).refusal


MANIFESTS = st.lists(
    st.builds(manifest, st.sampled_from(KINDS), st.sampled_from(NAMES), st.sampled_from("12")),
    unique_by=key_of,
    max_size=6,
)


@given(MANIFESTS, MANIFESTS)
def test_a_plan_applied_leads_to_an_empty_plan(before: list[Manifest], after: list[Manifest]) -> None:
    there = [StoredObject(key_of(one), manifest_hash(one), "app") for one in before]
    found = decide(after, there, application="app", prune=True, confirmed=True)
    left = {one.key: one for one in there if one.key not in found.prune}
    for one in (*found.create, *found.update):
        left[key_of(one)] = StoredObject(key_of(one), manifest_hash(one), "app")
    assert set(left) == {key_of(one) for one in after}
    assert decide(after, left.values(), application="app", prune=True, confirmed=True).empty


@given(MANIFESTS, MANIFESTS)
def test_every_object_is_in_one_bucket_and_order_is_irrelevant(before: list[Manifest], after: list[Manifest]) -> None:
    there = [StoredObject(key_of(one), manifest_hash(one), "app") for one in before]
    found = decide(after, there, application="app", prune=True, confirmed=True)
    keys = [key_of(one) for one in itertools.chain(found.create, found.update, found.unchanged)]
    assert sorted(keys) == sorted(key_of(one) for one in after)
    again = decide(after[::-1], there[::-1], application="app", prune=True, confirmed=True)
    assert (found.changes, found.refusal) == (again.changes, again.refusal)
