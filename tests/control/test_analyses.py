"""What is kept of analyses, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from control.models import NEVER, AnalysisRun, AnalysisTick, Deployment, ReplicaSet, Work
from control.store import analyses
from deployer.core.canary.kept import dump_state
from deployer.core.canary.values import Analysis, CanaryState, Judge, NewRun
from tests.control import factories

pytestmark = pytest.mark.django_db
NOW = 1_750_000_000.0


@pytest.fixture
def row() -> Deployment:
    made = Deployment(namespace="shop", name="web", spec={"template": {"spec": {"containers": []}}})
    made.save(force_insert=True)
    for revision, template in enumerate(("old", "new"), 1):
        ReplicaSet(
            namespace="shop", name=f"web-{template}", deployment=made, template_hash=template, revision=revision
        ).save(force_insert=True)
    return made


def begun(row: Deployment, name: str, template: str = "new", phase: str = "Running") -> AnalysisRun:
    analyses.begin(row, NewRun(name, template, 1, 1, Analysis(Judge())), lambda loop, key: woken(loop, key), NOW)
    AnalysisRun.objects.filter(name=name).update(phase=phase)
    return AnalysisRun.objects.get(name=name)


def woken(loop: str, key: str) -> None:
    Work.objects.create(loop=loop, key=key, due_at=0)


def ticked(run: AnalysisRun, metric: str, count: int) -> None:
    AnalysisTick.objects.bulk_create(
        AnalysisTick(
            run=run, metric=metric, at=NOW + 10 * n, canary_requests=n, canary_failures=1, stable_requests=2 * n,
            stable_failures=2, evidence=float(n), verdict="running",
        )
        for n in range(count)
    )  # fmt: skip


def test_runs_go_with_their_revision(row: Deployment) -> None:
    names = [("kept", "new", "Failed"), ("gone", "forgotten", "Failed"), ("runs", "forgotten", "Running")]
    runs = {name: begun(row, name, template, phase) for name, template, phase in names}
    for run in runs.values():
        ticked(run, "errors", 3)
    analyses.forget_the_past()
    assert sorted(AnalysisRun.objects.values_list("name", flat=True)) == ["kept", "runs"]
    assert AnalysisTick.objects.count() == 6


@pytest.mark.parametrize("count", [analyses.MOST_TICKS, analyses.MOST_TICKS + 1, 3 * analyses.MOST_TICKS + 5])
def test_of_very_many_ticks_some_stand_for_several(row: Deployment, count: int) -> None:
    run, other = begun(row, "web-1"), begun(row, "web-2")
    ticked(run, "errors", count)
    ticked(run, "slow", 10)
    ticked(other, "errors", 10)
    names = ("canary_requests", "canary_failures", "stable_requests", "stable_failures")
    of_run = AnalysisTick.objects.filter(run=run, metric="errors").order_by("at")
    before = [sum(column) for column in zip(*of_run.values_list(*names), strict=True)]
    for _ in range(2):
        analyses.forget_the_past()
        assert [sum(column) for column in zip(*of_run.values_list(*names), strict=True)] == before
        assert analyses.MOST_TICKS / 2 <= of_run.count() <= analyses.MOST_TICKS
    newest = of_run.last()
    assert newest is not None
    assert (newest.at, newest.evidence) == (NOW + 10 * (count - 1), count - 1)
    assert AnalysisTick.objects.exclude(pk__in=of_run.values("pk")).count() == 20


def test_work_of_ended_runs_is_forgotten(row: Deployment) -> None:
    ended, running = begun(row, "web-1", phase="Failed"), begun(row, "web-2")
    Work.objects.update(due_at=NEVER)
    assert analyses.unwoken() == [running.uid]
    analyses.forget_the_past()
    assert set(Work.objects.values_list("key", flat=True)) == {running.uid}
    assert ended.uid != running.uid


def test_a_name_is_one_run_of_one_workload(row: Deployment) -> None:
    first = begun(row, "web-1")
    analyses.begin(row, NewRun("web-1", "new", 1, 1, Analysis()), pytest.fail, NOW + 5)
    assert AnalysisRun.objects.get() == first
    other = Deployment(namespace="shop", name="api", spec={})
    other.save(force_insert=True)
    begun(other, "api-1")
    assert [one.name for one in analyses.runs_of(row.uid)] == ["web-1"]
    assert {uid: [one.name for one in runs] for uid, runs in analyses.runs_of_all().items()} == {
        row.uid: ["web-1"], other.uid: ["api-1"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("canary", "named"),
    [
        ({"steps": [], "stableService": "now"}, []),
        ({"stableService": "now", "trafficRouting": {"nginx": {"stableIngress": "site"}}}, ["ingress.shop.now.80"]),
    ],
)
def test_what_comes_by_an_ingress_that_is_split_is_counted(canary: dict[str, Any], named: list[str]) -> None:
    row = factories.deployment(
        workload="Rollout", spec={"strategy": {"canary": canary}},
        canary=dump_state(CanaryState("new", "old", "Progressing", attempt=1)),
    )  # fmt: skip
    for revision, template in enumerate(("old", "new"), 1):
        factories.pod(factories.replica_set(row, revision, template_hash=template))
    for name in ("now", "web"):
        factories.service(name)
    factories.ingress("site")
    loaded = analyses.load(begun(row, "web-1").uid)
    assert loaded is not None
    whole = {f"svc.shop.{name}.80" for name in ("now", "web")} | set(named)
    assert loaded.scene.backends == {name + end for name in whole for end in ("", ":canary")}
