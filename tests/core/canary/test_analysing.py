"""A pass of an analysis: what is missed, killed, reset or late counts once, and time only when somebody looked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from deployer.core.canary.analysing import Outcome, RunState, Scene, due_at, passed, patience_seconds, questions
from deployer.core.canary.counting import Sides
from deployer.core.canary.measuring import Answer
from deployer.core.canary.values import ENDED, Analysis, Judge, Metric, Prometheus, RunPhase, Traffic
from deployer.core.network.measurements import Counters

BACKEND, START = "svc.shop.web.80", 1_000_000.0
SIDES = Sides(frozenset({"shop.new-1"}), frozenset({"shop.old-1"}), frozenset({2}), frozenset({1}))
JUDGE = Judge(metrics=("errors",), interval_seconds=10, warmup_seconds=60, min_seconds=300, max_seconds=600)
STATES = TypeAdapter(RunState)
SUCCESS = Metric(
    "success", Prometheus("https://p", "q", timeout_seconds=25), 20, count=3, success_condition="result > 1"
)
RATE = Metric("rate", Traffic("rate"), 30, count=2)


def scene(analysis: Analysis, state: RunState | None = None, *, background: bool = False) -> Scene:
    return Scene(analysis, state or RunState(), SIDES, frozenset({BACKEND}), background=background)


def look(canary: tuple[int, int], stable: tuple[int, int]) -> Counters:
    return Counters({(BACKEND, "shop.new-1"): canary, (BACKEND, "shop.old-1"): stable}, {})


def one(at: Scene, now: float, canary: tuple[int, int] = (0, 0), stable: tuple[int, int] = (0, 0)) -> Outcome:
    found = passed(at, {"a": look(canary, stable)}, {}, now)
    kept = json.dumps(STATES.dump_python(found.state, mode="json"), allow_nan=False)
    assert STATES.validate_json(kept) == found.state, "what is kept is all there is"
    return found


EVENTS = st.lists(
    st.tuples(st.integers(0, 500), st.sampled_from(["look", "look", "look", "killed", "away", "reload"])),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(EVENTS)
def test_a_request_counts_once(events: list[tuple[int, str]]) -> None:
    """Killed passes keep nothing, routers that do not answer are caught up with; a reload forgets what nobody saw."""
    analysis = Analysis(replace(JUDGE, min_seconds=1e9, max_seconds=1e9, guard_requests=10**9))
    state, now, counter, seen, sent, lost, unseen = RunState(), START, 0, 0, 0, 0, 0
    state = one(scene(analysis), now).state
    for more, event in events:
        now, counter, sent, unseen = now + 10, counter + more, sent + more, unseen + more
        if event == "reload":
            lost, counter, unseen = lost + unseen, 0, 0
        looks = {"a": None if event == "away" else look((counter, 0), (10 * counter, 0))}
        found = passed(scene(analysis, state), looks, {}, now)
        if event != "killed":
            state, seen = found.state, seen + sum(tick.canary_requests for tick in found.ticks)
        unseen = 0 if event in ("look", "reload") else unseen
    found = passed(scene(analysis, state), {"a": look((counter, 0), (10 * counter, 0))}, {}, now + 10)
    seen += sum(tick.canary_requests for tick in found.ticks)
    assert sent - lost <= seen <= sent, "a reset may hide among requests, which only lowers what is seen"
    assert lost or seen == sent


@settings(deadline=None, max_examples=25)
@given(st.floats(-90_000, 90_000), st.integers(1, 12))
def test_time_that_nobody_looked_at_has_not_passed(gap: float, at: int) -> None:
    """However long it was: the same verdict after as many looks."""
    analysis = Analysis(JUDGE)
    phases: list[list[RunPhase]] = []
    for jump in (0.0, gap):
        state, now, said = RunState(), START, []
        for number in range(50):
            now += 10 + (jump if number == at else 0)
            found = one(scene(analysis, state), now, (100 * number, number), (900 * number, 9 * number))
            state = found.state
            said.append(found.phase)
            if found.phase in ENDED:
                break
        phases.append(said)
    assert abs(len(phases[0]) - len(phases[1])) <= (4 if abs(gap) <= 40 else 1)
    assert phases[0][-1] == phases[1][-1] == "Successful"


def test_a_gap_in_the_warm_up_is_part_of_it() -> None:
    state = one(scene(Analysis(JUDGE)), START).state
    found = one(scene(Analysis(JUDGE), state), START + 7200, (5000, 100), (50_000, 500))
    assert found.phase == "Running"
    assert found.ticks[0].verdict == "warmup"
    failing = passed(scene(Analysis(JUDGE), state), {"a": None}, {}, START + 7200)
    assert failing.phase == "Running", "one failing look is not five minutes of them"


def test_it_is_due_when_it_said() -> None:
    found = one(scene(Analysis(JUDGE)), START)
    at = scene(Analysis(JUDGE), found.state)
    assert found.wake_at == START + 10
    assert due_at(at, START + 5) == START + 10
    assert due_at(at, START + 9.6) == START + 9.6
    assert due_at(at, START + 60) == START + 60
    assert due_at(at, START - 3600) == START - 3600, "the clock was set back"


@pytest.mark.parametrize(
    ("answer", "phase", "message"),
    [
        (Answer(2.0), "Running", "success: 1 of 3 measured"),
        (Answer(0.5), "Failed", "metric success: 1 failed, beyond failureLimit 0"),
        (Answer(failure="away"), "Running", "success: 0 of 3 measured (metric success: away)"),
        (Answer(()), "Running", None),
    ],
)
def test_answers_of_providers(answer: Answer, phase: RunPhase, message: str | None) -> None:
    at = scene(Analysis(metrics=(SUCCESS,)))
    assert questions(at, START) == (SUCCESS,)
    found = passed(at, {}, {"success": answer}, START)
    assert found.phase == phase
    assert message is None or found.message == message
    json.dumps(STATES.dump_python(found.state, mode="json"), allow_nan=False)


def test_nobody_waits_for_a_provider_beyond_the_judges_next_look() -> None:
    assert patience_seconds(scene(Analysis(metrics=(SUCCESS,))), SUCCESS) == 25
    assert patience_seconds(scene(Analysis(JUDGE, (SUCCESS,))), SUCCESS) == 10


def test_routers_are_looked_at_for_those_who_need_them() -> None:
    assert not scene(Analysis(metrics=(SUCCESS,))).needs_routers
    assert scene(Analysis(metrics=(RATE,))).needs_routers
    assert scene(Analysis(JUDGE)).needs_routers
    found = one(scene(Analysis(metrics=(RATE,))), START)
    assert (found.phase, found.wake_at) == ("Running", START + 10)


def test_beside_the_steps_content_is_no_end() -> None:
    state, phases = RunState(), set()
    for number in range(90):
        at = scene(Analysis(JUDGE), state, background=True)
        found = one(at, START + 10 * number, (100 * number, number), (900 * number, 9 * number))
        state = found.state
        phases.add(found.phase)
    assert phases == {"Running"}
