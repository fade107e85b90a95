"""An analysis from its first look to its end: what routers counted decides, and each of their requests counts once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control.models import AnalysisRun, AnalysisTick, Change, Deployment, Work
from control.store import analyses
from deployer.core.canary.values import BACKGROUND, Analysis, Judge
from tests.scenarios.analysis import QUICK, Stage
from tests.scenarios.standing import standing

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def base(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    yield from standing(django_db_blocker, lambda: Stage.stood(tmp_path_factory.mktemp("base")))


@pytest.fixture
def stage(base: Stage, db: None, tmp_path: Path) -> Stage:
    return base.twin(tmp_path)


def test_a_good_canary_succeeds_and_wakes_its_workload(stage: Stage) -> None:
    run = stage.begin(Analysis(QUICK))
    assert (run.phase, run.attempt, run.step) == ("Running", 1, 1)
    stage.traffic(50, canary=(100, 1), stable=(900, 9))
    assert (stage.newest(run).phase, stage.woken) == ("Running", 0)
    stage.traffic(200, canary=(100, 1), stable=(900, 9))
    found = stage.newest(run)
    assert found.phase == "Successful", found.message
    assert found.finished_at > found.started_at
    assert stage.woken == 1
    assert Change.objects.filter(kind="AnalysisRun", name=run.name).exists()
    ticks = AnalysisTick.objects.filter(run=run).count()
    stage.traffic(30, canary=(100, 100), stable=(900, 9))
    assert AnalysisTick.objects.filter(run=run).count() == ticks, "it is over"


def test_a_bad_canary_fails(stage: Stage) -> None:
    run = stage.begin(Analysis(QUICK))
    stage.traffic(100, canary=(100, 10), stable=(900, 9))
    found = stage.newest(run)
    assert (found.phase, stage.woken) == ("Failed", 1)
    assert "canary 10.0 % of " in found.message
    assert found.finished_at - found.started_at <= 60


def test_a_canary_that_is_slow_fails(stage: Stage) -> None:
    run = stage.begin(Analysis(replace(QUICK, metrics=("errors", "slow"), max_seconds=900)))
    stage.traffic(400, canary=(100, 0), stable=(900, 9), slow=(30, 18))
    found = stage.newest(run)
    assert found.phase == "Failed", found.message
    assert stage.counted(run, "slow")[1] > stage.counted(run, "slow")[0] * 0.2
    verdicts = dict(AnalysisTick.objects.filter(run=run).order_by("at").values_list("metric", "verdict"))
    assert verdicts["slow"] == "failed"
    assert verdicts["errors"] != "failed"


def test_every_request_is_in_exactly_one_tick(stage: Stage) -> None:
    stage.dial(dict.fromkeys((*stage.canary, *stage.stable), (500, 500, 0)))
    run = stage.begin(Analysis(replace(QUICK, max_seconds=9000, min_seconds=9000)))
    assert stage.counted(run) == (0, 0, 0, 0), "what was counted before it is not its business"
    stage.traffic(70, canary=(101, 2), stable=(907, 7), every=7)
    stage.pass_time(10)
    assert stage.counted(run) == (1010, 20, 9070, 70)
    for _ in range(5):
        stage.work.wake("analyse", run.uid)
        stage.settle()
    assert AnalysisTick.objects.filter(run=run).count() <= 10, "who is woken early waits for his time"


def test_beside_the_steps_it_watches_until_they_are_over(stage: Stage) -> None:
    run = stage.begin(Analysis(QUICK), step=BACKGROUND)
    stage.traffic(600, canary=(100, 1), stable=(900, 9), every=30)
    assert stage.newest(run).phase == "Running", "content, and beyond its time"
    assert AnalysisTick.objects.filter(run=run, verdict="passed").exists()
    stage.traffic(200, canary=(100, 40), stable=(900, 9))
    assert (stage.newest(run).phase, stage.woken) == ("Failed", 1)


def test_it_stops_when_its_canary_is_over_or_another_one(stage: Stage) -> None:
    run = stage.begin(Analysis(QUICK))
    stage.keep(replace(stage.state, phase="Aborting"))
    stage.traffic(20, canary=(100, 0), stable=(900, 0))
    found = stage.newest(run)
    assert (found.phase, found.message) == ("Inconclusive", "stopped: the canary is over")
    stage.keep(replace(stage.state, attempt=2))
    other = stage.begin(Analysis(QUICK), "web-2-2")
    assert stage.newest(other).message == "stopped: another canary has taken its place"
    stage.keep(stage.state)
    Deployment.objects.filter(name="web").update(deleted_at=stage.clock.now())
    last = stage.begin(Analysis(QUICK), "web-2-3")
    assert stage.newest(last).message == "stopped: Deployment web was deleted"
    assert not AnalysisTick.objects.filter(run__in=[other, last]).exists()
    assert stage.due() == []


def test_what_the_workload_ended_stays_ended(stage: Stage) -> None:
    run, row = stage.begin(Analysis(QUICK)), stage.deployment()
    analyses.begin(row, stage.new(run), stage.work.wake, stage.clock.now() + 5)
    assert AnalysisRun.objects.count() == 1, "it is begun once"
    analyses.end(row, [run.name], stage.clock.now(), "a newer commit came")
    analyses.end(row, [run.name], stage.clock.now() + 1, "again")
    stage.traffic(30, canary=(100, 100), stable=(900, 0))
    (found,) = analyses.runs_of(row.uid)
    assert (found.name, found.phase, found.message) == (run.name, "Inconclusive", "a newer commit came")
    assert analyses.runs_of_all() == {row.uid: (found,)}
    assert (AnalysisTick.objects.count(), stage.woken) == (1, 0)
    analyses.begin(row, stage.new(run), stage.work.wake, stage.clock.now())
    assert analyses.runs_of(row.uid) == (found,)


def test_a_run_that_nobody_would_look_at_is_woken(stage: Stage) -> None:
    run = stage.begin(Analysis(QUICK))
    for lost in (lambda: Work.objects.filter(key=run.uid).delete(), lambda: Work.objects.update(due_at=1e18)):
        lost()
        before = AnalysisTick.objects.count()
        stage.pass_time(30)
        assert AnalysisTick.objects.count() == before
        stage.resync()
        stage.pass_time(30)
        assert AnalysisTick.objects.count() > before + 1


def test_nobody_uses_it(stage: Stage) -> None:
    """It is no success, and no failure."""
    run = stage.begin(Analysis(QUICK))
    stage.traffic(320, canary=(0, 0), stable=(900, 0))
    assert stage.newest(run).phase == "Inconclusive"
    told = stage.begin(Analysis(replace(QUICK, on_no_traffic="promote")), "web-2-2")
    stage.traffic(80, canary=(0, 0), stable=(900, 0))
    assert stage.newest(told).phase == "Successful"


def test_times_of_a_judge_are_its_own(stage: Stage) -> None:
    run = stage.begin(Analysis(Judge(metrics=("errors",), interval_seconds=30)))
    stage.traffic(120, canary=(100, 0), stable=(900, 0), every=5)
    assert AnalysisTick.objects.filter(run=run).count() == 5
