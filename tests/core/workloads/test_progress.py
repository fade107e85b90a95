"""The progress deadline, success, pauses, and when to look again."""

from dataclasses import replace
from typing import Any

import pytest

from deployer.core.workloads.deployment import reconcile
from deployer.core.workloads.values import Condition, Plan, Progress
from tests.core.workloads.scenario import NOW, answer, scene

UNDER_WAY = "v1:RRR v2:r"
LONG_AGO = NOW - 601
WAITS = {"last_progress_at": NOW - 100, "auto_rollback": False}


def reason(sketch: str, **changed: Any) -> str:
    return reconcile(scene(sketch, **changed)).progress.reason


@pytest.mark.parametrize(
    ("sketch", "changed", "expected"),
    [
        pytest.param(UNDER_WAY, {}, "ReplicaSetUpdated", id="it stands still, within its time"),
        pytest.param(UNDER_WAY, {"last_progress_at": NOW - 600}, "ReplicaSetUpdated", id="its last second"),
        pytest.param(UNDER_WAY, {"last_progress_at": LONG_AGO}, "ProgressDeadlineExceeded", id="over time"),
        pytest.param("v1:RRR v2:p", {"last_progress_at": LONG_AGO}, "ProgressDeadlineExceeded", id="never placed"),
        pytest.param("v1:RRR v2:i", {"last_progress_at": LONG_AGO}, "ProgressDeadlineExceeded", id="never pulled"),
        pytest.param("v1:RRR v2/1:", {"last_progress_at": LONG_AGO}, "ProgressDeadlineExceeded", id="never made"),
        pytest.param("v1:ppp", {"last_progress_at": LONG_AGO}, "ProgressDeadlineExceeded", id="the first rollout"),
        pytest.param(UNDER_WAY, {"last_progress_at": LONG_AGO, "updated": 0}, "ReplicaSetUpdated", id="updated up"),
        pytest.param(UNDER_WAY, {"last_progress_at": LONG_AGO, "replicas": 5}, "ReplicaSetUpdated", id="old down"),
        pytest.param(UNDER_WAY, {"last_progress_at": LONG_AGO, "ready": 2}, "ReplicaSetUpdated", id="ready up"),
        pytest.param(UNDER_WAY, {"last_progress_at": LONG_AGO, "available": 2}, "ReplicaSetUpdated", id="available up"),
        pytest.param(
            UNDER_WAY, {"last_progress_at": LONG_AGO, "ready": 4}, "ProgressDeadlineExceeded", id="ready down is none"
        ),
        pytest.param(
            UNDER_WAY, {"reason": "ProgressDeadlineExceeded"}, "ProgressDeadlineExceeded", id="it stays over time"
        ),
        pytest.param(
            UNDER_WAY, {"reason": "ProgressDeadlineExceeded", "ready": 2}, "ReplicaSetUpdated", id="until it moves"
        ),
        pytest.param("v1:RRR", {"reason": "ProgressDeadlineExceeded"}, "NewReplicaSetAvailable", id="or is complete"),
        pytest.param(
            "v1*:rrr",
            {"reason": "NewReplicaSetAvailable", "last_progress_at": 0},
            "NewReplicaSetAvailable",
            id="never after success",
        ),
        pytest.param(
            "v1*:RRRpp",
            {"reason": "NewReplicaSetAvailable", "last_progress_at": 0, "desired": 5},
            "NewReplicaSetAvailable",
            id="a scale-up that finds no room is no failed rollout",
        ),
        pytest.param(
            "v1:R v2*:RRR",
            {"reason": "NewReplicaSetAvailable", "last_progress_at": 0},
            "NewReplicaSetAvailable",
            id="nor is an old pod that comes back with its node",
        ),
        pytest.param("v1*:RRR", {"template": "v2"}, "NewReplicaSetCreated", id="a new revision"),
        pytest.param(
            "v1*:RRR v2:r",
            {"template": "v1", "reason": "ProgressDeadlineExceeded"},
            "FoundNewReplicaSet",
            id="back to an old one",
        ),
        pytest.param("v1*:RRr", {"reason": ""}, "FoundNewReplicaSet", id="nothing is known (records were lost)"),
        pytest.param("v1*:RRR", {"reason": ""}, "NewReplicaSetAvailable", id="nothing is known, and all is well"),
        pytest.param(
            UNDER_WAY,
            {"last_progress_at": 0, "progress_deadline_seconds": 2**31 - 1},
            "ReplicaSetUpdated",
            id="Kubernetes' word for no deadline",
        ),
        pytest.param(
            "v1*:t",
            {"template": "v2", "strategy": "Recreate", "reason": "NewReplicaSetAvailable", "last_progress_at": 0},
            "ReplicaSetUpdated",
            id="Recreate: waiting for old pods is a rollout under way",
        ),
        pytest.param(
            "v1*:t",
            {"template": "v2", "strategy": "Recreate", "last_progress_at": LONG_AGO},
            "ProgressDeadlineExceeded",
            id="Recreate: and can be over time",
        ),
        pytest.param(UNDER_WAY, {"paused": True, "last_progress_at": LONG_AGO}, "DeploymentPaused", id="paused"),
        pytest.param(
            "v1*:RRR",
            {"paused": True, "reason": "NewReplicaSetAvailable"},
            "NewReplicaSetAvailable",
            id="pausing what is done forgets no success",
        ),
        pytest.param(
            UNDER_WAY,
            {"paused": True, "reason": "ProgressDeadlineExceeded"},
            "ProgressDeadlineExceeded",
            id="nor does pausing what is over time excuse it",
        ),
        pytest.param(
            UNDER_WAY,
            {"reason": "DeploymentPaused", "last_progress_at": 0},
            "DeploymentResumed",
            id="resumed: the time of the pause does not count",
        ),
        pytest.param("v1:RRR v2:x", {}, "CrashLoopBackOff", id="the new pod crashes and crashes"),
        pytest.param("v1:RRR v2:xR", {"max_surge": 2}, "ReplicaSetUpdated", id="one crashes, one works"),
        pytest.param("v1:RRR v2:xxR", {"max_surge": 3}, "CrashLoopBackOff", id="2 crash, one works"),
        pytest.param("v1:RRR v2:r", {"reason": "CrashLoopBackOff"}, "CrashLoopBackOff", id="between two crashes"),
        pytest.param(
            "v1:RRR v2:R", {"reason": "CrashLoopBackOff", "ready": 3}, "ReplicaSetUpdated", id="it came up after all"
        ),
        pytest.param(
            "v1:RRR v2:x",
            {"reason": "CrashLoopBackOff", "last_progress_at": LONG_AGO},
            "ProgressDeadlineExceeded",
            id="it crashed until the deadline",
        ),
    ],
)  # fmt: skip
def test_reason(sketch: str, changed: dict[str, Any], expected: str) -> None:
    assert reason(sketch, **{"auto_rollback": False, **changed}) == expected


