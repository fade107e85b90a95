"""Revisions: undo, the last healthy one, pruning."""

from typing import Any

import pytest

from deployer.core.workloads.history import UndoRefused, last_healthy, undo_target
from tests.core.workloads.scenario import answer, scene


def undo(sketch: str, to_revision: int | None = None, template: str | None = None) -> str:
    snapshot = scene(sketch, template=template)
    return undo_target(snapshot.replica_sets[::-1], snapshot.deployment.template_hash, to_revision).template_hash


@pytest.mark.parametrize(
    ("sketch", "to_revision", "expected"),
    [
        pytest.param("v1: v2: v3:RRR", None, "v2", id="the previous one"),
        pytest.param("v1: v2: v3:RRR", 0, "v2", id="kubectl writes 0 for it"),
        pytest.param("v1: v2: v3:RRR", 1, "v1", id="by number"),
        pytest.param("v1: v2!: v3:RRR", None, "v1", id="not one that was rolled back from"),
        pytest.param("v1: v2!: v3:RRR", 2, "v2", id="unless it is named"),
        pytest.param("v1: v2?: v3:RRR", None, "v1", id="not one whose template is not known"),
    ],
)
def test_undo(sketch: str, to_revision: int | None, expected: str) -> None:
    assert undo(sketch, to_revision) == expected


def test_undo_while_the_current_set_is_not_the_newest() -> None:
    assert undo("v1: v2:RRR v3:", template="v2") == "v3"


@pytest.mark.parametrize(
    ("sketch", "to_revision", "sentence"),
    [
        ("v1:RRR", None, "there is no earlier revision to go back to: kept are 1 (current)"),
        ("v1!: v2?: v3:R", None,
         "there is no earlier revision to go back to: kept are 3 (current), 2 (adopted), 1 (failed)"),
        ("v1: v2:RRR", 7, "revision 7 is not kept: kept are 2 (current), 1"),
        ("v1: v2:RRR", 2, "revision 2 is the one that is asked for already: kept are 2 (current), 1"),
        (
            "v1?: v2:RRR",
            1,
            "revision 1 was adopted from running containers and its template is not known: push the commit "
            "that holds it; kept are 2 (current), 1 (adopted)",
        ),
    ],
)  # fmt: skip
def test_undo_refused(sketch: str, to_revision: int | None, sentence: str) -> None:
    with pytest.raises(UndoRefused) as refusal:
        undo(sketch, to_revision)
    assert refusal.value.sentence == sentence


def test_undo_without_any_revision() -> None:
    with pytest.raises(UndoRefused, match="none is kept"):
        undo_target((), "v1", None)


@pytest.mark.parametrize(
    ("sketch", "expected"),
    [
        ("v1*: v2*: v3:x", "v2"),
        ("v1*: v2: v3:x", "v1"),
        ("v1*: v2*!: v3:x", "v1"),
        ("v1*: v2*?: v3:x", "v1"),
        ("v1: v2*:x", None),
    ],
)
def test_last_healthy(sketch: str, expected: str | None) -> None:
    snapshot = scene(sketch)
    found = last_healthy(snapshot.replica_sets[::-1], snapshot.deployment.template_hash)
    assert (found and found.template_hash) == expected


@pytest.mark.parametrize(
    ("sketch", "changed", "expected"),
    [
        pytest.param("v1: v2: v3*:RRR", {}, "forget:v1", id="the lowest revision goes"),
        pytest.param("v1: v2: v3*:RRR", {"revision_history_limit": 0}, "forget:v1 forget:v2", id="keep none"),
        pytest.param("v1: v2: v3*:RRR", {"revision_history_limit": 2}, "", id="keep both"),
        pytest.param("v1:t v2: v3*:RRR", {}, "", id="one with pods that are going stays, and still counts"),
        pytest.param("v1: v2: v3*:RRr", {}, "", id="nothing is forgotten in mid-rollout"),
        pytest.param("v1: v2: v3:RRR", {}, "forget:v1 healthy:v3", id="with success"),
    ],
)
def test_prune(sketch: str, changed: dict[str, Any], expected: str) -> None:
    assert answer(scene(sketch, **{"revision_history_limit": 1, **changed})) == expected


def test_a_newer_number_is_not_taken_down() -> None:
    """Old sets may have been pruned since: the current number stays."""
    assert answer(scene("v1*:RRR", reason="NewReplicaSetAvailable")) == ""
    assert answer(scene("v1: v2: v3*:RRR", template="v1", desired=0)) == "reuse:v1#4 v3=0 -web-v3-2 -web-v3-1 -web-v3-0"
