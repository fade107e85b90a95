"""An analysis from its first look to its end: what routers counted decides, and each of their requests counts once."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.models import AnalysisTick, Change
from deployer.core.canary.values import Analysis
from tests.scenarios.analysis import QUICK, Stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


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
    assert "of 100 requests failed" in found.message or "requests failed" in found.message
    assert found.finished_at - found.started_at <= 60