def test_four_restarts_are_a_slow_start() -> None:
    snapshot = scene("v1:RRR v2:x")
    *rest, crashed = snapshot.pods
    assert (
        reconcile(replace(snapshot, pods=(*rest, replace(crashed, restarts=4)))).progress.reason == "ReplicaSetUpdated"
    )
    assert (
        reconcile(replace(snapshot, pods=(*rest, replace(crashed, ready_at=1.0)))).progress.reason
        == "ReplicaSetUpdated"
    )


def test_progress_counts_what_is_there() -> None:
    assert reconcile(scene("v1:RRu v2:ytp", min_ready_seconds=10, generation=7, reason="")).progress == Progress(
        observed_generation=7, updated=2, ready=3, available=2, replicas=5, last_progress_at=NOW,
        reason="FoundNewReplicaSet", desired=3, of_template="v2",
    )  # fmt: skip


def test_the_time_of_success_is_kept() -> None:
    done = reconcile(scene("v1*:RRR")).progress
    assert (done.reason, done.last_progress_at) == ("NewReplicaSetAvailable", NOW)
    later = replace(scene("v1*:RRR"), progress=done, now=NOW + 5000)
    assert reconcile(later).progress is done
    assert reconcile(later).empty


@pytest.mark.parametrize(
    ("sketch", "changed", "expected"),
    [
        pytest.param(UNDER_WAY, {}, NOW + 600.01, id="the deadline, and a moment, since it must be over"),
        pytest.param(UNDER_WAY, {"last_progress_at": NOW - 100}, NOW + 500.01, id="counted from the last progress"),
        pytest.param("v1:RRR v2:y", {"min_ready_seconds": 10}, NOW + 10, id="when a pod becomes available"),
        pytest.param(
            "v1:RRR v2:y",
            {"min_ready_seconds": 10, "progress_deadline_seconds": 5},
            NOW + 5.01,
            id="the deadline where that comes first",
        ),
        pytest.param("v1*:RRR", {"reason": "NewReplicaSetAvailable"}, None, id="complete: nothing to wait for"),
        pytest.param(
            "v1*:RRy",
            {"reason": "NewReplicaSetAvailable", "min_ready_seconds": 10},
            NOW + 10,
            id="complete, and a pod came back",
        ),
        pytest.param(UNDER_WAY, {"reason": "ProgressDeadlineExceeded", **WAITS}, None, id="over time: pods can help"),
        pytest.param(UNDER_WAY, {"paused": True}, None, id="paused: a person can"),
        pytest.param(UNDER_WAY, {"progress_deadline_seconds": 2**31 - 1}, None, id="no deadline"),
    ],
)
def test_wake_at(sketch: str, changed: dict[str, Any], expected: float | None) -> None:
    assert reconcile(scene(sketch, **changed)).wake_at == expected


