"""Our own measurements as a provider: of the requests of one window, or of none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.canary.counting import Reading
from deployer.core.canary.traffic import Window, measure, slow_bucket
from deployer.core.canary.values import Traffic
from deployer.core.network.measurements import BUCKETS, Amount

BUCKETED = st.lists(st.integers(0, 50), min_size=BUCKETS, max_size=BUCKETS).map(tuple)


def buckets(counts: dict[int, int]) -> tuple[int, ...]:
    return tuple(counts.get(n, 0) for n in range(BUCKETS))


WINDOW = Window(100.0) + Reading(
    Amount(60, 3, buckets({2: 54, 9: 6})), Amount(900, 9, buckets({2: 890, 4: 10}))
)  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        (Traffic("errors"), 0.05),
        (Traffic("errors", "stable"), 0.01),
        (Traffic("rate"), 2.0),
        (Traffic("rate", "stable"), 30.0),
        (Traffic("slow"), 0.1),
        (Traffic("slow", "stable"), 10 / 900),
    ],
)
def test_a_window_of_thirty_seconds(asked: Traffic, value: float) -> None:
    assert measure(asked, WINDOW, 2, 130.0) == pytest.approx(value)


def test_percentiles_are_milliseconds() -> None:
    p50, p99 = measure(Traffic("p50"), WINDOW, None, 130.0), measure(Traffic("p99"), WINDOW, None, 130.0)
    assert p50 is not None
    assert p99 is not None
    assert (2 < p50 <= 4, 256 < p99 <= 512) == (True, True)
    beyond = Window(0.0) + Reading(Amount(1, 0, buckets({15: 1})), Amount())
    assert measure(Traffic("p50"), beyond, None, 30.0) == math.inf


@pytest.mark.parametrize("asked", [Traffic("errors"), Traffic("slow"), Traffic("p50"), Traffic("p99")])
def test_without_requests_there_is_nothing_to_measure(asked: Traffic) -> None:
    assert measure(asked, Window(0.0), 2, 30.0) is None
    assert measure(Traffic("rate"), Window(0.0), 2, 30.0) == 0.0


@given(BUCKETED)
def test_at_most_a_twentieth_is_slower_than_usual(found: tuple[int, ...]) -> None:
    bucket = slow_bucket(Amount(sum(found), 0, found))
    if not sum(found):
        assert bucket is None
    else:
        assert bucket is not None
        assert bucket == BUCKETS - 2 or sum(found[bucket + 1 :]) <= 0.05 * sum(found)
        assert bucket in (0, BUCKETS - 2) or sum(found[bucket:]) > 0.05 * sum(found)
