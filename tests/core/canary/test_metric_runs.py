"""Runs of metrics as Argo Rollouts has them: S successful, F failed, I inconclusive, E error, a measurement each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.canary.metric_runs import (
    ERROR_RETRY_SECONDS,
    MeasuredPhase,
    Measurement,
    RunStanding,
    effective_count,
    failed_to_measure,
    measured,
    standing,
)
from deployer.core.canary.values import ENDED, Metric, RunPhase, Traffic
from tests.core.canary.looks import UNTIMED

START = 1_000.0
PHASES: dict[str, MeasuredPhase] = {"S": "Successful", "F": "Failed", "I": "Inconclusive", "E": "Error"}
OFTEN = Metric("errors", Traffic("errors"), interval_seconds=60)
ONCE = Metric("errors", Traffic("errors"))


def run(*metrics: tuple[Metric, str], now: float = 1e9, ending: bool = False) -> RunStanding:
    """Measurements a minute apart, from the start on."""
    taken = {
        metric.name: [Measurement(START + 60 * number, PHASES[one], message="why") for number, one in enumerate(phases)]
        for metric, phases in metrics
    }
    return standing([metric for metric, _ in metrics], taken, START, now, ending=ending)


@pytest.mark.parametrize(
    ("metric", "phases", "expected", "message"),
    [
        pytest.param(ONCE, "S", "Successful", "metric errors: 1 measurements", id="once is enough without an interval"),
        pytest.param(ONCE, "F", "Failed", "metric errors: 1 failed, beyond failureLimit 0", id="no failure is allowed"),
        pytest.param(ONCE, "I", "Inconclusive", "metric errors: 1 inconclusive, beyond inconclusiveLimit 0",
            id="unclear"),
        pytest.param(ONCE, "EEEE", "Running", "", id="four errors in a row are borne"),
        pytest.param(
            ONCE, "EEEEE", "Error", "metric errors: 5 errors in a row, beyond consecutiveErrorLimit 4: why",
            id="not five"
        ),
        pytest.param(ONCE, "EEEES", "Successful", "metric errors: 1 measurements", id="an error is no measurement"),
        pytest.param(OFTEN, "SSSSSSSS", "Running", "", id="without a count until the run ends"),
        pytest.param(OFTEN, "EEEESEEEE", "Running", "", id="errors count in a row"),
        pytest.param(replace(OFTEN, count=3), "SS", "Running", "", id="two of three"),
        pytest.param(replace(OFTEN, count=3), "SESS", "Successful", "metric errors: 3 measurements",
            id="three of three"),
        pytest.param(replace(OFTEN, count=3, failure_limit=1), "FSS", "Successful", "",
            id="a failure within the limit"),
        pytest.param(replace(OFTEN, count=3, failure_limit=1), "FSF", "Failed", "2 failed, beyond failureLimit 1",
            id="beyond"),
        pytest.param(replace(OFTEN, failure_limit=-1), "FFFFFF", "Running", "", id="failures without a limit"),
        pytest.param(replace(OFTEN, inconclusive_limit=1), "ISI", "Inconclusive", "2 inconclusive",
            id="inconclusive limit"),
        pytest.param(replace(OFTEN, consecutive_error_limit=0), "E", "Error", "1 errors in a row",
            id="no error is borne"),
        pytest.param(
            replace(OFTEN, consecutive_success_limit=2, failure_limit=-1), "FSFSS", "Successful",
            "2 successes in a row",
            id="waits for successes in a row",
        ),
        pytest.param(
            replace(OFTEN, consecutive_success_limit=2, failure_limit=-1), "SES", "Running", "",
            id="an error breaks a row",
        ),
        pytest.param(
            replace(OFTEN, consecutive_success_limit=2, failure_limit=1), "FSFSS", "Failed", "",
            id="the failures come first",
        ),
        pytest.param(
            replace(OFTEN, consecutive_success_limit=2, failure_limit=-1, count=3), "SFS", "Failed",
            "never 2 successes in a row in 3 measurements", id="successes did not come, failures are not counted",
        ),
        pytest.param(
            replace(OFTEN, consecutive_success_limit=2, failure_limit=1, count=3), "SFS", "Inconclusive", "never 2",
            id="successes did not come, failures are within their limit",
        ),
        pytest.param(replace(ONCE, dry_run=True), "F", "Successful", "all metrics are dry runs: none decides",
            id="dry"),
    ],
)  # fmt: skip
def test_one_metric(metric: Metric, phases: str, expected: RunPhase, message: str) -> None:
    found = run((metric, phases))
    assert (found.phase, message in found.message) == (expected, True), found


SLOW = replace(OFTEN, name="slow")


@pytest.mark.parametrize(
    ("metrics", "ending", "expected"),
    [
        pytest.param([(OFTEN, "S"), (SLOW, "F")], False, "Failed", id="one failure ends the run"),
        pytest.param([(OFTEN, "S"), (replace(SLOW, dry_run=True), "F")], False, "Running", id="a dry run ends nothing"),
        pytest.param([(OFTEN, "I"), (SLOW, "F")], False, "Failed", id="failed is worse than inconclusive"),
        pytest.param([(OFTEN, "EEEEE"), (SLOW, "F")], False, "Failed", id="failed is worse than an error"),
        pytest.param([(OFTEN, "EEEEE"), (SLOW, "I")], False, "Error", id="an error is worse than inconclusive"),
        pytest.param([(ONCE, "S"), (SLOW, "S")], False, "Running", id="all have to have ended"),
        pytest.param([(ONCE, "S"), (SLOW, "S")], True, "Successful", id="ended by the steps, within the limits"),
        pytest.param([(OFTEN, "")], True, "Inconclusive", id="ended without a measurement: nobody can say"),
        pytest.param([(OFTEN, "EE")], True, "Inconclusive", id="errors alone are no measurement"),
        pytest.param([(OFTEN, "S"), (SLOW, "")], True, "Inconclusive", id="one of them was never measured"),
        pytest.param([(OFTEN, "S"), (replace(SLOW, dry_run=True), "")], True, "Successful", id="a dry one need not be"),
        pytest.param([(replace(OFTEN, dry_run=True), "")], True, "Inconclusive", id="dry, and never measured"),
        pytest.param([], True, "Inconclusive", id="no metric at all"),
    ],
)
def test_whole_runs(metrics: list[tuple[Metric, str]], ending: bool, expected: RunPhase) -> None:
    found = run(*metrics, ending=ending)
    assert found.phase == expected, found
    assert (found.due, found.wake_at) == ((), None) or found.phase == "Running"


@pytest.mark.parametrize(
    ("metric", "phases", "due_at"),
    [
        pytest.param(OFTEN, "", START, id="at once"),
        pytest.param(replace(OFTEN, initial_delay_seconds=90), "", START + 90, id="after its delay"),
        pytest.param(OFTEN, "SS", START + 120, id="an interval after the last one"),
        pytest.param(OFTEN, "SE", START + 60 + ERROR_RETRY_SECONDS, id="after an error sooner"),
        pytest.param(ONCE, "E", START + ERROR_RETRY_SECONDS, id="an error is tried again without an interval too"),
        pytest.param(replace(ONCE, count=2), "S", START + ERROR_RETRY_SECONDS, id="a count without an interval"),
        pytest.param(ONCE, "S", None, id="never again"),
    ],
)
def test_when_it_is_measured(metric: Metric, phases: str, due_at: float | None) -> None:
    found = run((metric, phases), now=START - 1)
    assert (found.metrics["errors"].due_at, found.wake_at, found.due) == (due_at, due_at, ())
    if due_at is not None:
        assert run((metric, phases), now=due_at).due == ("errors",)


def test_the_next_of_several_wakes() -> None:
    found = run((OFTEN, "S"), (replace(SLOW, initial_delay_seconds=30), ""), now=START + 31)
    assert (found.due, found.wake_at) == (("slow",), START + 30)


@pytest.mark.parametrize(
    ("success", "failure", "value", "phase"),
    [
        pytest.param("", "", None, "Successful", id="no condition"),
        pytest.param("result < 1", "", 0, "Successful", id="success alone: met"),
        pytest.param("result < 1", "", 2, "Failed", id="success alone: not met"),
        pytest.param("", "result > 1", 2, "Failed", id="failure alone: met"),
        pytest.param("", "result > 1", 0, "Successful", id="failure alone: not met"),
        pytest.param("result < 1", "result > 2", 1.5, "Inconclusive", id="neither"),
        pytest.param("result < 3", "result > 2", 2.5, "Failed", id="both"),
        pytest.param("result < 1", "result > 2", 0, "Successful", id="success of two"),
        pytest.param("result[0] < 1", "", [], "Error", id="no data"),
        pytest.param("result < 1", "result[0] > 1", 0, "Error", id="the failure's error counts too"),
        pytest.param("result >= 0.95", "", float("nan"), "Failed", id="NaN is not enough"),
    ],
)
def test_a_measurement(success: str, failure: str, value: Any, phase: MeasuredPhase) -> None:
    found = measured(replace(ONCE, success_condition=success, failure_condition=failure), value, START)
    assert (found.phase, found.finished_at) == (phase, START)
    assert found.message.startswith("metric errors: column ") == (phase == "Error")


def test_no_answer_is_an_error() -> None:
    assert failed_to_measure(ONCE, "timed out", START) == Measurement(START, "Error", None, "metric errors: timed out")


@pytest.mark.parametrize(
    ("metric", "count"), [(ONCE, 1), (OFTEN, 0), (replace(OFTEN, count=5), 5), (replace(ONCE, count=2), 2)]
)
def test_how_many_measurements(metric: Metric, count: int) -> None:
    assert effective_count(metric) == count


metrics = st.builds(
    Metric, st.just("errors"), st.just(Traffic("errors")), st.sampled_from([0.0, 60.0]), st.just(0.0),
    st.integers(0, 4),
    st.just(""), st.just(""), st.integers(-1, 2), st.integers(0, 2), st.integers(0, 4), st.integers(0, 3),
)  # fmt: skip


@UNTIMED
@given(metrics, st.text("SFIE", max_size=12), st.booleans())
def test_a_run_is_over_or_goes_on(metric: Metric, phases: str, ending: bool) -> None:
    found = run((metric, phases), ending=ending)
    assert (found.phase in ENDED) == (found.wake_at is None)
    assert not ending or found.phase in ENDED
    assert found.phase != "Successful" or phases.strip("E")


@UNTIMED
@given(metrics, st.text("SFIE", max_size=12))
def test_what_has_ended_is_not_changed_by_its_end(metric: Metric, phases: str) -> None:
    found = run((metric, phases))
    if found.phase in ENDED:
        assert run((metric, phases), ending=True).phase == found.phase
