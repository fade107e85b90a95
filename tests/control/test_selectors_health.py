"""Health of applications: the worst of their objects, with the cause."""

import pytest

from control.models import Application
from control.selectors.health import application_health, health_of_pod
from control.selectors.pods import pod_words
from deployer.core.pod_status import LastExit
from tests.control import factories
from tests.control.factories import NOW

pytestmark = pytest.mark.django_db


def health() -> tuple[str, str]:
    found = application_health(list(Application.objects.all()))
    one = next(iter(found.values()))
    return one.status, one.message


def test_an_application_whose_objects_are_all_well_is_healthy() -> None:
    row, *_ = factories.shop()
    factories.service(application=row.application)
    assert health() == ("Healthy", "2 objects healthy")


def test_an_application_that_was_never_applied_is_missing() -> None:
    factories.application(commit="")
    assert health() == ("Missing", "nothing of it was applied yet")


def test_a_rollback_makes_it_degraded_although_all_runs() -> None:
    row, *_ = factories.shop()
    factories.pin(row, 1, automatic=True)
    assert health() == ("Degraded", f"caused by Deployment shop/web: {factories.ROLLED_BACK}")


def test_a_service_without_ready_endpoints_is_named() -> None:
    row, *_ = factories.shop()
    factories.service("api", application=row.application, spec={"selector": {"app": "api"}})
    assert health() == ("Degraded", "caused by Service shop/api: its selector finds no pod")


def test_an_object_that_is_being_pruned_does_not_count() -> None:
    row, *_ = factories.shop()
    factories.pin(row, 1, automatic=True)
    type(row).objects.update(deleted_at=NOW)
    assert health()[0] == "Healthy"


def test_a_pod_on_a_host_that_is_not_seen_is_unknown() -> None:
    row = factories.pod(node=factories.node(ready=False), ready=True)
    assert health_of_pod(row).message == "node n1 does not answer"
    assert health_of_pod(row).status == "Unknown"
    assert pod_words(row).status == "Unknown"


def words(**fields: object) -> tuple[str, str, int]:
    row = factories.pod(**fields)
    found = pod_words(row, factories.template(initContainers=fields.pop("init", []))["spec"])
    return f"{found.ready}/{found.total}", found.status, found.restarts


def test_pods_are_told_in_kubectls_words() -> None:
    status, run, wait = factories.pod_status, factories.running, factories.waiting
    assert words() == ("1/1", "Running", 0)
    assert words(node=None, ready=False, phase="Pending", waiting="Unschedulable") == ("0/1", "Pending", 0)
    assert words(ready=False) == ("0/1", "ContainerCreating", 0)
    assert words(deleted_at=NOW) == ("1/1", "Terminating", 0)
    crashed = status(wait("CrashLoopBackOff", restarts=3, last=LastExit(1, "Error", NOW)), ready=False, phase="Running")
    assert words(status=crashed.to_dict(), restarts=3, phase="Running") == ("0/1", "CrashLoopBackOff", 3)
    ended = status(
        run(state="terminated", reason="Completed", exit_code=0, ready=False), phase="Succeeded", ready=False
    )
    assert words(status=ended.to_dict(), phase="Succeeded") == ("0/1", "Completed", 0)


def test_init_containers_and_sidecars() -> None:
    status, run, wait = factories.pod_status, factories.running, factories.waiting
    first = run("setup", is_init=True, ready=False)
    starting = status(wait("PodInitializing"), init_containers=(first,), ready=False).to_dict()
    row = factories.pod(status=starting, phase="Pending")
    assert pod_words(row, {"initContainers": [{"name": "setup"}]}).status == "Init:0/1"
    sidecar = {"initContainers": [{"name": "setup", "restartPolicy": "Always"}]}
    beside = factories.pod(status=status(run(), init_containers=(run("setup", is_init=True),)).to_dict(), ready=True)
    found = pod_words(beside, sidecar)
    assert (found.ready, found.total, found.status) == (2, 2, "Running")
