"""An AnalysisTemplate's metrics: asked for when they are due, our own measured from what routers counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control.models import AnalysisTick, Event
from control.store import analyses
from deployer.adapters.simulated import Faults
from deployer.core.canary.values import BACKGROUND, Analysis, Metric, Prometheus, Traffic
from tests.scenarios.analysis import NODES, QUICK, Stage
from tests.scenarios.standing import standing

pytestmark = pytest.mark.django_db
TOKEN = "t0p-secret-token"
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: prometheus}}\nstringData: {{token: {TOKEN}}}\n"
ASKED = Prometheus("https://prometheus.example.com", "success", timeout_seconds=7)
SUCCESS = Metric("success-rate", ASKED, 20, count=3, success_condition="result[0] >= 0.95")
ERRORS = Metric("errors", Traffic("errors"), 30, count=3, success_condition="result < 0.05")


@pytest.fixture(scope="module")
def base(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    yield from standing(django_db_blocker, lambda: Stage.stood(tmp_path_factory.mktemp("base")))


@pytest.fixture
def stage(base: Stage, db: None, tmp_path: Path) -> Stage:
    return base.twin(tmp_path)


def ticks(stage: Stage, metric: str) -> list[tuple[object, str]]:
    return list(AnalysisTick.objects.filter(metric=metric).order_by("at").values_list("value", "verdict"))


def test_a_provider_is_asked_as_often_as_the_metric_says(stage: Stage) -> None:
    stage.provider.answers["success"] = (0.97,)
    run = stage.begin(Analysis(metrics=(SUCCESS,)))
    stage.pass_time(30)
    assert (stage.newest(run).phase, stage.newest(run).message) == ("Running", "success-rate: 2 of 3 measured")
    stage.pass_time(60)
    found = stage.newest(run)
    assert (found.phase, found.message) == ("Successful", "metric success-rate: 3 measurements")
    assert ticks(stage, "success-rate") == [([0.97], "successful")] * 3
    assert stage.provider.asked == [("success", {}, 7.0)] * 3
    assert (stage.woken, stage.due()) == (1, [])


def test_a_metric_that_fails_ends_it(stage: Stage) -> None:
    stage.provider.answers["success"] = (float("nan"),)
    run = stage.begin(Analysis(metrics=(replace(SUCCESS, failure_limit=1),)))
    stage.pass_time(15)
    assert stage.newest(run).phase == "Running"
    stage.pass_time(15)
    found = stage.newest(run)
    assert (found.phase, found.message) == ("Failed", "metric success-rate: 2 failed, beyond failureLimit 1")
    assert ticks(stage, "success-rate") == [(["NaN"], "failed")] * 2, "a comparison with NaN is false"


def test_errors_of_a_provider_are_errors(stage: Stage) -> None:
    stage.provider.answers["success"] = "https://prometheus.example.com: no answer within 7 s"
    run = stage.begin(Analysis(metrics=(SUCCESS,)))
    stage.pass_time(35)
    assert stage.newest(run).phase == "Running"
    assert "no answer within 7 s" in stage.newest(run).message
    stage.pass_time(20)
    found = stage.newest(run)
    assert found.phase == "Error"
    assert "5 errors in a row, beyond consecutiveErrorLimit 4: " in found.message
    assert found.message.endswith("https://prometheus.example.com: no answer within 7 s")


def test_headers_from_a_secret_are_read_when_it_is_asked(stage: Stage) -> None:
    header = "Authorization"
    asked = replace(ASKED, secret_headers=((header, "prometheus", "token"),), secret_prefixes=((header, "Bearer "),))
    stage.provider.answers["success"] = (1.0,)
    run = stage.begin(Analysis(metrics=(replace(SUCCESS, provider=asked),)))
    said = "Secret shop/prometheus does not exist, which header Authorization is to hold"
    assert stage.newest(run).message.endswith(f"{said})")
    stage.push(*stage.documents(SECRET))
    stage.pass_time(100)
    assert stage.newest(run).phase == "Successful"
    assert stage.provider.asked == [("success", {"Authorization": f"Bearer {TOKEN}"}, 7.0)] * 3
    told = [*AnalysisTick.objects.values_list("message", "value"), *Event.objects.values_list("message")]
    assert TOKEN not in repr([told, stage.newest(run).__dict__])


def test_our_own_measurements_are_of_the_last_interval(stage: Stage) -> None:
    rate = Metric("rate", Traffic("rate", "stable"), 30, count=3, success_condition="result > 1")
    slow = Metric("slow", Traffic("p95"), 30, count=3, success_condition="result > 500")
    run = stage.begin(Analysis(metrics=(ERRORS, rate, slow)))
    stage.traffic(30, canary=(100, 10), stable=(900, 0), slow=(10, 0))
    stage.traffic(30, canary=(100, 2), stable=(600, 0), slow=(10, 0))
    assert stage.newest(run).phase == "Failed", "1 failed, beyond failureLimit 0"
    assert ticks(stage, "errors") == [(0.1, "failed")]
    run = stage.begin(Analysis(metrics=(ERRORS, rate, slow)), "web-2-2")
    stage.traffic(60, canary=(100, 2), stable=(600, 0), slow=(10, 0))
    stage.traffic(40, canary=(100, 4), stable=(600, 0), slow=(10, 0))
    assert stage.newest(run).phase == "Successful", stage.newest(run).message
    assert [value for value, _ in ticks(stage, "errors")][1:] == [0.02, 0.02, 0.04]
    assert [value for value, _ in ticks(stage, "rate")][1:] == pytest.approx([60, 60, 60], rel=0.01)
    assert all(512 < float(str(value)) <= 1024 for value, _ in ticks(stage, "slow"))


def test_what_the_delay_holds_is_not_measured(stage: Stage) -> None:
    once = replace(ERRORS, interval_seconds=0, count=0, initial_delay_seconds=100)
    run = stage.begin(Analysis(metrics=(once,)))
    stage.traffic(30, canary=(100, 100), stable=(900, 0))
    stage.traffic(100, canary=(100, 1), stable=(900, 0))
    assert stage.newest(run).phase == "Successful"
    assert ticks(stage, "errors") == [(0.01, "successful")]


def test_nothing_to_measure_is_nobodys_failure(stage: Stage) -> None:
    run = stage.begin(Analysis(metrics=(ERRORS,)))
    stage.pass_time(200)
    assert (stage.newest(run).phase, ticks(stage, "errors")) == ("Running", [])
    stage.traffic(10, canary=(10, 0), stable=(0, 0))
    stage.pass_time(10)
    assert ticks(stage, "errors") == [(0.0, "successful")]
    for name in NODES:
        stage.engines[name].host.misbehave(Faults(unseen=True))
    stage.pass_time(250)
    assert stage.newest(run).phase == "Running"
    stage.pass_time(120)
    found = stage.newest(run)
    assert (found.phase, ticks(stage, "errors")[-1]) == ("Inconclusive", (None, "inconclusive"))


def test_a_judge_and_metrics_have_to_be_content(stage: Stage) -> None:
    stage.provider.answers["success"] = (0.97,)
    both = Analysis(QUICK, (replace(SUCCESS, interval_seconds=60, count=5),))
    run = stage.begin(both)
    stage.traffic(220, canary=(100, 1), stable=(900, 9))
    assert stage.newest(run).phase == "Running", "the judge is content, the metric not yet"
    assert AnalysisTick.objects.filter(run=run, verdict="passed").exists()
    stage.traffic(40, canary=(100, 1), stable=(900, 9))
    assert stage.newest(run).phase == "Successful"
    stage.provider.answers["success"] = (0.5,)
    other = stage.begin(both, "web-2-2")
    found = stage.newest(other)
    assert (found.phase, found.message) == ("Failed", "metric success-rate: 1 failed, beyond failureLimit 0")


def test_one_that_cannot_be_carried_out_is_an_error(stage: Stage) -> None:
    run = stage.begin(Analysis(templates=("gone",), problem="AnalysisTemplate gone does not exist"))
    assert (stage.newest(run).phase, stage.newest(run).message) == ("Error", "AnalysisTemplate gone does not exist")
    empty = stage.begin(Analysis(), "web-2-2")
    assert (stage.newest(empty).phase, stage.newest(empty).message) == ("Inconclusive", "there is nothing to analyse")
    assert stage.woken == 2


def test_beside_the_steps_it_is_content_at_their_end_if_it_measured_anything(stage: Stage) -> None:
    endless = replace(SUCCESS, count=0)
    stage.provider.answers["success"] = (0.97,)
    run = stage.begin(Analysis(metrics=(endless,)), step=BACKGROUND)
    never = stage.begin(Analysis(metrics=(replace(endless, initial_delay_seconds=900),)), "web-2-2", BACKGROUND)
    stage.pass_time(100)
    row, names = stage.deployment(), [run.name, never.name]
    analyses.end(row, names, stage.clock.now(), "the steps are over", "Successful")
    assert stage.newest(run).phase == "Successful"
    assert stage.newest(never).phase == "Inconclusive"
    assert stage.newest(never).message == "the steps are over: the analysis ended before anything was measured"
