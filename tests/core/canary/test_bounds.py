"""How high a share may be: known values, and what holds for all of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.canary.bounds import incomplete_beta, upper_bound
from tests.core.canary.looks import UNTIMED


@pytest.mark.parametrize(
    ("failures", "requests", "expected"),
    [
        pytest.param(0, 0, 1.0, id="nothing was counted"),
        pytest.param(0, 1, 0.95, id="one request says next to nothing"),
        pytest.param(0, 100, 1 - 0.05**0.01, id="no failure: closed form"),
        pytest.param(0, 1_000_000_000, 2.995732e-9, id="the rule of three"),
        pytest.param(1, 10, 0.394163, id="1 of 10"),
        pytest.param(1, 100, 0.0465598, id="1 of 100"),
        pytest.param(5, 1_000, 0.0104841, id="5 of 1,000"),
        pytest.param(20, 400, 0.0718286, id="20 of 400"),
        pytest.param(50, 100, 0.5863783, id="half"),
        pytest.param(10, 10, 1.0, id="all"),
    ],
)
def test_known_values(failures: int, requests: int, expected: float) -> None:
    assert upper_bound(failures, requests) == pytest.approx(expected, rel=1e-5)


def binomial_tail(failures: int, requests: int, share: float) -> float:
    """The chance of at most so many failures, added up."""
    return math.fsum(
        math.comb(requests, count) * share**count * (1 - share) ** (requests - count) for count in range(failures + 1)
    )


@UNTIMED
@given(st.integers(1, 200), st.data())
def test_at_the_bound_so_few_failures_are_seen_in_5_of_100_cases(requests: int, data: st.DataObject) -> None:
    failures = data.draw(st.integers(0, requests - 1))
    assert binomial_tail(failures, requests, upper_bound(failures, requests)) == pytest.approx(0.05, rel=1e-6)


@UNTIMED
@given(st.integers(1, 10**7), st.data())
def test_the_bound_is_above_the_share_rises_with_failures_and_falls_with_requests(
    requests: int, data: st.DataObject
) -> None:
    failures = data.draw(st.integers(0, requests))
    bound = upper_bound(failures, requests)
    assert failures / requests <= bound <= 1
    assert failures == requests or bound <= upper_bound(failures + 1, requests) + 1e-12
    assert upper_bound(failures, requests + 1 + requests // 10) <= bound + 1e-12


@pytest.mark.parametrize(("share", "expected"), [(-1.0, 0.0), (0.0, 0.0), (1.0, 1.0), (2.0, 1.0), (0.5, 0.5)])
def test_the_incomplete_beta_at_its_ends(share: float, expected: float) -> None:
    assert incomplete_beta(share, 3.0, 3.0) == pytest.approx(expected)
