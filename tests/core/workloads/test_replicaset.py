"""Which pods are deleted first, and how new ones are named."""

from dataclasses import replace
from typing import Any

import pytest

from deployer.core.workloads.census import take
from deployer.core.workloads.replicaset import SAFE_ALPHABET, by_deletion, new_pods, pod_name
from deployer.core.workloads.values import Pod
from tests.core.workloads.scenario import LETTERS, NOW, scene

PLAIN: dict[str, Any] = {
    "uid": "u", "name": "b", "replica_set": "uid-v1", "node": "n1", "ready": True, "ready_at": NOW - 100,
    "created_at": NOW - 200, "phase": "Running", "deleting": False, "restarts": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"node": "", **LETTERS["p"]}, LETTERS["s"], id="unassigned"),
        pytest.param({"phase": "Pending", "ready": False}, {"phase": "Unknown", "ready": False}, id="Pending"),
        pytest.param({"phase": "Unknown", "ready": False}, {"ready": False, "restarts": 9}, id="Unknown"),
        pytest.param({"ready": False, "deletion_cost": 9}, {}, id="not ready, whatever its cost"),
        pytest.param({"ready_at": NOW - 1, "deletion_cost": 9}, {}, id="not available, whatever its cost"),
        pytest.param({"deletion_cost": -1}, {"ready_at": NOW - 50}, id="the lowest deletion cost"),
        pytest.param({"node": "n2"}, {"ready_at": NOW - 50}, id="the most pods of this Deployment on its node"),
        pytest.param({"ready_at": NOW - 50}, {"restarts": 9}, id="ready for the shortest time"),
        pytest.param({"restarts": 1}, {"created_at": NOW - 1}, id="more restarts"),
        pytest.param({"created_at": NOW - 100}, {}, id="the newest"),
        pytest.param({"name": "a"}, {}, id="by name"),
    ],
)
def test_deletion_order(first: dict[str, Any], second: dict[str, Any]) -> None:
    one, other = Pod(**{**PLAIN, **first}), Pod(**{**PLAIN, "uid": "v", **second})
    crowd = [Pod(**{**PLAIN, "uid": f"c{place}", "name": f"c{place}", "node": "n2"}) for place in range(3)]
    snapshot = replace(scene("v1:", min_ready_seconds=10), pods=(one, other, *crowd))
    for pods in ([one, other], [other, one]):
        assert by_deletion(pods, take(snapshot), snapshot) == [one, other]


def test_names_are_kubernetes_names_and_come_again() -> None:
    names = [pod_name("web-v1", counter) for counter in range(100)]
    assert names == [pod_name("web-v1", counter) for counter in range(100)]
    assert len(set(names)) == 100
    assert all(set(name.removeprefix("web-v1-")) <= set(SAFE_ALPHABET) and len(name) == 12 for name in names)
    assert names[:3] == ["web-v1-78qtg", "web-v1-s8jc6", "web-v1-xwtgh"]  # of every version: adopted pods keep theirs


def test_long_names_stay_host_names_and_differ() -> None:
    names = {pod_name("a" * 70 + suffix, 0) for suffix in "xy"}
    assert len(names) == 2
    assert {len(name) for name in names} == {63}


def test_two_counters_with_one_name_make_one_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployer.core.workloads.replicaset.pod_name", lambda name, counter: f"{name}-{counter // 2}")
    assert [pod.name for pod in new_pods("uid", "web", 0, 3)] == ["web-0", "web-1"]
