"""Canaries as a person tells it: good, bad, paused, aborted, tried again, superseded; and a host that is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.models import AnalysisRun, AuditEntry, CommitStatus, Deployment, Event, Incident, Router
from control.selectors.health import health_of_deployment
from control.selectors.rollouts import rollout_state
from control.services.refusal import Refused
from deployer.composition import composition
from tests.scenarios.canary_shop import SERVICE, CanaryShop, shop
from tests.scenarios.standing import standing

pytestmark = pytest.mark.django_db


def served(folder: Path) -> CanaryShop:
    """Revision 1 serves, on two hosts."""
    made = CanaryShop(folder)
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(time, "time", made.clock.now)
        for name in ("a", "b"):
            made.add_node(name)
        made.push(shop(), SERVICE)
        made.pass_time(10)
    assert made.where() == "Completed at 0, 0 %, 1:3"
    return made


@pytest.fixture(scope="module")
def base(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CanaryShop]:
    yield from standing(django_db_blocker, lambda: served(tmp_path_factory.mktemp("base")))


@pytest.fixture
def world(base: CanaryShop, db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CanaryShop:
    """People's commands live in the same time."""
    made = base.twin(tmp_path)
    monkeypatch.setattr(composition(), "work", made.work)
    monkeypatch.setattr(time, "time", made.clock.now)
    return made


def begun(world: CanaryShop, image: str = "shop/web:2", **fields: str) -> str:
    sha = world.push(shop(image, **fields), SERVICE)
    world.pass_time(10)
    return sha


def said(reason: str) -> list[str]:
    return list(Event.objects.filter(name="web", reason=reason).order_by("id").values_list("message", flat=True))


def status(world: CanaryShop) -> str:
    return rollout_state(world.deployment(), world.clock.now()).sentence


def test_a_good_canary_is_judged_waits_for_a_person_and_is_promoted(world: CanaryShop) -> None:
    begun(world)
    assert world.where() == "Progressing at 1, 5 %, 1:3 2:1"
    assert health_of_deployment(world.deployment()).status == "Progressing"
    assert "step 2 of 5 (analysis), 5 % of the traffic" in status(world)
    world.pass_time(700)  # an analysis has no deadline
    world.judge("Successful")
    world.pass_time(5)
    assert world.where() == "Paused at 2, 5 %, 1:3 2:1"
    assert health_of_deployment(world.deployment()).status == "Suspended"
    world.pass_time(60)
    world.ask("resume")
    world.pass_time(5)
    assert world.where() == "Progressing at 4, 50 %, 1:3 2:2"
    world.judge("Successful")
    world.pass_time(20)
    assert world.where() == "Completed at 5, 0 %, 2:3"
    assert health_of_deployment(world.deployment()).status == "Healthy"
    assert [run.phase for run in AnalysisRun.objects.order_by("step")] == ["Successful"] * 2
    assert AuditEntry.objects.get().action == "rollout resume"


def test_a_bad_canary_loses_its_traffic_first_and_its_commit_is_skipped(world: CanaryShop) -> None:
    sha = begun(world)
    world.judge("Failed", "errors: 14 of 120 requests failed, of the stable pods 3 of 2400")
    world.work.forget("route", world.node("a").uid)  # its router is slow to hear
    Router.objects.update(version=0)
    world.run("reconcile", world.deployment().uid)
    assert world.where() == "Aborting at 1, 0 %, 1:3 2:1"
    assert world.canary.zero_version > 0
    assert health_of_deployment(world.deployment()).status == "Degraded"
    world.settle()
    world.pass_time(16)
    assert world.where() == "Aborted at 1, 0 %, 1:3"
    row = world.deployment()
    assert (row.pin["skipped_commit"], row.pin["automatic"], row.pin["aborted"]) == (sha, True, True)
    assert "errors: 14 of 120 requests failed" in row.pin["reason"]
    assert health_of_deployment(row).status == "Degraded"
    assert "was aborted: errors: 14 of 120" in rollout_state(row, world.clock.now()).failure
    incident = Incident.objects.get(subject=row.uid)
    assert incident.title == "Canary of Deployment shop/web was aborted"
    assert "errors: 14 of 120" in incident.why


def test_a_canary_that_crashes_is_gone_at_once_with_its_last_words(world: CanaryShop) -> None:
    world.push(shop("shop/web:2", command="sh, -c, 'sleep 5; echo no database; exit 3'"), SERVICE)
    world.pass_time_watched(12)
    assert world.where() == "Aborted at 1, 0 %, 1:3"
    assert "was aborted: pod web-" in world.deployment().pin["reason"]
    assert "container web" in world.deployment().pin["reason"]
    assert "no database" in world.deployment().pin["log_tail"]
    assert AnalysisRun.objects.get().phase == "Inconclusive"


