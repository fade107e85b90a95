"""`get` and `describe`: what a person reads."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import time_machine
import yaml

from control.models import Pod
from tests.control import factories
from tests.control.commands import Run, runner
from tests.control.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.mark.parametrize("kind", ["pods", "pod", "po", "Pods", "pods.v1"])
def test_pods_by_any_of_their_names(run: Run, kind: str) -> None:
    _, current, _ = factories.shop(1)
    factories.crashed_pod(current, name="web-x")
    assert run("get", kind, "-n", "shop").out == (
        "NAME    READY   STATUS             RESTARTS      AGE\n"
        "web-1   1/1     Running            0             5m\n"
        "web-x   0/1     CrashLoopBackOff   5 (35s ago)   5m\n"
    )


def test_all_shows_what_runs_with_its_kind(run: Run) -> None:
    factories.shop(1)
    factories.service()
    names = [line[0] for line in run("get", "all", "-n", "shop").lines if line]
    assert names == [
        "NAME",
        "pod/web-1",
        "NAME",
        "service/web",
        "NAME",
        "deployment.apps/web",
        "NAME",
        "replicaset.apps/web-hash2",
    ]


def test_everywhere_shows_the_namespace(run: Run) -> None:
    factories.shop(1)
    assert run("get", "deploy", "-A").out.split() == [
        "NAMESPACE", "NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "shop", "web", "1/1", "1", "1", "60m",
    ]  # fmt: skip


def test_applications_show_sync_health_commit_and_pin(run: Run) -> None:
    row, *_ = factories.shop(1)
    owner = row.application
    owner.pin = {"commit": "1" * 40, "skipped_commit": "3" * 40, "by": "ann", "reason": "rolled back by ann"}
    owner.save()
    assert run("get", "app").out.split() == [
        "NAME", "SYNC", "HEALTH", "COMMIT", "PIN", "AGE", "shop", "Synced", "Healthy", "2222222", "1111111", "60m",
    ]  # fmt: skip


def test_one_object_is_an_object_and_many_are_a_list(run: Run) -> None:
    factories.shop(2)
    one = json.loads(run("get", "pod", "web-1", "-n", "shop", "-o", "json").out)
    assert (one["kind"], one["metadata"]["name"], one["status"]["phase"]) == ("Pod", "web-1", "Running")
    many = yaml.safe_load(run("get", "po,deploy", "-n", "shop", "-o", "yaml").out)
    assert (many["kind"], many["apiVersion"]) == ("List", "v1")
    assert [item["kind"] for item in many["items"]] == ["Pod", "Pod", "Deployment"]
    assert run("get", "pod/web-1", "-n", "shop", "-o", "name").out == "pod/web-1\n"


def test_a_selector_selects(run: Run) -> None:
    _, current, _ = factories.shop(1)
    factories.pod(current, "other", labels={"app": "db"})
    assert run("get", "po", "-n", "shop", "-l", "app in (db),!x", "-o", "name").out == "pod/other\n"
    assert run("get", "po", "-l", "a=b c").code == 2


def test_nothing_found_is_said_aside(run: Run) -> None:
    found = run("get", "pods")
    assert (found.code, found.out, found.err) == (0, "", "No resources found in namespace default.\n")
    assert json.loads(run("get", "pods", "-o", "json").out)["items"] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("get", "pod", "web-1"), "error: pod web-1 does not exist in namespace default; it exists in shop (-n)\n"),
        (("get", "node", "n9"), "error: node n9 does not exist; there are: n1\n"),
        (("describe", "deploy", "x"), "error: deployment x does not exist in namespace default\n"),
        (("get", "all", "web"), "error: a name needs one kind: write `get KIND NAME` or `get KIND/NAME`\n"),
    ],
)
def test_what_is_not_there_is_refused_in_one_sentence(run: Run, words: tuple[str, ...], sentence: str) -> None:
    factories.shop(1)
    found = run(*words)
    assert (found.code, found.out, found.err) == (1, "", sentence)


@pytest.mark.parametrize("words", [("get",), ("get", "pods", "-o", "xml"), ("get", "pods", "--nonsense"), ("rollout",)])
def test_wrong_usage_ends_with_2(run: Run, words: tuple[str, ...]) -> None:
    found = run(*words)
    assert found.code == 2
    assert "usage:" in found.err


def test_no_output_form_shows_a_secrets_value(run: Run) -> None:
    factories.secret(values={"password": "hunter2"})
    for form in (["-o", "json"], ["-o", "yaml"], ["-o", "wide"], []):
        shown = run("get", "secret", "-n", "shop", *form)
        assert "token" in shown.out
        assert "hunter2" not in shown.out
        assert "aHVudGVyMg" not in shown.out
    described = run("describe", "secret", "token", "-n", "shop").out
    assert "password:  7 bytes" in described
    assert "hunter2" not in described


def test_watching_shows_what_changes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, pods = factories.shop(2)
    looks = iter([lambda: None, lambda: Pod.objects.filter(pk=pods[0].pk).update(deleted_at=NOW)])

    def sleep(_seconds: float) -> None:
        try:
            next(looks)()
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("control.management.commands.get.time.sleep", sleep)
    found = run("get", "po", "-n", "shop", "-w")
    assert found.code == 130
    assert [line[:2] for line in (line.split() for line in found.out.splitlines())] == [
        ["NAME", "READY"], ["web-1", "1/1"], ["web-2", "1/1"], ["web-1", "1/1"],
    ]  # fmt: skip
    assert "Terminating" in found.out.splitlines()[-1]


def test_a_container_cannot_write_over_the_terminal(run: Run) -> None:
    factories.event("Failed", "\x1b[2Jgone\n\rNAME   READY", kind="Pod")
    assert "\x1b" not in run("get", "events", "-n", "shop").out
    assert "gone NAME READY" in run("get", "events", "-n", "shop").out


def test_describe_pod_says_why_it_waits_and_how_it_ended(run: Run) -> None:
    _, current, _ = factories.shop(1)
    factories.crashed_pod(current, name="web-x")
    factories.event("BackOff", "back-off restarting failed container", name="web-x", type="Warning", count=4)
    shown = run("describe", "pod", "web-x", "-n", "shop").out
    for line in (
        "Waiting For:     CrashLoopBackOff: container web exited with code 1, 5 times",
        "      Reason:       CrashLoopBackOff",
        "      Exit Code:    1",
        "    Restart Count:  5",
        "Last log lines:\n  Traceback\n  boom",
        "  Warning   BackOff   30s (x4 over 90s)   <none>   back-off restarting failed container",
    ):
        assert line in shown
    factories.pod(current, "web-p", node=None, ready=False, message="0 of 1 nodes fit: 1 is cordoned")
    assert "Waiting For:     0 of 1 nodes fit: 1 is cordoned" in run("describe", "po", "web-p", "-n", "shop").out


def test_describe_deployment_shows_the_pin(run: Run) -> None:
    row, *_ = factories.shop(1)
    factories.replica_set(row, 1, replicas=0)
    factories.pin(row, 1, automatic=True)
    shown = run("describe", "deploy", "web", "-n", "shop").out
    assert f"pinned to revision 1, Git is at 2222222: {factories.ROLLED_BACK}. `rollout resume" in shown
    assert f"Health:                 Degraded: {factories.ROLLED_BACK}" in shown
    assert [line.split()[:2] for line in shown.splitlines() if "web-hash" in line] == [
        ["old", "web-hash2"],
        ["new", "web-hash1"],
    ]
    assert "Last log lines:\n  Traceback\n  boom" in shown


def test_describe_node_counts_what_is_requested_and_names_orphans(run: Run) -> None:
    factories.shop(2)
    factories.pod(name="lost", orphaned=True, claimed_owner="Deployment/old", namespace="shop")
    shown = run("describe", "node", "n1").out
    assert "  cpu        4          3900m         750m (19%)" in shown
    assert "Found Running, Not Known Yet:\n  shop/lost (Deployment/old)" in shown


def test_describe_application_lists_attempts_with_their_errors(run: Run) -> None:
    row, *_ = factories.shop(1)
    error = {
        "file": "deploy/web.yaml", "line": 12, "field": "spec.replicas", "object": "Deployment shop/web",
        "message": "is not a number", "remedy": "write 3",
    }  # fmt: skip
    factories.attempt(row.application, "Failed", message="nothing was changed", errors=[error], commit="3" * 40)
    shown = run("describe", "app", "shop").out
    assert "3333333  60s ago, poll: Failed: nothing was changed" in shown
    assert "deploy/web.yaml:12: Deployment shop/web: spec.replicas: is not a number (write 3)" in shown


def test_every_kind_can_be_listed_wide_and_described(run: Run) -> None:
    row, *_ = factories.shop(1)
    factories.config_map(), factories.secret(), factories.service(), factories.event()
    factories.ingress(), factories.policy()
    factories.attempt(row.application)
    config = ("cm", "secret", "ns", "no", "ev", "app", "repo", "syncs")
    for kind in ("po", "deploy", "rs", "svc", "ep", "ing", "netpol", *config):
        assert len(run("get", kind, "-A", "-o", "wide").out.splitlines()) >= 2, kind
        assert run("describe", kind, "-A").code == 0, kind


def test_a_database_without_tables_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def broken(*_: object, **__: object) -> None:
        raise OperationalError("no such table: control_pod")

    monkeypatch.setattr("control.management.commands.get.find", broken)
    found = run("get", "pods")
    assert (found.code, found.err.count("\n")) == (1, 1)
    assert "start `manage.py up`" in found.err
