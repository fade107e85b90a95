"""Health words by their rules, first match first."""

import pytest

from deployer.core.health import (
    WORST_FIRST,
    Health,
    deployment_health,
    ingress_health,
    network_policy_health,
    pod_health,
    rollup,
    service_health,
)
from deployer.core.workloads.values import Progress

DONE = Progress(observed_generation=2, updated=3, ready=3, available=3, replicas=3, reason="NewReplicaSetAvailable")


def of(progress: Progress = DONE, **changed: object) -> Health:
    given: dict[str, object] = {"paused": False, "generation": 2, "desired": 3, "progress": progress, **changed}
    return deployment_health(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(of(), Health("Healthy", "3 of 3 pods are available"), id="converged"),
        pytest.param(of(paused=True, generation=9), Health("Suspended", "it is paused"), id="paused comes first"),
        pytest.param(
            of(generation=3), Health("Progressing", "its latest change has not been looked at yet"), id="unobserved"
        ),
        pytest.param(
            of(Progress(2, reason="ProgressDeadlineExceeded"), message="revision 4 failed"),
            Health("Degraded", "revision 4 failed"),
            id="out of time",
        ),
        pytest.param(of(Progress(2, reason="CrashLoopBackOff")), Health("Degraded", "CrashLoopBackOff"), id="crashing"),
        pytest.param(
            of(rolled_back="revision 4 failed; rolled back to revision 3"),
            Health("Degraded", "revision 4 failed; rolled back to revision 3"),
            id="a rollback that holds is red although what runs is well",
        ),
        pytest.param(
            of(Progress(2, updated=1, replicas=4)), Health("Progressing", "1 of 3 pods are updated"), id="updating"
        ),
        pytest.param(
            of(Progress(2, updated=3, replicas=4)), Health("Progressing", "1 old pods are still there"), id="old pods"
        ),
        pytest.param(
            of(Progress(2, updated=3, replicas=3, available=2)),
            Health("Progressing", "2 of 3 pods are available"),
            id="available < updated",
        ),
        pytest.param(
            of(Progress(2), desired=0), Health("Healthy", "0 of 0 pods are available"), id="scaled to nothing"
        ),
    ],
)
def test_deployment(found: Health, expected: Health) -> None:
    assert found == expected


@pytest.mark.parametrize(
    ("phase", "ready", "waiting", "message", "expected"),
    [
        ("Pending", False, "ErrImagePull", "no such tag", Health("Degraded", "ErrImagePull: no such tag")),
        ("Pending", False, "CreateContainerConfigError", "", Health("Degraded", "CreateContainerConfigError")),
        ("Running", True, "CrashLoopBackOff", "exit code 1", Health("Degraded", "CrashLoopBackOff: exit code 1")),
        ("Running", True, "", "", Health("Healthy")),
        ("Succeeded", False, "", "", Health("Healthy")),
        ("Failed", False, "", "OOMKilled", Health("Degraded", "OOMKilled")),
        ("Failed", False, "", "", Health("Degraded", "it has failed")),
        ("Unknown", True, "", "", Health("Unknown", "its node is not seen")),
        ("Pending", False, "", "0 of 3 nodes fit", Health("Progressing", "0 of 3 nodes fit")),
        ("Pending", False, "ContainerCreating", "", Health("Progressing", "ContainerCreating")),
        ("Running", False, "", "", Health("Progressing", "it is starting")),
    ],
)
def test_pod(phase: str, ready: bool, waiting: str, message: str, expected: Health) -> None:
    assert pod_health(phase=phase, ready=ready, waiting=waiting, message=message) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (service_health(2, True), Health("Healthy", "2 endpoints ready")),
        (service_health(0, True), Health("Progressing", "no endpoint is ready")),
        (service_health(0, True, 3), Health("Progressing", "none of 3 pods that it selects is ready")),
        (service_health(0, True, 0), Health("Degraded", "its selector finds no pod")),
        (service_health(0, False), Health("Healthy", "it has no selector, so its endpoints are not Pierhead's")),
    ],
)
def test_service(found: Health, expected: Health) -> None:
    assert found == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ingress_health(2, 2), Health("Healthy", "2 services with ready endpoints")),
        (ingress_health(1, 2), Health("Progressing", "1 of 2 services have a ready endpoint")),
        (ingress_health(0, 1), Health("Progressing", "0 of 1 service has a ready endpoint")),
        (ingress_health(2, 2, ["Secret shop/t is missing"]), Health("Degraded", "Secret shop/t is missing")),
        (ingress_health(0, 2, ["first", "second", "third"]), Health("Degraded", "first (and 2 more)")),
    ],
)
def test_ingress(found: Health, expected: Health) -> None:
    assert found == expected


def test_a_network_policy_holds_as_soon_as_it_is_there() -> None:
    assert network_policy_health(0) == Health("Healthy", "it selects 0 pods")
    assert network_policy_health(1) == Health("Healthy", "it selects 1 pod")


def test_the_worst_wins_and_is_named() -> None:
    parts = [(f"Deployment shop/{status.lower()}", Health(status, "so it is")) for status in WORST_FIRST]
    for worst in range(len(WORST_FIRST) - 1):
        status = WORST_FIRST[worst]
        expected = Health(status, f"caused by Deployment shop/{status.lower()}: so it is")
        assert rollup(parts[worst:]) == expected
        assert rollup(reversed(parts[worst:])) == expected


def test_a_rollup_counts_the_causes_behind_the_first() -> None:
    parts = [(name, Health("Degraded")) for name in ("Deployment b", "Deployment a", "Pod c")]
    assert rollup(parts) == Health("Degraded", "caused by Deployment a and 2 more")


def test_all_well() -> None:
    assert rollup([("Deployment a", Health("Healthy"))]) == Health("Healthy", "1 object healthy")
    assert rollup([]) == Health("Healthy", "there is nothing that could be unhealthy")