def test_a_person_aborts_and_tries_again(world: CanaryShop) -> None:
    begun(world)
    world.ask("abort")
    assert world.canary.weight == 0
    with pytest.raises(Refused, match="no canary to abort: it is being aborted: ann aborted it"):
        world.ask("abort")
    world.pass_time(5)
    assert world.where() == "Aborted at 1, 0 %, 1:3"
    assert (world.deployment().pin["by"], world.deployment().pin["automatic"]) == ("ann", False)
    assert not Incident.objects.exists()
    world.ask("retry")
    world.pass_time(10)
    assert world.where().startswith("Progressing at 1, 5 %")
    assert world.canary.attempt == 2
    world.ask("promote")
    world.pass_time(20)
    assert world.where().startswith("Completed at 5, 0 %")
    assert world.deployment().pin == {}
    assert sorted(run.phase for run in AnalysisRun.objects.all()) == ["Inconclusive", "Inconclusive"]


def test_nobody_can_say_so_a_person_decides(world: CanaryShop) -> None:
    begun(world)
    world.judge("Inconclusive", "12 requests are too few")
    world.pass_time(5)
    assert world.where() == "Paused at 1, 5 %, 1:3 2:1"
    assert Incident.objects.get().title == "Canary of Deployment shop/web waits for a person"
    world.ask("resume")
    world.pass_time(5)
    assert world.where() == "Paused at 2, 5 %, 1:3 2:1"
    assert not Incident.objects.filter(closed_at=0).exists() or world.canary.paused_by == "step"


def test_a_newer_commit_ends_a_canary_and_begins_anew(world: CanaryShop) -> None:
    begun(world)
    begun(world, "shop/web:3")
    assert world.where() == "Progressing at 1, 5 %, 1:3 3:1"
    assert said("CanarySuperseded") != []
    assert sorted(AnalysisRun.objects.values_list("phase", flat=True)) == ["Inconclusive", "Pending"]
    world.undo()
    world.pass_time(20)
    assert set(world.counts().values()) == {3}
    assert world.canary.phase == "Completed"
    assert world.deployment().pin["by"] == "ann"


def test_going_back_in_git_takes_no_steps(world: CanaryShop) -> None:
    begun(world)
    world.ask("promote")
    world.pass_time(20)
    begun(world, "shop/web:1")
    world.pass_time(10)
    assert world.canary.phase == "Completed"
    assert world.canary.why == "it was healthy before"
    assert set(world.counts().values()) == {3}


def test_a_lost_host_neither_promotes_nor_aborts(world: CanaryShop) -> None:
    begun(world)
    (pod,) = [one for one in world.pods() if one.revision == 2]
    assert pod.node is not None
    world.engines[pod.node.name].host.power_off()
    world.watch(25)
    state = world.canary
    assert (state.phase, state.step) == ("Progressing", 1)
    world.engines[pod.node.name].host.power_on()
    world.watch(12)
    assert world.where().startswith("Progressing at 1, 5 %")
    assert sum(world.counts().values()) == 4
    assert not world.deployment().pin


def test_a_host_that_restarts_is_no_crash(world: CanaryShop) -> None:
    begun(world)
    (pod,) = [one for one in world.pods() if one.revision == 2]
    assert pod.node is not None
    host = world.engines[pod.node.name].host
    host.power_off()
    host.power_on()
    world.event(pod.node.name)
    world.pass_time_watched(10)
    assert world.where().startswith("Progressing at 1, 5 %")
    assert not world.deployment().pin


def test_scaling_and_steps_written_anew(world: CanaryShop) -> None:
    begun(world)
    world.push(shop("shop/web:2", replicas=6), SERVICE)
    world.pass_time(5)
    assert world.where() == "Progressing at 1, 5 %, 1:6 2:1"
    other = "{pierhead.io/canary: '10% for 10m, 50% for 10m'}"
    world.push(shop("shop/web:2", replicas=6, annotations=other), SERVICE)
    world.pass_time(5)
    assert world.where() == "Progressing at 1, 10 %, 1:6 2:1"
    assert "the canary goes on at step 2 of 4" in said("StepsChanged")[0]
    assert sorted(AnalysisRun.objects.values_list("phase", flat=True)) == ["Inconclusive", "Pending"]
    world.push(shop("shop/web:2", replicas=6, annotations="{a: b}"), SERVICE)
    world.pass_time(20)
    assert world.counts() == {2: 6}
    assert Deployment.objects.get().canary == {}
    assert not CommitStatus.objects.exists()
