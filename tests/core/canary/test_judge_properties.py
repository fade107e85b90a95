"""What holds for every canary: evidence, dispersion, and how often a good one is ended."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.canary.counting import Reading
from deployer.core.canary.evidence import NOTHING, RATIOS, Bursts, Sums, evidence, gathered
from deployer.core.canary.judge import begun, judged
from deployer.core.canary.values import Judge
from deployer.core.network.measurements import Amount
from tests.core.canary.looks import START, STORIES, UNTIMED, drawn, reading, watched

USUAL, ERRORS = Judge(), Judge(metrics=("errors",))
NOT_BURSTY = Bursts()


@st.composite
def sums(draw: st.DrawFn, most: int = 5_000) -> Sums:
    ours, theirs = draw(st.integers(0, most)), draw(st.integers(0, most))
    return Sums(ours, draw(st.integers(0, ours)), theirs, draw(st.integers(0, theirs)))


def chance(failures: int, of: int, share: float) -> float:
    return math.comb(of, failures) * share**failures * (1 - share) ** (of - failures)


@UNTIMED
@given(st.integers(1, 500), st.integers(1, 5_000), st.integers(0, 40), st.floats(0.3, 1.25))
def test_a_canary_within_the_tolerance_is_expected_to_gather_no_evidence(
    ours: int, theirs: int, failures: int, ratio: float
) -> None:
    """The expectation of E over all ways to split the failures is 1 at most: that makes looking at any time valid."""
    theta = ratio * ours / (ratio * ours + theirs)
    expected = math.fsum(
        chance(hit, failures, theta)
        * evidence(gathered(NOTHING, Sums(ours, hit, theirs, failures - hit), 1.25, None, NOT_BURSTY))
        for hit in range(failures + 1)
        if hit <= ours and failures - hit <= theirs
    )
    assert expected <= 1 + 1e-9


@UNTIMED
@given(st.integers(1, 300), st.floats(0.0, 0.05))
def test_a_canary_within_its_limit_is_expected_to_gather_none_either(requests: int, share: float) -> None:
    expected = math.fsum(
        chance(hit, requests, share) * evidence(gathered(NOTHING, Sums(requests, hit, 0, 0), 1.25, 0.05, NOT_BURSTY))
        for hit in range(requests + 1)
    )
    assert expected <= 1 + 1e-9


@UNTIMED
@given(sums(), st.tuples(*[st.floats(-20, 20)] * len(RATIOS)), st.floats(0.01, 1.0))
def test_no_look_counts_for_more_than_a_factor_of_five(look: Sums, logs: tuple[float, ...], part: float) -> None:
    after = gathered(logs, look, 1.25, 0.01, NOT_BURSTY, part)
    assert all(new - old <= math.log(5) * part + 1e-9 for new, old in zip(after, logs, strict=True))


@UNTIMED
@given(sums(), sums(), sums())
def test_what_comes_in_bursts_is_worth_less(look: Sums, one: Sums, other: Sums) -> None:
    bursts = NOT_BURSTY + one + other
    assert bursts.dispersion >= 1
    calm, bursty = (gathered(NOTHING, look, 1.25, None, known) for known in (NOT_BURSTY, bursts))
    assert all(abs(less) <= abs(more) + 1e-9 for less, more in zip(bursty, calm, strict=True))


def test_a_look_that_shows_the_first_burst_is_worth_less_for_it() -> None:
    calm = NOT_BURSTY
    for _ in range(4):
        calm += Sums(10, 0, 100, 1)
    look = Sums(10, 3, 100, 8)
    assert (calm.dispersion, (calm + look).dispersion) == (1.0, pytest.approx(1.21, abs=0.01))
    unknown, known = (gathered(NOTHING, look, 1.25, None, bursts)[0] for bursts in (NOT_BURSTY, calm))
    assert known == pytest.approx(unknown / (calm + look).dispersion)


@UNTIMED
@given(sums(), st.integers(1, 50))
def test_a_failure_more_of_the_canary_is_never_less_evidence(look: Sums, more: int) -> None:
    failed = min(look.canary_requests, look.canary_failures + more)
    worse = Sums(look.canary_requests, failed, look.stable_requests, look.stable_failures)
    before, after = (gathered(NOTHING, one, 1.25, None, NOT_BURSTY) for one in (look, worse))
    assert all(new >= old - 1e-9 for new, old in zip(after, before, strict=True))


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        pytest.param((0, 0, 10, 0, 0), 4.18, id="ten at once"),
        pytest.param((0, 0, 90, 90, 90, 0, 0), 8.0, id="an outage begins and ends once"),
        pytest.param((2, 2, 2, 2, 2), 1.0, id="never less than 1"),
        pytest.param((0, 0, 0), 1.0, id="no failures"),
        pytest.param((3,), 1.0, id="one look tells nothing"),
    ],
)
def test_dispersion(failures: tuple[int, ...], expected: float) -> None:
    bursts = NOT_BURSTY
    for one in failures:
        bursts += Sums(10, 0, 100, one)
    assert bursts.dispersion == pytest.approx(expected, abs=0.01)


@STORIES
@given(st.lists(st.one_of(st.none(), st.builds(reading, st.integers(0, 100).map(lambda n: (100, n)))), max_size=30))
def test_a_look_that_failed_changes_no_evidence_and_ends_nothing_as_failed(looks: list[Reading | None]) -> None:
    before = begun(START)
    for look, done in zip(looks, watched(looks, USUAL), strict=False):
        if look is None:
            assert done.state.metrics == (before.metrics or done.state.metrics)
            assert done.verdict in ("running", "inconclusive")
        before = done.state


@STORIES
@given(st.lists(st.integers(0, 100), min_size=1, max_size=40))
def test_a_failed_look_between_others_changes_no_verdict(failures: list[int]) -> None:
    """Up to the gap: what was counted meanwhile is in the next look."""
    looks = [reading((100, one)) for one in failures]
    there = watched(looks, ERRORS)
    state, now = begun(START), START
    for look, expected in zip(looks, there, strict=False):
        now += 10
        state = judged(ERRORS, state, None, now - 5).state
        done = judged(ERRORS, state, look, now)
        assert (done.verdict, done.message) == (expected.verdict, expected.message)
        state = done.state


@STORIES
@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 1_900))
def test_verdicts_are_monotone(fewer: int, more: int, stable: int) -> None:
    """With more failures of the canary it is not promoted where it was not before, and is ended no later."""
    fewer, more = sorted((fewer, more))
    better, worse = (watched([reading((100, n), (1_900, stable))] * 180, ERRORS) for n in (fewer, more))
    if better[-1].verdict == "failed":
        assert worse[-1].verdict == "failed"
        assert len(worse) <= len(better)
    if worse[-1].verdict == "successful":
        assert better[-1].verdict == "successful"


@STORIES
@given(st.integers(0, 50), st.floats(0.0, 0.05))
def test_more_failures_of_the_stable_pods_never_speak_against_the_canary(failed: int, limit: float) -> None:
    """An outage that grows on both sides ends no canary."""
    looks = [reading((100, failed + step), (2_000, 20 * (failed + step))) for step in range(50)]
    assert watched(looks, Judge(metrics=("errors",), error_limit=limit))[-1].verdict in ("running", "inconclusive")


@pytest.mark.parametrize("share", [0.002, 0.02, 0.2])
def test_a_canary_as_good_as_the_stable_pods_is_hardly_ever_ended(share: float) -> None:
    """40 seeds each: alpha allows one; tolerance, margin and clipping leave none."""
    ended = 0
    for seed in range(40):
        random = Random(seed)
        looks = [reading(drawn(random, 50, share), drawn(random, 450, share)) for _ in range(60)]
        ended += watched(looks, ERRORS)[-1].verdict == "failed"
    assert ended == 0


def test_bursts_end_no_canary() -> None:
    """Ten failures at once, on either side, two percent of all."""
    for seed in range(40):
        random = Random(seed)
        looks = [reading((50, 10 * (random.random() < 0.1)), (950, 10 * drawn(random, 20, 0.1)[1])) for _ in range(60)]
        assert watched(looks, ERRORS)[-1].verdict != "failed"


def test_the_order_of_metrics_is_the_settings() -> None:
    state = begun(START)
    names = [
        tick.metric for tick in judged(Judge(metrics=("slow", "errors")), state, reading((1, 0)), START + 10).ticks
    ]
    assert names == ["slow", "errors"]


def test_more_errors_than_requests_are_not_believed() -> None:
    """A router may count one request's errors twice: connection and answer."""
    done = judged(ERRORS, begun(START), Reading(Amount(10, 15), Amount(100, 120)), START + 10)
    assert (done.ticks[0].canary_failures, done.ticks[0].stable_failures) == (10, 100)