def test_the_deadline_is_over_when_its_wake_up_comes() -> None:
    snapshot = scene(UNDER_WAY, auto_rollback=False)
    wake_at = reconcile(snapshot).wake_at
    assert wake_at is not None
    assert reconcile(replace(snapshot, now=wake_at)).progress.reason == "ProgressDeadlineExceeded"


def test_a_pod_is_available_when_its_wake_up_comes() -> None:
    snapshot = scene("v1:RRR v2:y", min_ready_seconds=10)
    assert answer(snapshot) == ""
    assert answer(replace(snapshot, now=NOW + 9.9)) == ""
    assert answer(replace(snapshot, now=NOW + 10)) == "v1=2 -web-v1-2"


def conditions(plan: Plan) -> dict[str, Condition]:
    return {condition.type: condition for condition in plan.conditions}


@pytest.mark.parametrize(
    ("sketch", "changed", "status", "message"),
    [
        pytest.param("v1*:RRR", {}, "True", 'ReplicaSet "web-v1" has successfully progressed.', id="complete"),
        pytest.param(
            "v1:RRRR v2:RpprryxxisR",
            {"desired": 10, "min_ready_seconds": 10, "max_surge": 5},
            "True",
            'ReplicaSet "web-v2" is progressing: 2 of 10 new pods are available: 2 crash (exit code 1), '
            "1 cannot get its image (no such tag), 2 wait for a node (0 of 3 nodes fit: 3 lack memory), "
            "2 run and are not ready, 1 is ready, but not for long enough yet, 1 is starting",
            id="every pod that is not there says why",
        ),
        pytest.param(
            "v1:RRR v2:u", {}, "True",
            'ReplicaSet "web-v2" is progressing: 0 of 3 new pods are available: 1 is on a node that is not seen',
            id="a node that is not seen",
        ),
        pytest.param("v1:RRR", {"paused": True}, "Unknown", "Deployment is paused", id="paused"),
        pytest.param(
            "v1*:RRR", {"template": "v2"}, "True", "a revision with template v2 is about to start", id="at the start"
        ),
        pytest.param(
            "v1:t", {"template": "v2", "strategy": "Recreate", "last_progress_at": LONG_AGO}, "False",
            "no progress for 600 s: the new revision waits for old pods that have not ended",
            id="Recreate, and the old pods stay",
        ),
    ],
)  # fmt: skip
def test_progressing(sketch: str, changed: dict[str, Any], status: str, message: str) -> None:
    found = conditions(reconcile(scene(sketch, **changed)))["Progressing"]
    assert (found.status, found.message) == (status, message)


def test_available() -> None:
    assert conditions(reconcile(scene("v1:RRr", max_unavailable=1)))["Available"] == Condition(
        "Available", "True", "MinimumReplicasAvailable",
        "Deployment has minimum availability: 2 of 3 pods are available, 2 must be.",
    )  # fmt: skip
    assert conditions(reconcile(scene("v1:RRr")))["Available"] == Condition(
        "Available", "False", "MinimumReplicasUnavailable",
        "Deployment does not have minimum availability: 2 of 3 pods are available, 3 must be.",
    )  # fmt: skip


def test_events_tell_what_was_done() -> None:
    def told(sketch: str, **changed: Any) -> list[str]:
        return [f"{event.reason}: {event.message}" for event in reconcile(scene(sketch, **changed)).events]

    assert told("v1*:RRR", template="v2") == ["ScalingReplicaSet: Scaled up replica set web-v2 from 0 to 1"]
    assert told("v1:RRR v2:R") == ["ScalingReplicaSet: Scaled down replica set web-v1 from 3 to 2"]
    assert told("v1:RRR v2:r") == []
    assert told("v1:RRR") == ["RolloutComplete: revision 1 (commit v1c0ffe) is complete: 3 of 3 pods are available"]
    assert told("v1*/3:R", reason="NewReplicaSetAvailable") == [
        "SuccessfulCreate: Created 2 pods in place of what is gone: web-v1-s8jc6, web-v1-xwtgh"
    ]
