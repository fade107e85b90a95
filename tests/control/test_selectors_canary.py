"""What pages say of canaries: numbers in words, intervals, axes and lines of charts. No database."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import param

from control.selectors import canary_words as words
from control.selectors.canary_steps import step_lines, what_next
from control.selectors.canary_traffic import interval
from control.selectors.charts import HIGH, WIDE, Frame, Scale, Series, chart, linear, logarithmic
from deployer.core.canary.values import (
    Analyse,
    Analysis,
    CanaryState,
    HeaderMatch,
    HeaderRoute,
    Judge,
    Metric,
    Pause,
    SetCanaryScale,
    SetHeaderRoute,
    SetWeight,
    Strategy,
    Traffic,
)

NOW = 1_800_000_000.0
FRAME = Frame(0.0, 600.0, 30.0, words.since_begin(0.0))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.percent(0.05), "5 %"),
        (words.percent(0.0008), "0.08 %"),
        (words.percent(0.12345), "12.3 %"),
        (words.percent(0), "0 %"),
        (words.percent(1), "100 %"),
        (words.weight(1), "0.01 %"),
        (words.weight(1225), "12.25 %"),
        (words.span(0), "0s"),
        (words.span(59.6), "1m"),
        (words.span(90), "1m 30s"),
        (words.span(5400), "1h 30m"),
        (words.span(172_800), "2d"),
        (words.about(7), "7"),
        (words.about(344), "about 340"),
        (words.about(12_408), "about 12,000"),
        (words.number(0), "0"),
        (words.number(0.0012345), "0.001234"),
        (words.number(1e-9), "under 0.0001"),
        (words.number(1840.4), "1,840"),
        (words.number(1e6), "10^6"),
        (words.number(3.2e9), "about 10^9"),
    ],
)
def test_numbers_in_words(said: str, expected: str) -> None:
    assert said == expected


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        param(SetWeight(500), "5 % of requests to the canary", id="weight"),
        param(Pause(300), "Wait 5m", id="timed pause"),
        param(Pause(), "Wait until a person goes on", id="pause"),
        param(SetCanaryScale(replicas=1), "1 canary pod", id="one pod"),
        param(SetCanaryScale(replicas=3), "3 canary pods", id="pods"),
        param(SetCanaryScale(percent=50), "Canary pods: 50 % of the replicas", id="share of pods"),
        param(SetCanaryScale(), "As many canary pods as its weight needs", id="by weight"),
        param(SetHeaderRoute(HeaderRoute("t")), "Header route t ends", id="no route"),
        param(
            SetHeaderRoute(HeaderRoute("t", (HeaderMatch("a", "prefix", ""), HeaderMatch("b", "regex", "x.*")))),
            "To the canary, whatever its weight: requests whose a is there and b matches x.*", id="route",
        ),
        param(
            Analyse(Analysis(Judge(metrics=("errors",)), (Metric("p95", Traffic("p95")),))),
            "Judge errors for 10m to 30m; measure p95", id="judge and metrics",
        ),
        param(Analyse(Analysis(problem="template x was deleted")), "template x was deleted", id="a problem"),
    ],
)  # fmt: skip
def test_steps_in_words(step: object, expected: str) -> None:
    assert words.step_words(step) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("failures", "requests", "low", "high"),
    [(0, 100, 0.0, 0.03622), (1, 100, 0.00025, 0.05446), (5, 1000, 0.00163, 0.01163), (10, 10, 0.69150, 1.0)],
)
def test_intervals_are_those_of_the_tables(failures: int, requests: int, low: float, high: float) -> None:
    assert interval(failures, requests) == pytest.approx((low, high), abs=2e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_what_was_counted_lies_within_its_interval(counted: tuple[int, int]) -> None:
    failures, requests = counted
    low, high = interval(failures, requests)
    assert 0 <= low <= failures / requests <= high <= 1


@given(st.lists(st.floats(1e-12, 1e12), min_size=1), st.floats(1e-3, 1e6))
def test_the_edge_is_a_round_number_above_all(values: list[float], floor: float) -> None:
    scale = linear(values, words.number, floor)
    assert scale.high >= max(*values, floor) * (1 - 1e-9)
    assert scale.high <= 2.0001 * max(*values, floor)
    assert f"{scale.high:.0e}".split("e")[0] in set("12345678")


@given(st.floats(1.0, 1e30), st.floats(1.0, 1e6))
def test_decades_are_whole_and_few_and_the_threshold_is_among_them(value: float, threshold: float) -> None:
    scale = logarithmic([value], words.number, 0.01, threshold)
    assert scale.low == pytest.approx(0.01)
    assert scale.high >= max(value, threshold) * (1 - 1e-6)
    assert 2 <= len(scale.labels) <= 8
    decades = math.log10(scale.high / scale.low)
    assert (decades / (len(scale.labels) - 1)) % 1 == pytest.approx(0, abs=1e-6)


@given(st.floats(-1e9, 1e9), st.booleans())
def test_nothing_is_drawn_outside_of_the_box(value: float, log: bool) -> None:
    scale = Scale(0.01, 1000.0, ("", ""), log=True) if log else Scale(0.0, 10.0, ("", ""))
    assert 0 <= scale.y(value) <= HIGH


def test_a_gap_breaks_a_line_and_its_band_and_no_limit() -> None:
    points = ((0.0, 1.0), (15.0, 2.0), (90.0, 1.0))
    bands = ((0.5, 1.5), (1.0, 3.0), (0.5, 2.0))
    limit = Series("limit", "limit", ((0.0, 4.0), (600.0, 4.0)), is_limit=True)
    made = chart(
        "k", "T", "", [Series("new", "canary", points, bands), limit], linear([4], str, 1), "{:g}".format, FRAME
    )
    line, dashed = made.curves
    assert line.parts == ("0.0,120.0 15.0,80.0", "89.0,120.0 91.0,120.0")
    assert line.bands == ("0.0,100.0 15.0,40.0 15.0,120.0 0.0,140.0",)
    assert dashed.parts == (f"0.0,0.0 {WIDE}.0,0.0",)
    assert made.sentence == "T. Now: new 1; limit 4"
    assert made.times == ("+0s", "+5m", "+10m")
    assert (made.head, made.rows[0]) == (("Since its begin", "new"), ("+1m 30s", "1"))


def test_of_many_points_the_table_has_few_and_the_newest() -> None:
    points = tuple((float(at), 1.0) for at in range(0, 600, 10))
    made = chart("k", "T", "", [Series("new", "canary", points)], linear([1], str, 1), "{:g}".format, FRAME)
    assert len(made.rows) == 12
    assert made.rows[0][0] == "+9m 50s"


STEPS = (SetWeight(500), Pause(300), Analyse(Analysis(Judge())), SetWeight(5000), Pause())


@given(
    st.integers(0, 5), st.sampled_from(["", "Progressing", "Paused", "Promoting", "Completed", "Aborting", "Aborted"])
)
def test_at_most_one_step_is_current_and_none_behind_it_is_done(step: int, phase: str) -> None:
    state = CanaryState("h", "s", phase, 1, step=len(STEPS) if phase in ("Promoting", "Completed") else step)  # type: ignore[arg-type]
    lines = step_lines(Strategy("Canary", STEPS), state, [])
    current = [number for number, line in enumerate(lines) if line.is_current]
    assert len(lines) == len(STEPS) + 1
    assert current == ([] if phase in ("", "Completed") else [state.step])
    done = [number for number, line in enumerate(lines) if line.state.word == "Done"]
    assert done == list(range(0 if not phase else len(lines) if phase == "Completed" else state.step))


def test_a_timed_pause_says_when_it_ends() -> None:
    state = CanaryState("h", "s", "Paused", 1, step=1, step_at=NOW - 100, paused_by="step")
    found = what_next(Strategy("Canary", STEPS), state, [], {}, NOW)
    assert found.sentence == "It goes on by itself in 3m 20s."
    assert (found.until.at, found.then) == (NOW + 200, "Judge errors and slow requests for 10m to 30m")
    assert (
        what_next(Strategy("Canary", STEPS), state, [], {}, NOW + 199).sentence
        == "It goes on by itself any moment now."
    )
