"""`rollout` and `application`: steering, and waiting while the world goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import time_machine

from control.models import Application, AuditEntry, Deployment, Pod, ReplicaSet, Sync, Work
from control.store import objects
from tests.control import factories
from tests.control.commands import Run, World, runner, world
from tests.control.factories import COMMITS, NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> World:
    return world(monkeypatch)


def rolling() -> tuple[Deployment, ReplicaSet, ReplicaSet]:
    """Revision 3 is asked for; 2 of 3 new pods are there, one of them not ready."""
    row, old, pods = factories.shop()
    row.live_hash = "hash3"
    row.save()
    objects.delete(pods[1:])
    new = factories.replica_set(row, 3, healthy=False)
    factories.pod(new, "new-1")
    factories.pod(new, "new-2", ready=False)
    return row, old, new


def test_status_follows_a_rollout_in_kubectls_words(run: Run, here: World) -> None:
    _, _, new = rolling()
    here.plays(
        lambda: factories.pod(new, "new-3"),
        lambda: Pod.objects.filter(name="web-1").delete(),
        lambda: Pod.objects.filter(name="new-2").update(ready=True, ready_at=NOW),
    )
    found = run("rollout", "status", "deployment/web", "-n", "shop")
    waiting = 'Waiting for deployment "web" rollout to finish: '
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines() == [
        waiting + "2 out of 3 new replicas have been updated...",
        waiting + "1 old replicas are pending termination...",
        waiting + "2 of 3 updated replicas are available...",
        'deployment "web" successfully rolled out',
    ]
    assert here.looks == 3


def test_status_ends_with_1_when_it_was_rolled_back(run: Run, here: World) -> None:
    row, _, _ = rolling()
    here.plays(lambda: factories.pin(Deployment.objects.get(pk=row.pk), 2, automatic=True))
    found = run("rollout", "status", "deploy", "web", "-n", "shop")
    assert found.code == 1
    assert found.out.endswith("last log lines:\n  Traceback\n  boom\n")
    assert found.err == f'error: deployment "web" was rolled back automatically: {factories.ROLLED_BACK}\n'


def test_status_ends_with_1_when_time_is_up(run: Run, here: World) -> None:
    rolling()
    found = run("rollout", "status", "deploy/web", "-n", "shop", "--timeout", "5s")
    assert found.code == 1
    assert here.looks in (100, 101)  # 5 s of 50 ms
    assert found.err == (
        'error: deployment "web" did not finish within 5 s: Waiting for deployment "web" rollout to finish: '
        "2 out of 3 new replicas have been updated...\n"
    )


def test_status_ends_when_the_deployment_goes(run: Run, here: World) -> None:
    row, *_ = rolling()
    here.plays(lambda: Deployment.objects.filter(pk=row.pk).delete())
    found = run("rollout", "status", "deploy/web", "-n", "shop")
    assert (found.code, found.err) == (1, "error: deployment web does not exist in namespace shop\n")


def test_undo_pins_and_resume_ends_the_pin(run: Run, here: World) -> None:
    row, *_ = factories.shop()
    factories.replica_set(row, 1, replicas=0)
    assert run("rollout", "undo", "deploy/web", "-n", "shop").out == (
        "deployment.apps/web rolled back to revision 1 (1111111)\n"
    )
    row.refresh_from_db()
    assert row.pin["template_hash"] == "hash1"
    assert Work.objects.get(loop="reconcile", key=row.uid).due_at == 0
    resumed = run("rollout", "resume", "deploy/web", "-n", "shop")
    assert resumed.out == "deployment.apps/web resumed: the pin to revision 1 ended\n"
    row.refresh_from_db()
    assert row.pin == {}
    assert [entry.action for entry in AuditEntry.objects.order_by("id")] == ["rollout undo", "rollout resume"]


def test_pause_resume_and_restart(run: Run) -> None:
    row, *_ = factories.shop()
    assert run("rollout", "pause", "deploy/web", "-n", "shop").out == "deployment.apps/web paused\n"
    assert run("rollout", "pause", "deploy/web", "-n", "shop").err == ("error: deployment shop/web is paused already\n")
    assert run("rollout", "resume", "deploy/web", "-n", "shop").out == "deployment.apps/web resumed\n"
    assert run("rollout", "resume", "deploy/web", "-n", "shop").code == 1
    assert run("rollout", "restart", "deploy/web", "-n", "shop").out == "deployment.apps/web restarted\n"
    before, row.live_hash = row.live_hash, Deployment.objects.get(pk=row.pk).live_hash
    assert row.live_hash != before


def test_history_shows_failed_revisions_too(run: Run) -> None:
    row, *_ = factories.shop()
    factories.replica_set(row, 3, failed=True, healthy=False, change_cause="bump")
    assert run("rollout", "history", "deploy/web", "-n", "shop").out == (
        "deployment.apps/web\n"
        "REVISION   COMMIT    STATE              IMAGES                       AGE   CHANGE-CAUSE\n"
        "2          2222222   current, healthy   registry.example.com/web:1   10m   <none>\n"
        "3          3333333   failed             registry.example.com/web:1   10m   bump\n"
    )
    assert (
        "image: registry.example.com/web:1"
        in run("rollout", "history", "deploy/web", "-n", "shop", "--revision", "2").out
    )
    assert run("rollout", "history", "deploy/web", "-n", "shop", "--revision", "9").err == (
        "error: deployment shop/web has no revision 9; kept are: 2, 3\n"
    )


@pytest.mark.parametrize("words", [("pod/web-1",), ("web",), ("deploy/",), ("deploy", "a", "b")])
def test_only_deployments_roll_out(run: Run, words: tuple[str, ...]) -> None:
    assert run("rollout", "status", *words).code == 1


# --- application ---


def answered(name: str, phase: str = Sync.SUCCEEDED, **fields: object) -> Sync:
    """A worker did what was asked."""
    row = Application.objects.get(name=name)
    Application.objects.filter(pk=row.pk).update(request={}, message=str(fields.get("message", "")))
    return factories.attempt(row, phase, trigger="request", actor="ann", **fields)


def test_a_sync_with_nothing_to_change_returns_at_once(run: Run, here: World) -> None:
    factories.shop()
    here.plays(lambda: answered("shop", message="4 unchanged"))
    found = run("application", "sync", "shop", "--wait")
    assert (found.code, found.out) == (0, "application/shop is at 2222222 and healthy: 4 unchanged\n")
    assert here.looks == 1


def test_a_sync_waits_for_every_deployment(run: Run, here: World) -> None:
    _, _, new = rolling()
    here.plays(
        lambda: answered("shop", message="1 changed"),
        lambda: factories.pod(new, "new-3"),
        lambda: Pod.objects.filter(name__in=["web-1"]).delete(),
        lambda: Pod.objects.filter(name="new-2").update(ready=True, ready_at=NOW),
    )
    assert run("application", "sync", "shop", "--wait").code == 0
    assert here.looks == 4


def test_a_refused_sync_shows_file_line_and_field_of_each_error(run: Run, here: World) -> None:
    factories.shop()
    errors = [
        {
            "file": "a.yaml", "line": 3, "field": "spec.replicas", "object": "Deployment shop/web",
            "message": "is text", "remedy": "write 3",
        },
        {"file": "b.yaml", "line": 1, "field": "", "object": "", "message": "is not YAML", "remedy": ""},
    ]  # fmt: skip
    here.plays(lambda: answered("shop", Sync.FAILED, message="commit 3333333 was refused", errors=errors))
    found = run("application", "sync", "shop", "--wait")
    assert (found.code, found.err) == (1, "error: application shop: commit 3333333 was refused\n")
    assert found.out == ("a.yaml:3: Deployment shop/web: spec.replicas: is text (write 3)\nb.yaml:1: is not YAML\n")


def test_a_sync_whose_rollout_is_rolled_back_fails_with_the_log(run: Run, here: World) -> None:
    row, *_ = rolling()
    here.plays(lambda: answered("shop"), lambda: factories.pin(Deployment.objects.get(pk=row.pk), 2, automatic=True))
    found = run("application", "sync", "shop", "--wait")
    assert found.code == 1
    assert f'deployment "web" was rolled back automatically: {factories.ROLLED_BACK}' in found.err
    assert "Traceback\n  boom" in found.out


def test_an_attempt_of_the_poll_is_not_mistaken_for_the_answer(run: Run, here: World) -> None:
    row, *_ = factories.shop()
    here.plays(
        lambda: factories.attempt(row.application, Sync.FAILED, message="the poll's own"),
        lambda: answered("shop", message="ours"),
    )
    assert run("application", "sync", "shop", "--wait").out.endswith("healthy: ours\n")


def test_a_failure_that_is_on_record_already_is_still_told(run: Run, here: World) -> None:
    """The same failure of the same commit is one record: no new attempt appears."""
    row, *_ = factories.shop()
    factories.attempt(row.application, Sync.FAILED, message="broken")
    row.application.pin = {"commit": COMMITS[1]}
    row.application.save()
    here.plays(lambda: Application.objects.update(request={}, message="broken"))
    found = run("application", "resume", "shop", "--wait")
    assert (found.code, found.err) == (1, "error: application shop: broken\n")


def test_without_a_worker_it_says_so_after_ten_seconds_and_waits_on(run: Run, here: World) -> None:
    factories.shop()
    here.seconds = 1.0
    found = run("application", "sync", "shop", "--wait", "--timeout", "30s")
    first, last = found.err.splitlines()
    assert first.startswith("no worker has answered for 11 s")
    assert last == (
        "error: application shop did not finish within 30 s: application shop: waiting for a worker to look at Git..."
    )
    assert found.code == 1


def test_without_wait_it_only_asks(run: Run) -> None:
    factories.shop()
    assert run("application", "sync", "shop").out == "application/shop asked to sync\n"
    assert Application.objects.get().request["trigger"] == "request"


def test_add_list_history_and_remove(run: Run) -> None:
    factories.repository("code")
    assert run("application", "add", "blog", "--repository", "code", "--path", "k8s", "-n", "blog", "--manual").out == (
        "application/blog added; `application sync blog` applies it\n"
    )
    row = Application.objects.get(name="blog")
    assert (row.namespace, row.automatic, row.prune, row.self_heal) == ("blog", False, True, True)
    assert "blog" in run("application", "list").out
    factories.attempt(row, Sync.FAILED, message="no such path")
    assert "no such path" in run("application", "history", "blog").out
    told = {"automatic": True, "prune": False, "selfHeal": False}
    assert run("application", "set", "blog", "--auto", "--no-prune", "--no-self-heal").out == (
        "application/blog set: automatic, no prune, no self-heal\n"
    )
    assert json.loads(run("get", "application", "blog", "-o", "json").out)["spec"]["sync"] == told
    assert run("application", "set", "blog", "--no-prune").err == (
        "error: application blog is so already: automatic, no prune, no self-heal\n"
    )
    assert "say what to change" in run("application", "set", "blog").err
    assert list(AuditEntry.objects.filter(action="application set").values_list("object", "detail")) == [
        ("Application blog", "automatic, no prune, no self-heal")
    ]
    Application.objects.update(drift="ConfigMap blog/a is missing", sync_status="OutOfSync")
    described = run("describe", "application", "blog").out
    assert "Sync Policy:  automatic, no prune, no self-heal\n" in described
    assert "Changed Live:\n  ConfigMap blog/a is missing\n" in described
    assert run("application", "set", "blog", "--self-heal").code == 0  # what was told is compared again, and put back
    assert Application.objects.get(name="blog").suspected
    assert run("application", "remove", "blog").out == "application/blog removed; 0 objects pruned\n"
    assert run("application", "add", "blog", "--repository", "code", "--path", "k8s", "--no-self-heal").code == 0
    assert AuditEntry.objects.get(action="application add", detail__contains="no self-heal")
    run("application", "remove", "blog")
    assert run("application", "sync", "blog").err == "error: application blog does not exist; there are: none\n"
