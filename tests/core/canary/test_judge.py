"""What the judge says of a canary: stories of looks, their verdicts, and the sentences that people see."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from deployer.core.canary.counting import Reading
from deployer.core.canary.judge import begun, judged, needed_requests
from deployer.core.canary.judge_states import JudgeState
from deployer.core.canary.values import Judge
from deployer.core.network.measurements import NO_BUCKETS, Amount
from tests.core.canary.looks import START, reading, watched

USUAL = Judge()
ERRORS = Judge(metrics=("errors",))
GOOD, BAD, DEAD = reading((100, 0)), reading((100, 5)), reading((100, 100))
NOBODY = Reading()
OUTAGE = reading((100, 80), (1_900, 1_500))


def story(*parts: tuple[int, Reading | None]) -> list[Reading | None]:
    return [look for times, look in parts for _ in range(times)]


@pytest.mark.parametrize(
    ("settings", "looks", "verdict", "seconds", "sentence"),
    [
        pytest.param(
            USUAL, story((200, GOOD)), "successful", 600,
            "canary 0 % of 5,400 requests failed, stable 0.5 % of 102,600: 0.06 % at most (95 % sure), which is below "
            "1.5 %; canary 4.0 % of 5,400 requests took over 64 ms, stable 4.0 % of 102,600: 4.5 % at most (95 % "
            "sure), which is below 7.0 %",
            id="a good canary goes on after its time",
        ),
        pytest.param(
            USUAL, story((200, BAD)), "failed", 100,
            "canary 5.0 % of 400 requests failed, stable 0.5 % of 7,600: evidence 523 against a threshold of 200",
            id="a bad one is ended by the evidence after its warm-up",
        ),
        pytest.param(
            USUAL, story((200, reading((100, 10)))), "failed", 40,
            "canary 10.0 % of 400 requests failed, stable 0.5 % of 7,600: evidence 625 against a threshold of 200",
            id="one that is much worse need not be borne for the warm-up",
        ),
        pytest.param(
            USUAL, story((200, DEAD)), "failed", 30,
            "canary 100.0 % of 300 requests failed, stable 0.5 % of 5,700: beyond the guardrail of 25.0 %",
            id="a dead one is ended by the guardrail",
        ),
        pytest.param(
            USUAL, story((3, reading((100, 9))), (200, GOOD)), "successful", 600, "successful",
            id="a cold start is borne",
        ),
        pytest.param(
            USUAL, story((3, reading((100, 12))), (2, reading((100, 2))), (200, GOOD)), "successful", 600, "successful",
            id="a cold start that leaves evidence behind, too",
        ),
        pytest.param(
            ERRORS, story((4, reading((100, 4))), (1, reading((100, 8))), (200, GOOD)), "successful", 600, "successful",
            id="a cold start that is worse in its newest look, and not by so much in all",
        ),
        pytest.param(
            ERRORS, story((3, NOBODY), (1, DEAD), (200, GOOD)), "successful", 600, "successful",
            id="a time without requests before a burst is no part of it",
        ),
        pytest.param(
            ERRORS, story((1, reading((19, 19))), (1, NOBODY), (200, reading((1, 1)))), "failed", 30, "guardrail",
            id="and one within it ends nothing",
        ),
        pytest.param(
            ERRORS, story((200, reading((10_000, 20), (190_000, 190)))), "successful", 600, "",
            id="surely worse, and by too little to matter",
        ),
        pytest.param(
            USUAL, story((10, GOOD), (1, DEAD), (200, GOOD)), "successful", 840, "successful",
            id="a burst in one look is borne, and takes a longer look",
        ),
        pytest.param(
            USUAL, story((10, GOOD), (12, OUTAGE), (200, GOOD)), "successful", 1100, "successful",
            id="an outage that both share is nobody's",
        ),
        pytest.param(
            USUAL, story((3, GOOD), (6, OUTAGE), (200, BAD)), "failed", 410, "evidence",
            id="and a bad canary does not hide behind it for good",
        ),
        pytest.param(
            USUAL, story((200, OUTAGE)), "inconclusive", 1800, "nobody can say after 30 min: canary 80.0 % of 17,400",
            id="an outage that lasts decides nothing",
        ),
        pytest.param(
            USUAL, story((200, reading((100, 0), slow=(0.2, 0.04)))), "failed", 100,
            "canary 20.0 % of 400 requests took over 64 ms, stable 4.0 % of 7,600: evidence 446 against a threshold "
            "of 200",
            id="a slow canary",
        ),
        pytest.param(
            replace(ERRORS, error_limit=0.06), story((200, BAD)), "successful", 600,
            "canary 5.0 % of 5,400 requests failed, stable 0.5 % of 102,600: 5.5 % at most (95 % sure), which is below "
            "6.0 %",
            id="below its limit a canary is good enough, however good the stable pods are",
        ),
        pytest.param(
            replace(ERRORS, error_limit=0.04), story((200, BAD)), "failed", 90,
            "evidence 105 against a threshold of 100",
            id="beyond its limit and worse than the stable pods",
        ),
        pytest.param(
            replace(ERRORS, error_limit=0.01), story((200, OUTAGE)), "inconclusive", 1800, "",
            id="beyond its limit and as good as the stable pods: nobody's fault",
        ),
        pytest.param(
            replace(ERRORS, error_limit=0.01), story((200, reading((100, 3), (0, 0)))), "failed", 110,
            "canary 3.0 % of 500 requests failed, stable no requests: evidence",
            id="without stable traffic the limit is the measure",
        ),
        pytest.param(
            replace(ERRORS, error_limit=0.01), story((200, reading((100, 0), (0, 0)))), "successful", 600,
            "canary 0 % of 5,400 requests failed, stable no requests: 0.06 % at most (95 % sure), which is below 1.0 %",
            id="and a canary below it goes on",
        ),
        pytest.param(
            ERRORS, story((200, reading((100, 3), (0, 0)))), "inconclusive", 1800,
            "nothing to compare with: the stable pods get hardly any requests, and no limit is set",
            id="with neither stable traffic nor a limit nobody can say",
        ),
        pytest.param(
            USUAL, story((200, NOBODY)), "inconclusive", 1800, "the canary got no request in 30 min",
            id="no traffic is waited for, and then a person decides",
        ),
        pytest.param(
            replace(USUAL, on_inconclusive="promote"), story((200, NOBODY)), "inconclusive", 1800, "",
            id="a canary that nobody used is not promoted by what holds for inconclusive ones",
        ),
        pytest.param(
            replace(USUAL, on_no_traffic="abort"), story((200, NOBODY)), "failed", 600, "no request in 10 min",
            id="no traffic: abort",
        ),
        pytest.param(
            replace(USUAL, on_no_traffic="promote"), story((200, NOBODY)), "successful", 600, "",
            id="no traffic: promote",
        ),
        pytest.param(
            replace(USUAL, on_no_traffic="pause"), story((200, NOBODY)), "inconclusive", 600, "",
            id="no traffic: pause",
        ),
        pytest.param(
            replace(ERRORS, on_inconclusive="promote"), story((200, reading((3, 0)))), "successful", 1800,
            "nobody can say after 30 min: canary 0 % of 522 requests failed, stable 0.5 % of 330,600: evidence 0.03 of "
            "100; needs about 107 more requests",
            id="inconclusive: promote",
        ),
        pytest.param(
            replace(ERRORS, on_inconclusive="abort"), story((200, reading((3, 0)))), "failed", 1800, "",
            id="inconclusive: abort",
        ),
        pytest.param(
            replace(USUAL, on_inconclusive="abort"), story((5, GOOD), (100, None)), "inconclusive", 350,
            "no router could be read for 5 min: nothing is held against the canary, and nothing speaks for it",
            id="what could not be read is never held against a canary",
        ),
        pytest.param(
            USUAL, story((10, GOOD), (20, None), (200, GOOD)), "successful", 800, "",
            id="time in which nothing could be read is added",
        ),
        pytest.param(
            USUAL, story((200, Reading(Amount(100, 0), Amount(1_900, 10)))), "successful", 600,
            "slow requests are not judged: the routers measure no latency of the stable pods",
            id="a service without latencies is judged by its errors",
        ),
    ],
)  # fmt: skip
def test_stories(settings: Judge, looks: list[Reading | None], verdict: str, seconds: float, sentence: str) -> None:
    done = watched(looks, settings)
    assert (done[-1].verdict, len(done) * 10) == (verdict, seconds), done[-1].message
    assert sentence == "successful" or sentence in done[-1].message


@pytest.mark.parametrize(
    ("share", "margin", "expected"),
    [(0.005, 0.01, 597), (0.0, 0.01, 300), (0.02, 0.01, 2352), (0.0, 0.03, 100), (0.04, 0.03, 512)],
)
def test_requests_that_are_needed(share: float, margin: float, expected: int) -> None:
    assert needed_requests(share, margin) == expected


def test_the_guardrail_looks_again_soon_and_ends_a_dead_canary_in_25_seconds() -> None:
    state, now, times = begun(START), START, [10.0]
    while True:
        now += times[-1]
        done = judged(USUAL, state, reading((round(10 * times[-1]), round(10 * times[-1])), (1_900, 0)), now)
        if done.verdict != "running":
            break
        times.append(done.next_seconds)
        state = done.state
    assert (times, done.verdict) == ([10.0, *[2.5] * 6], "failed")


def test_a_look_without_requests_does_not_end_the_doubt() -> None:
    """A pod that stalls: five failures, a quiet look, and five more at the beginning of what would be a longer look."""
    state, now, times = begun(START), START, []
    for look in (reading((10, 5)), NOBODY, reading((20, 8)), reading((10, 0)), NOBODY):
        now += times[-1] if times else 10
        done = judged(USUAL, state, look, now)
        assert done.verdict == "running"
        state, times = done.state, [*times, done.next_seconds]
    assert times == [2.5, 2.5, 2.5, 10.0, 10.0]


@pytest.mark.parametrize(("requests", "verdict"), [(19, "running"), (20, "failed")])
def test_the_guardrail_asks_for_requests_enough(requests: int, verdict: str) -> None:
    looks = [
        reading((requests - 2, requests - 2), (1_900, 0)),
        reading((1, 1), (1_900, 0)),
        reading((1, 1), (1_900, 0)),
    ]
    state, now = begun(START), START
    for look in looks:
        now += 10
        done = judged(USUAL, state, look, now)
        state = done.state
    assert (done.verdict, state.recent[-1].at - state.recent[0].at) == (verdict, 20)


def test_looks_that_come_sooner_give_no_more_evidence() -> None:
    usual = watched([BAD] * 3, USUAL)[-1]
    sooner = watched([BAD] * 12, USUAL, interval=2.5)[-1]
    assert sooner.state.metrics[0].early[3] <= usual.state.metrics[0].early[3] + 1e-9


def test_ticks_have_what_the_records_keep() -> None:
    warm, first = watched([BAD] * 6, USUAL)[-1], watched([BAD] * 7, USUAL)[-1]
    tick, slow = warm.ticks
    assert (tick.metric, slow.metric, tick.at) == ("errors", "slow", START + 60)
    assert (tick.canary_requests, tick.canary_failures, tick.stable_requests, tick.stable_failures) == (
        100,
        5,
        1_900,
        10,
    )
    assert (tick.verdict, tick.evidence, tick.threshold) == ("warmup", 1.0, 200.0)
    assert tick.message == "canary 5.0 % of 600 requests failed, stable 0.5 % of 11,400: warm-up"
    judged_one = first.ticks[0]
    assert judged_one.verdict == "running"
    assert judged_one.evidence == pytest.approx(4.26, rel=0.01)
    assert judged_one.bound == pytest.approx(10 / 1_900 + 0.01)
    assert judged_one.upper == pytest.approx(0.10225, rel=1e-3)
    assert judged_one.missing is None


def test_about_so_many_requests_are_missing() -> None:
    done = watched([reading((10, 0))] * 10, ERRORS)[-1]
    assert done.ticks[0].missing == needed_requests(10 / 1_900, 0.01) - 40 == 589
    assert done.message.endswith("needs about 589 more requests")
    assert watched([reading((100, 1))] * 10, ERRORS)[-1].ticks[0].missing == 968 - 400


def test_a_node_that_was_not_read_is_named() -> None:
    done = judged(ERRORS, begun(START), replace(GOOD, unread=("n1", "n2")), START + 10)
    assert done.message.endswith("(not read: n1, n2)")


def test_what_is_slow_is_known_from_before_the_canary() -> None:
    before = list(NO_BUCKETS)
    before[3] = 1_000
    assert begun(START, tuple(before)).bucket == 3
    before[3] = 5
    assert begun(START, tuple(before)).bucket is None


def test_what_told_where_slow_begins_is_not_judged_by_it() -> None:
    """The stable pods answered too little in the warm-up: the look that makes it enough is still of the warm-up."""
    quiet = reading((100, 0), (1, 0))
    done = watched([*[quiet] * 6, GOOD, GOOD], USUAL)
    assert [one.state.bucket for one in done[-3:]] == [None, None, 6]
    assert done[-1].state.metrics[1].sums.canary_requests == 100


def test_the_state_is_json() -> None:
    kept = TypeAdapter(JudgeState)
    state = watched([BAD] * 8, USUAL)[-1].state
    assert kept.validate_json(kept.dump_json(state)) == state
    assert judged(USUAL, kept.validate_python(kept.dump_python(state, mode="json")), BAD, state.read_at + 10) == judged(
        USUAL, state, BAD, state.read_at + 10
    )


def test_a_first_look_begins() -> None:
    done = judged(USUAL, JudgeState(), GOOD, START)
    assert (done.verdict, done.state.started_at, done.state.read_at) == ("running", START, START)


def test_evidence_has_a_ceiling() -> None:
    """A canary that is surely worse, and by less than anybody minds, for hours."""
    state, settings = JudgeState(), Judge(metrics=("errors",), min_seconds=1e9, max_seconds=1e9)
    for look in range(600):
        found = judged(settings, state, Reading(Amount(100_000, 250), Amount(100_000, 100)), 1000.0 + 10 * look)
        state = found.state
    assert found.verdict == "running"
    assert found.ticks[0].evidence is not None
    assert 1e290 < found.ticks[0].evidence < math.inf
