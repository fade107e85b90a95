"""Canaries by people: as a service and as a command. What is written, who is woken, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import time_machine

from control.models import AnalysisRun, AnalysisTick, AuditEntry, Deployment, Event, Router, Work
from control.selectors.health import health_of_deployment
from control.selectors.rollouts import rollout_state
from control.services import canaries, workloads
from control.services.audit import Actor
from control.services.refusal import Refused
from control.store import workloads as workload_store
from control.store.canaries import keep, state_of, strategy
from control.store.leaving import wake_released
from deployer.composition import composition
from deployer.core.canary.kept import dump_state, steps_hash
from deployer.core.canary.values import CanaryState
from deployer.core.workloads.deployment import reconcile
from tests.control import factories
from tests.control.commands import Run, runner
from tests.control.factories import NOW

pytestmark = pytest.mark.django_db
ANN = Actor("ann")
STEPS = {"pierhead.io/canary": "5% for 10m until promoted, 50% for 10m"}


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


def tried(**state: Any) -> Deployment:
    """Revision 3 is a canary at step 2 of 5, with 5 % of the traffic and a router that hears."""
    row, _, _ = factories.shop()
    row.annotations, row.live_hash, row.status = STEPS, "hash3", {}
    found = strategy(row)
    assert found is not None
    given = CanaryState(
        template_hash="hash3", stable_hash="hash2", phase="Progressing", attempt=1, step=1, step_at=NOW - 60,
        steps_hash=steps_hash(found), weight=500, started_at=NOW - 90,
    )  # fmt: skip
    row.canary = dump_state(replace(given, **state))
    row.save()
    new = factories.replica_set(row, 3, healthy=False, replicas=1)
    factories.pod(new, "canary-1")
    return row


def refusal(verb: str, **words: Any) -> str:
    before = Deployment.objects.get().canary
    with pytest.raises(Refused) as caught:
        canaries.command(verb, "shop", "web", ANN, **words)
    assert Deployment.objects.get().canary == before
    assert not AuditEntry.objects.exists()
    return caught.value.sentence


def test_an_abort_zeroes_the_weight_wakes_the_routers_and_is_audited() -> None:
    row = tried()
    canaries.command("abort", "shop", "web", ANN)
    row.refresh_from_db()
    state = state_of(row)
    assert (state.phase, state.weight, state.aborted_by) == ("Aborting", 0, "ann")
    assert 0 < state.zero_version <= row.resource_version
    assert {("reconcile", row.uid), ("route", row.replica_sets.get(revision=3).pods.get().node_id)} <= set(
        Work.objects.filter(due_at=0).values_list("loop", "key")
    )
    assert AuditEntry.objects.get().action == "rollout abort"
    assert Event.objects.get(reason="CanaryAborted").message == "canary aborted by ann"


def test_its_pods_go_when_all_routers_have_it() -> None:
    row = tried()
    canaries.command("abort", "shop", "web", ANN)
    node = row.replica_sets.get(revision=3).pods.get().node
    Router.objects.update_or_create(node=node, defaults={"applied_at": NOW, "version": 1})
    (loaded,) = workload_store.load([row.uid], NOW + 1)
    plan = reconcile(loaded.snapshot)
    assert (plan.rollback, plan.delete_pods) == (None, ())
    Work.objects.all().delete()
    Router.objects.update(version=state_of(Deployment.objects.get()).zero_version)
    wake_released(composition().work.wake)
    assert Work.objects.filter(loop="reconcile", key=row.uid).exists()
    (loaded,) = workload_store.load([row.uid], NOW + 1)
    plan = reconcile(loaded.snapshot)
    assert plan.rollback is not None
    assert (plan.rollback.to_revision, plan.rollback.by) == (2, "ann")
    workload_store.apply([(loaded, plan)], composition().work.wake)
    row.refresh_from_db()
    assert (row.pin["by"], row.pin["aborted"], row.pin["automatic"]) == ("ann", True, False)
    assert health_of_deployment(row).status == "Degraded"
    assert rollout_state(row, NOW).failure.startswith('deployment "web": the canary of revision 3')


def test_a_retry_ends_the_pin() -> None:
    row = tried(phase="Aborted", why="errors", weight=0, ended_at=NOW - 5)
    factories.pin(row, 2, automatic=True)
    canaries.command("retry", "shop", "web", ANN)
    row.refresh_from_db()
    assert (row.pin, state_of(row).attempt, state_of(row).phase) == ({}, 2, "Progressing")
    assert not row.replica_sets.get(revision=3).failed


def test_ending_the_pin_is_a_retry_as_well() -> None:
    row = tried(phase="Aborted", why="errors", weight=0, ended_at=NOW - 5)
    factories.pin(row, 2, automatic=True)
    workloads.unpin("shop", "web", ANN)
    row.refresh_from_db()
    assert (row.pin, state_of(row).attempt, state_of(row).step) == ({}, 2, 0)


def test_a_restart_is_refused_while_a_canary_is_under_way_and_takes_no_steps() -> None:
    row = tried()
    with pytest.raises(Refused, match=r"has a canary \(it is at step 2 of 5 \(analysis\) with 5 % of the traffic\)"):
        workloads.restart("shop", "web", ANN)
    row.canary = dump_state(CanaryState("hash3", phase="Completed", attempt=1))
    row.save()
    workloads.restart("shop", "web", ANN)
    row.refresh_from_db()
    assert (state_of(row).template_hash, state_of(row).phase) == (row.live_hash, "Completed")


def test_what_is_refused_says_what_is_going_on() -> None:
    row = tried()
    title, at = "deployment shop/web", "it is at step 2 of 5 (analysis) with 5 % of the traffic"
    assert refusal("resume") == f"{title}: it is not paused: {at}"
    assert refusal("retry") == f"{title}: there is no aborted canary to try again: {at}"
    seen = canaries.mark(state_of(row))
    keep(row, replace(state_of(row), step=2), composition().work.wake)
    assert refusal("skip", seen=seen) == (
        f"{title}: its canary went on meanwhile, it is not where it was when you looked"
    )
    row.annotations = {}
    row.save()
    assert refusal("promote") == (
        f"{title}: no canary is in its steps: new revisions come in by a rolling update, without steps"
    )


def test_status_follows_the_steps_with_the_evidence() -> None:
    row = tried()
    row.progress = {**row.progress, "reason": "CanaryInProgress"}
    row.status = {"conditions": [{"type": "Progressing", "status": "True", "message": "step 2 of 5 (analysis)"}]}
    row.save()
    analysis = AnalysisRun.objects.create(deployment=row, name="web-hash3-1-1", template_hash="hash3", phase="Running")
    AnalysisTick.objects.create(run=analysis, at=NOW, metric="errors", verdict="extend", message="340 more requests")
    state = rollout_state(row, NOW)
    assert state.sentence == 'Waiting for deployment "web" rollout to finish: step 2 of 5 (analysis)...'
    assert state.evidence == "errors: extend: 340 more requests"
    assert not state.ended


def test_the_commands(run: Run) -> None:
    row = tried()
    place = ("-n", "shop")
    assert run("rollout", "pause", "deploy/web", *place).out == (
        "deployment.apps/web paused: the canary stays where it is\n"
    )
    assert state_of(Deployment.objects.get()).phase == "Paused"
    assert not Deployment.objects.get().paused
    assert run("rollout", "resume", "deploy/web", *place).out == "deployment.apps/web resumed: the canary goes on\n"
    assert run("rollout", "promote", "deploy/web", *place).err.startswith(
        "error: deployment shop/web: it is not paused"
    )
    assert run("rollout", "skip", "deploy/web", *place).out == "deployment.apps/web skipped a step\n"
    assert state_of(Deployment.objects.get()).step == 2
    assert run("rollout", "promote", "rollout/web", "--full", *place).out == (
        "deployment.apps/web promoted: the steps that were left are skipped\n"
    )
    Deployment.objects.update(workload="Rollout")
    assert run("rollout", "abort", "rollout", "web", *place).out == "rollout.argoproj.io/web aborted\n"
    assert run("rollout", "abort", "rollout/nobody", *place).err == (
        "error: rollout nobody does not exist in namespace shop\n"
    )
    assert [one.action for one in AuditEntry.objects.order_by("id")] == [
        "rollout pause", "rollout resume", "rollout skip", "rollout promote", "rollout abort"
    ]  # fmt: skip
    assert row.uid == Deployment.objects.get().uid
