"""What differs live from Git: who has to compare, what is said of it, and what is done."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.core import drift
from deployer.core.drift import Touched, altered_fields, narrowed, orphaned, suspects, told, verdict
from deployer.core.held import held
from deployer.core.manifests import Manifest
from deployer.core.sync import ObjectKey, StoredObject, SyncPlan, content_hash, decide, key_of, manifest_hash

HUSH = "aHVzaC1odXNo"
A: ObjectKey = ("ConfigMap", "shop", "a")
ROLLOUT: ObjectKey = ("Rollout", "shop", "a")
DEPLOYMENT: ObjectKey = ("Deployment", "shop", "a")


def manifest(kind: str = "ConfigMap", name: str = "a", spec: Any = None, **more: Any) -> Manifest:
    namespace = "" if kind == "Namespace" else "shop"
    content = {"data": {"k": "1"}} if spec is None else spec
    return Manifest("v1", kind, namespace, name, more.get("labels", {}), {}, content, f"{name}.yaml", 3)


def stored(one: Manifest, application: str = "app", **more: Any) -> StoredObject:
    return StoredObject(key_of(one), manifest_hash(one), application, **more)


def touched(key: ObjectKey = A, application: str = "u1", was: str = "h", now: str = "h", **more: Any) -> Touched:
    return Touched(key, application, was, now, **more)


def planned(wanted: list[Manifest], there: list[StoredObject]) -> SyncPlan:
    plan = decide(wanted, there, application="app", prune=True, confirmed=False)
    return narrowed(plan, there, "app")


@pytest.mark.parametrize(
    ("written", "drifted", "expected"),
    [
        pytest.param([], (), set(), id="nothing was written"),
        pytest.param([touched()], (), set(), id="it is what its commit says"),
        pytest.param([touched(now="other")], (), {"u1"}, id="it is another one"),
        pytest.param([touched(was="", now="")], (), set(), id="it is not from Git"),
        pytest.param([touched(application="", now="other")], (), set(), id="nobody's has nobody to compare it"),
        pytest.param([touched()], ("u1",), {"u1"}, id="its application differs, and may be right again"),
        pytest.param([touched(), touched(now="x", application="u2")], (), {"u2"}, id="each for itself"),
    ],
)
def test_who_has_to_compare(written: list[Touched], drifted: tuple[str, ...], expected: set[str]) -> None:
    assert suspects(written, (), drifted) == expected
    assert suspects(written, ["u9"], drifted) == {*expected, "u9"}


@pytest.mark.parametrize(
    ("written", "deleted", "expected"),
    [
        pytest.param([], [A], {A}, id="it is gone"),
        pytest.param([touched()], [A], set(), id="it was made again"),
        pytest.param([touched(application="")], [], {A}, id="it is nobody's"),
        pytest.param([touched(terminating=True)], [], {A}, id="it is going"),
        pytest.param([touched(application="")], [A], {A}, id="it was made again, by nobody"),
        pytest.param([touched(DEPLOYMENT)], [ROLLOUT], set(), id="a Rollout became a Deployment"),
        pytest.param([], [ROLLOUT], {DEPLOYMENT}, id="either holds the place of both"),
    ],
)
def test_which_objects_nobody_has(written: list[Touched], deleted: list[ObjectKey], expected: set[ObjectKey]) -> None:
    assert orphaned(written, deleted) == expected


@pytest.mark.parametrize(
    ("kind", "spec", "live", "labels", "expected"),
    [
        pytest.param("ConfigMap", {"data": {"k": "1"}}, {"data": {"k": "1"}}, {}, (), id="equal"),
        pytest.param("ConfigMap", {"data": {"k": "1"}}, {"data": {"k": "2"}}, {}, ("data.k",), id="a value"),
        pytest.param("Secret", {"data": {"k": HUSH}}, {"data": {}}, {}, ("data.k",), id="a key that is gone"),
        pytest.param(
            "Service", {"selector": {}}, {"selector": {}, "type": "NodePort"}, {"a": "b"},
            ("metadata.labels.a", "spec.type"), id="a label, and what Git does not say",
        ),
        pytest.param(
            "Deployment", {"template": {"spec": {"containers": [{"name": "web", "image": "a:1"}]}}},
            {"template": {"spec": {"containers": [{"name": "web", "image": "a:2"}]}}}, {},
            ("spec.template.spec.containers[web].image",), id="an image",
        ),
    ],
)  # fmt: skip
def test_which_fields_differ(kind: str, spec: Any, live: Any, labels: Any, expected: tuple[str, ...]) -> None:
    assert altered_fields(manifest(kind, spec=spec), labels, {}, live) == expected


def test_what_was_changed_live_is_put_back_by_any_sync_and_what_was_not_is_left() -> None:
    one, other = manifest(), manifest(name="b")
    plan = planned([one, other], [stored(one, altered=("data.k",)), stored(other)])
    assert ([key_of(each) for each in plan.update], plan.create, plan.prune) == ([A], (), ())


@pytest.mark.parametrize(
    ("wanted", "there", "expected"),
    [
        pytest.param([manifest()], [stored(manifest())], [], id="in step"),
        pytest.param([manifest()], [], ["ConfigMap shop/a is missing"], id="missing"),
        pytest.param([manifest("Namespace")], [], ["Namespace a is missing"], id="without a namespace"),
        pytest.param(
            [manifest()], [stored(manifest(), altered=("data.k",))], ["ConfigMap shop/a: data.k differs from Git"],
            id="a field",
        ),
        pytest.param(
            [manifest()], [stored(manifest(), altered=("a", "b", "c"))],
            ["ConfigMap shop/a: a, b, c differ from Git"], id="three fields",
        ),
        pytest.param(
            [manifest()], [stored(manifest(), altered=("a", "b", "c", "d"))],
            ["ConfigMap shop/a: a, b, c and 1 more differ from Git"], id="many fields",
        ),
        pytest.param(
            [manifest()], [stored(manifest(), application="")],
            ["ConfigMap shop/a belongs to no application any more"], id="nobody's",
        ),
        pytest.param(
            [manifest()], [stored(manifest(), terminating=True)], ["ConfigMap shop/a is being removed"], id="going"
        ),
        pytest.param(
            [manifest()], [stored(manifest(spec={"data": {}}))], ["ConfigMap shop/a is not what Git says"],
            id="of another commit",
        ),
        pytest.param(
            [manifest()], [stored(manifest()), stored(manifest(name="b"))], ["ConfigMap shop/b is not in Git"],
            id="too many",
        ),
        pytest.param([manifest("Pod")], [], [], id="a pod that has done its work"),
        pytest.param(
            [manifest("Namespace", labels={"a": "b"})], [stored(manifest("Namespace"), application="other")], [],
            id="a Namespace that another application names as well",
        ),
    ],
)  # fmt: skip
def test_what_is_said_of_it_and_done(wanted: list[Manifest], there: list[StoredObject], expected: list[str]) -> None:
    found = planned(wanted, there)
    assert list(told(found, there)) == expected
    assert verdict(found, self_heals=True) == ("heal" if expected else "leave")
    assert verdict(found, self_heals=False) == ("tell" if expected else "leave")


def test_many_differences_are_one_sentence_and_a_short_list() -> None:
    found = planned([manifest(name=f"m{number:02}") for number in range(30)], [])
    sentences = told(found, [])
    assert (len(sentences), sentences[0]) == (drift.OBJECTS_TOLD, "ConfigMap shop/m00 is missing")
    assert drift.summary(sentences[:2], "app") == (
        "changed live: ConfigMap shop/m00 is missing (and 1 more); it stays so until Git changes it: "
        "`manage.py application sync app` puts it back"
    )
    assert "more)" not in drift.summary(sentences[:1], "app")


LEAVES = st.sampled_from([None, True, 1, 0, "", "1", (), ("a", "b"), {}, {"a": 1}])
BODIES = st.dictionaries(st.sampled_from(["a", "b", "ports"]), LEAVES, max_size=3)


@settings(max_examples=60)
@given(BODIES, BODIES)
def test_only_what_is_equal_has_no_field_that_differs(desired: dict[str, Any], live: dict[str, Any]) -> None:
    one = manifest("Service", spec=desired)
    fields = altered_fields(one, {}, {}, live)
    assert bool(fields) == (content_hash("v1", {}, {}, live) != manifest_hash(one))
    assert altered_fields(one, {}, {}, desired) == ()


@pytest.mark.parametrize(
    ("decided", "expected"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"scale": {"replicas": 5, "by": "ann"}}, ["5 replicas by ann, Git says 3"], id="scaled"),
        pytest.param(
            {"pin": {"revision": 2, "reason": "ann rolled back to revision 2"}},
            ["pinned to revision 2: ann rolled back to revision 2"], id="rolled back",
        ),
        pytest.param(
            {"paused": True, "images": {"web": "a@sha256:1"}},
            ["paused by hand", "the image of web is a@sha256:1, by its policy"], id="more than one",
        ),
    ],
)  # fmt: skip
def test_what_somebody_decided_is_told(decided: dict[str, Any], expected: list[str]) -> None:
    asked: dict[str, Any] = {"replicas": 3, "scale": {}, "pin": {}, "paused": False, "images": {}, **decided}
    assert list(held(**asked)) == expected
