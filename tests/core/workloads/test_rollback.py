"""The automatic rollback: when, where to, and which sentence the operator sees."""

from dataclasses import replace
from typing import Any

import pytest

from deployer.core.workloads.deployment import reconcile
from tests.core.workloads.scenario import NOW, answer, scene

OVER: dict[str, Any] = {"last_progress_at": NOW - 601}


@pytest.mark.parametrize(
    ("sketch", "changed", "expected"),
    [
        pytest.param("v1*:RRR v2:x", {}, "rollback:2>1", id="the new pod crashes"),
        pytest.param("v1*:RRR v2:r", OVER, "rollback:2>1", id="the deadline is over"),
        pytest.param("v1*:RRR v2:i", OVER, "rollback:2>1", id="the image cannot be pulled"),
        pytest.param("v1*:RRR v2:p", OVER, "rollback:2>1", id="no node fits"),
        pytest.param("v1*:RRR v2:r", {}, "", id="within its time"),
        pytest.param("v1*:RRR v2:x", {"auto_rollback": False}, "", id="switched off"),
        pytest.param("v1*:RRR v2:x", {"paused": True}, "", id="paused: a person is looking"),
        pytest.param(
            "v1*:RRR v2:r", {"paused": True, "reason": "ProgressDeadlineExceeded"}, "", id="paused after the deadline"
        ),
        pytest.param("v1:RRo v2:x", {}, "", id="revision 1 was never healthy: it restarted"),
        pytest.param("v1:RRR v2:x", {}, "rollback:2>1", id="revision 1 was overtaken, and has proved itself since"),
        pytest.param("v1*!:RRR v2:x", {}, "", id="revision 1 failed since"),
        pytest.param("v1*?:RRR v2:x", {}, "", id="revision 1 has no known template"),
        pytest.param("v1:xxx", {}, "", id="the first revision"),
        pytest.param("v1*: v2*: v3!: v4:RRr v5:x", {"template": "v5"}, "rollback:5>2", id="to the last healthy one"),
        pytest.param("v1*:RRR v2:xR", {"max_surge": 2}, "v1=2 -web-v1-2", id="one crashes, one works"),
        pytest.param("v1*: v2*:RRR v3*:x", {}, "rollback:3>2", id="a healthy one of old that fails gives way once"),
        pytest.param("v1*: v2!: v3*:xxx", {}, "", id="but one that was rolled back to does not go on into the past"),
        pytest.param("v1*: v2:xxx", {"strategy": "Recreate"}, "rollback:2>1", id="Recreate: nothing serves meanwhile"),
        pytest.param("v1*:RRR v2!:x", {}, "rollback:2>1", id="it failed before, was asked for again, and fails again"),
    ],
)
def test_when_and_where_to(sketch: str, changed: dict[str, Any], expected: str) -> None:
    assert answer(scene(sketch, **changed)) == expected


def test_what_the_operator_sees() -> None:
    plan = reconcile(scene("v1*:RRR v2:xxp", max_surge=3))
    assert plan.rollback is not None
    sentence = (
        "revision 2 (commit v2c0ffe) failed: 3 of 3 new pods are not available: 2 crash (exit code 1), "
        "1 waits for a node (0 of 3 nodes fit: 3 lack memory); rolled back to revision 1 (commit v1c0ffe)"
    )
    assert plan.rollback.message == sentence
    assert plan.rollback.log_tail == "last words of web-v2-0"
    assert plan.rollback.reason == "CrashLoopBackOff"
    assert [(event.type, event.reason, event.message) for event in plan.events] == [("Warning", "RolledBack", sentence)]
    assert plan.conditions[1].status == "False"
    assert plan.conditions[1].message == sentence


def test_what_the_operator_sees_after_the_deadline() -> None:
    plan = reconcile(scene("v1*:RRR v2:i", **OVER))
    assert plan.rollback is not None
    assert plan.rollback.message == (
        "revision 2 (commit v2c0ffe) failed: no progress for 600 s; 3 of 3 new pods are not available: "
        "1 cannot get its image (no such tag); rolled back to revision 1 (commit v1c0ffe)"
    )


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, "there is no healthy revision to go back to, so it is tried again"),
        ({"auto_rollback": False}, "automatic rollback is switched off, so it is tried again"),
    ],
)
def test_without_a_rollback_it_stays_and_says_so_once(changed: dict[str, Any], why: str) -> None:
    snapshot = scene("v1:xxx", **changed)
    plan = reconcile(snapshot)
    sentence = f"revision 1 (commit v1c0ffe) failed: 3 of 3 new pods are not available: 3 crash (exit code 1); {why}"
    assert [(event.reason, event.message) for event in plan.events] == [("CrashLoopBackOff", sentence)]
    again = reconcile(replace(snapshot, progress=plan.progress))
    assert again.empty
    assert (again.conditions[1].status, again.conditions[1].message) == ("False", sentence)
    assert again.wake_at == NOW + 600.01  # the deadline goes on


def test_scaling_is_not_lost_when_a_rollback_comes_first() -> None:
    before, after = scene("v1*:RRR v2:x", 3), scene("v1*:RRR v2:x", 6)
    plan = reconcile(replace(after, progress=before.progress))
    assert plan.rollback is not None
    assert plan.progress.desired == 3


def test_the_whole_way_back() -> None:
    """The failed set goes down, broken pods first, however many old ones are gone already."""
    steps = [
        ("v1*:RR v2!:xx", "reuse:v1#3 v2=1 -web-v2-1"),
        ("v1*:RR v2!:x", "reuse:v1#3 v1=3 +v1"),
        ("v1*:RRr v2!:x", "reuse:v1#3"),
        ("v1*:RRR v2!:x", "reuse:v1#3 v2=0 -web-v2-0"),
        ("v1*:RRR v2!:", "reuse:v1#3"),
    ]
    assert [answer(scene(sketch, template="v1")) for sketch, _ in steps] == [expected for _, expected in steps]
