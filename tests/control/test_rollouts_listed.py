"""Rollouts, AnalysisTemplates and AnalysisRuns as people and clients read them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from control.models import AnalysisRun, Deployment
from control.selectors.health import application_health
from control.selectors.kinds import BY_NAME, NotFound, find_kind, find_kinds
from control.selectors.kubernetes_objects import render_all
from control.selectors.objects import find, get
from tests.control import canary_data, factories
from tests.control.commands import Run, runner

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def harbour() -> None:
    canary_data.harbour()


Told = Callable[..., str]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """What a command that succeeds writes."""
    run: Run = runner(monkeypatch, capsys)

    def ran(*words: str) -> str:
        found = run(*words)
        assert found.code == 0, found.err
        return found.out

    return ran


def listed(told: Told, *words: str) -> list[list[str]]:
    return [line.split() for line in told("get", *words, "-n", "shop").splitlines()]


def whole(told: Told, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told("get", kind, name, "-n", "shop", "-o", "json"))
    return found


def test_kinds_of_one_table_are_told_apart() -> None:
    names = {kind: {row.name for row in find(BY_NAME[kind], "shop")} for kind in ("Deployment", "Rollout")}
    assert names["Rollout"] == set(Deployment.objects.filter(workload="Rollout").values_list("name", flat=True))
    assert names["Rollout"] and names["Deployment"] and not names["Rollout"] & names["Deployment"]
    with pytest.raises(NotFound, match=r"rollout web does not exist in namespace shop$"):
        get(BY_NAME["Rollout"], "web", "shop")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("ro", "Rollout"), ("rollouts.argoproj.io", "Rollout"), ("at", "AnalysisTemplate"),
        ("analysistemplates", "AnalysisTemplate"), ("ar", "AnalysisRun"), ("analysisrun", "AnalysisRun"),
    ],
)  # fmt: skip
def test_words_for_kinds(word: str, kind: str) -> None:
    assert find_kind(word).name == kind
    assert BY_NAME["Rollout"] in find_kinds("all")


def test_get(told: Told) -> None:
    header, *rows = listed(told, "rollouts")
    assert header == ["NAME", "DESIRED", "CURRENT", "UP-TO-DATE", "AVAILABLE", "STATUS", "STEP", "WEIGHT", "AGE"]
    assert {row[0] for row in rows} == {row.name for row in Deployment.objects.filter(workload="Rollout")}
    assert listed(told, "ar")[0] == ["NAME", "STATUS", "AGE"]
    assert len(listed(told, "ar")) == 1 + AnalysisRun.objects.filter(deployment__namespace="shop").count()
    assert "success-rate" in told("get", "at", "-n", "shop")
    assert "rollout.argoproj.io/" in told("get", "all", "-n", "shop")


@pytest.mark.parametrize("row", ["Rollout", "AnalysisTemplate", "AnalysisRun"])
def test_every_format_and_description_of_every_row(told: Told, row: str) -> None:
    kind = BY_NAME[row]
    rows = find(kind)
    assert rows
    for one in render_all(row, rows, time.time()):
        assert json.loads(json.dumps(one)) == one
        assert (one["apiVersion"], one["kind"]) == ("argoproj.io/v1alpha1", row)
    for one in rows:
        text = told("describe", kind.singular, one.name, "-n", one.namespace)
        assert one.name in text
    for form in ("yaml", "wide", "name"):
        assert rows[0].name in told("get", kind.plural, "-A", "-o", form)


def test_a_rollout_in_argos_shape(told: Told) -> None:
    row = next(row for row in find(BY_NAME["Rollout"]) if row.canary.get("phase") == "Paused")
    status = whole(told, "rollout", row.name)["status"]
    state = row.canary
    assert status["phase"] == "Paused"
    assert status["currentStepIndex"] == state.get("step", 0)
    assert status["stableRS"] == state["stable_hash"]
    assert status["currentPodHash"] == row.live_hash
    assert status["pauseConditions"][0]["reason"] in (
        "CanaryPauseStep", "BlueGreenPause", "InconclusiveAnalysisRun"
    )  # fmt: skip
    weights = status["canary"]["weights"]
    assert weights["canary"]["weight"] + weights["stable"]["weight"] == 100
    assert weights["canary"]["podTemplateHash"] == state["template_hash"]
    assert whole(told, "rollout", row.name)["spec"]["strategy"] == row.spec["strategy"]


def test_an_analysis_run_with_its_measurements(told: Told) -> None:
    run_row = next(row for row in AnalysisRun.objects.all() if row.ticks.count() > 1)
    found = whole(told, "analysisrun", run_row.name)
    assert found["status"]["phase"] == run_row.phase
    assert found["metadata"]["ownerReferences"][0]["name"] == run_row.deployment.name
    results = {one["name"]: one for one in found["status"]["metricResults"]}
    assert results.keys() == set(run_row.ticks.values_list("metric", flat=True))
    assert sum(one["count"] for one in results.values()) == run_row.ticks.count()
    first = next(iter(results.values()))["measurements"][0]
    assert first["phase"] in ("Running", "Successful", "Failed", "Inconclusive", "Error")
    assert first["startedAt"].endswith("Z") and "canaryRequests" in first["metadata"]


def test_no_value_of_a_header_is_shown(told: Told) -> None:
    row = AnalysisRun.objects.exclude(spec__metrics=[]).first()
    assert row is not None
    provider = {"source": "prometheus", "address": "http://a", "query": "up", "headers": [["A", "hush-hush"]]}
    row.spec = {**row.spec, "metrics": [{"name": "m", "provider": provider}]}
    row.save()
    assert "hush-hush" not in told("get", "ar", row.name, "-n", "shop", "-o", "yaml")


def test_an_applications_health_names_the_kind() -> None:
    factories.deployment(name="hurt", workload="Rollout", status={}, progress={"reason": "ProgressDeadlineExceeded"})
    messages = [health.message for health in application_health(None).values()]
    assert not any("Deployment shop/hurt" in message for message in messages)


def test_a_description_says_where_the_canary_is(told: Told) -> None:
    row = Deployment.objects.get(name="web")
    text = told("describe", "deployment", "web", "-n", "shop")
    assert f"Canary Weight:  {row.canary['weight'] / 100:g} %" in " ".join(text.split()).replace(
        "Canary Weight: ", "Canary Weight:  "
    )
    assert "Steps:" in text and "Analysis Runs:" in text
    plain = factories.deployment(name="plain")
    assert "Steps:" not in told("describe", "deployment", plain.name, "-n", "shop")
