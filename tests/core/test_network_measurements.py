"""Counters of routers become amounts: nothing twice, resets clamped, latencies as honest as their buckets."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.network.measurements import (
    BOUNDS_MS,
    BUCKETS,
    NO_BUCKETS,
    Amount,
    Counters,
    Series,
    added,
    amounts,
    bucket_start,
    percentile,
    read_counters,
    total,
)

STAT = """# pxname,svname,stot,econ,eresp,hrsp_5xx,
vip.shop.web.http,FRONTEND,9,,,1,
svc.shop.web.http,shop.web-1,100,1,2,3,
svc.shop.web.http,shop.web-2,50,0,0,,
svc.shop.web.http,BACKEND,151,1,2,9,
svc.shop.db.5432.db-0,shop.db-0,7,,,,
ingress.shop.db.5432,shop.db-0,3,,,1,
ingress.none,answer,3,,,1,
probe.http.1,shop.web-1.web.readiness.0a,5,0,0,0,
"""
TABLE = (
    "# table: table.latency, type: string, size:5120, used:3\n"
    "0x5617: key=svc.shop.web.http|3 use=0 exp=0 shard=0 gpc0=4 gpc1=0 gpc5=2 gpc15=1\n"
    "0x5618: key=svc.shop.web.http|2 use=0 exp=0 gpc0=1\n"
    "0x5619: key=other\\ thing|2 use=0 exp=0 gpc0=1\n"
)


def counts(**at: int) -> tuple[int, ...]:
    """counts(b0=4, b5=2): 16 counts, the named ones not zero."""
    return tuple(at.get(f"b{index}", 0) for index in range(BUCKETS))


def test_what_haproxy_prints_is_read() -> None:
    found = read_counters(STAT, TABLE)
    assert found.servers == {
        ("svc.shop.web.http", "shop.web-1"): (100, 6),
        ("svc.shop.web.http", "shop.web-2"): (50, 0),
        ("svc.shop.db.5432.db-0", "shop.db-0"): (7, 0),
        ("ingress.shop.db.5432", "shop.db-0"): (3, 1),
        ("ingress.none", "answer"): (3, 1),
    }
    assert found.latencies == {
        ("svc.shop.web.http", 3): counts(b0=4, b5=2, b15=1),
        ("svc.shop.web.http", 2): counts(b0=1),
    }


@pytest.mark.parametrize(
    "text", ["", "\n", "Unknown command\n", "# pxname,svname\nsvc.a.b.c,x", "key=|x gpc0=", "key="]
)
def test_nonsense_is_nothing(text: str) -> None:
    found = read_counters(text, text)
    assert all(counts == (0, 0) for counts in found.servers.values())
    assert not found.latencies


def looks(before: Mapping[str, tuple[int, int]], now: Mapping[str, tuple[int, int]]) -> Mapping[str, tuple[int, int]]:
    def seen(by: Mapping[str, tuple[int, int]]) -> Counters:
        return Counters({("svc.shop.web.80", name): pair for name, pair in by.items()}, {})

    return {name: pair for (_, name), pair in added(seen(before), seen(now)).servers.items()}


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param({"a": (100, 1)}, {"a": (130, 1)}, {"a": (30, 0)}, id="what came since"),
        pytest.param({"a": (100, 1)}, {"a": (20, 0)}, {"a": (20, 0)}, id="a reload zeroes: all that there is"),
        pytest.param({"a": (10, 5)}, {"a": (12, 1)}, {"a": (12, 1)}, id="one counter shrank, so both began anew"),
        pytest.param({}, {"a": (20, 1)}, {"a": (20, 1)}, id="a new server"),
        pytest.param({"a": (20, 1)}, {}, {}, id="a server that left"),
        pytest.param({"a": (20, 1)}, {"a": (20, 1)}, {}, id="nothing happened"),
    ],
)
def test_two_looks_are_subtracted(
    before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]], expected: dict[str, tuple[int, int]]
) -> None:
    assert looks(before, now) == expected


def test_latencies_begin_anew_together() -> None:
    key = ("svc.shop.web.http", 3)
    before, now = Counters({}, {key: counts(b0=4, b1=2)}), Counters({}, {key: counts(b0=1, b1=3)})
    assert added(before, now).latencies == {key: counts(b0=1, b1=3)}


def test_servers_are_told_apart_by_their_workloads_revision() -> None:
    found = amounts(read_counters(STAT, TABLE), {"shop.web-1": 3, "shop.web-2": 2})
    assert found == {
        Series("shop", "web", "http", 3): Amount(100, 6, counts(b0=4, b5=2, b15=1)),
        Series("shop", "web", "http", 2): Amount(50, 0, counts(b0=1)),
        Series("shop", "db", "5432", 0): Amount(10, 1, NO_BUCKETS),
    }


def test_both_sides_of_a_split_are_one_series_for_each_revision() -> None:
    """A canary's pod also serves as a reserve of the others, and the other way round: its revision tells."""
    stat = """# pxname,svname,stot,econ,eresp,hrsp_5xx,
svc.shop.web.80,shop.web-1,100,0,0,1,
svc.shop.web.80,shop.web-2_backup,3,0,0,0,
svc.shop.web.80:canary,shop.web-2,7,1,0,2,
svc.shop.web.80:canary,shop.web-1_backup,5,0,0,0,
ingress.shop.web.80:canary,shop.web-2_next,1,0,0,0,
"""
    table = "0x5617: key=svc.shop.web.80:canary|4 use=0 gpc0=7\n0x5618: key=svc.shop.web.80|4 use=0 gpc0=3\n"
    assert amounts(read_counters(stat, table), {"shop.web-1": 3, "shop.web-2": 4}) == {
        Series("shop", "web", "80", 3): Amount(105, 1),
        Series("shop", "web", "80", 4): Amount(11, 3, counts(b0=10)),
    }


@pytest.mark.parametrize(("at", "size", "start"), [(47.2, 15, 45), (45.0, 15, 45), (899.9, 300, 600)])
def test_rows_begin_at_multiples(at: float, size: int, start: int) -> None:
    assert bucket_start(at, size) == start


@pytest.mark.parametrize(
    ("buckets", "share", "said", "estimate"),
    [
        pytest.param(counts(b0=8, b2=2), 0.5, "<= 1 ms", 0.625, id="the 5th of 10 is the 5th of 8 in the first"),
        pytest.param(counts(b0=8, b2=2), 0.95, "<= 4 ms", 4.0, id="the 10th of 10"),
        pytest.param(counts(b0=93, b1=7), 0.07, "<= 1 ms", 7 / 93, id="0.07 * 100 is 7, not 8"),
        pytest.param(counts(b3=1), 0.99, "<= 8 ms", 8.0, id="one answer is every percentile"),
        pytest.param(counts(b0=1, b15=1), 0.99, "> 16384 ms", None, id="beyond the last bound nobody knows"),
    ],
)
def test_percentiles_are_bounds(buckets: tuple[int, ...], share: float, said: str, estimate: float | None) -> None:
    found = percentile(buckets, share)
    assert found is not None
    assert str(found) == said
    assert found.estimate_ms == (None if estimate is None else pytest.approx(estimate))


def test_without_an_answer_there_is_no_percentile() -> None:
    assert percentile(NO_BUCKETS, 0.5) is None


@given(st.lists(st.floats(0, 40_000), min_size=1, max_size=60), st.floats(0.01, 1))
def test_a_percentile_bounds_what_it_says(latencies_ms: list[float], share: float) -> None:
    """So many answers were at most the bound, and it is the smallest bound of which that is true."""
    buckets = [0] * BUCKETS
    for one in latencies_ms:
        buckets[next(index for index, bound in enumerate(BOUNDS_MS) if one <= bound)] += 1
    found = percentile(buckets, share)
    assert found is not None
    bound = found.bound_ms or float("inf")
    needed = share * len(latencies_ms) - 1e-6
    assert sum(one <= bound for one in latencies_ms) >= needed
    smaller = max((one for one in BOUNDS_MS if one < bound), default=-1.0)
    assert sum(one <= smaller for one in latencies_ms) < needed + 1e-5


STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 50), st.integers(0, 9)), min_size=1, max_size=40)


@given(STEPS)
def test_the_sum_of_what_was_added_is_the_total_across_resets(steps: list[tuple[bool, int, int]]) -> None:
    """A router counts requests and is reloaded now and then. Nothing is counted twice, and nothing is missed but what
    a reset hides: a counter that has already passed its old value again."""
    key, previous, counted, real, hidden = ("svc.shop.web.80", "a"), Counters({}, {}), 0, 0, 0
    requests = errors = 0
    for is_reset, more, failed in steps:
        if is_reset:
            was, requests, errors = (requests, errors), 0, 0
            hidden += was[0] if more >= was[0] and failed >= was[1] else 0
        requests, errors, real = requests + more, errors + failed, real + more
        current = Counters({key: (requests, errors)}, {})
        counted += added(previous, current).servers.get(key, (0, 0))[0]
        previous = current
    assert counted == real - hidden


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_coarse_rows_hold_what_fine_rows_held(rows: list[tuple[int, int, int]]) -> None:
    parts = [(Series("n", "s", "80", revision), Amount(a, b, counts(b2=a))) for revision, a, b in rows]
    found = total(parts)
    assert sum(one.requests for one in found.values()) == sum(a for _, a, _ in rows)
    assert sum(sum(one.buckets) for one in found.values()) == sum(a for _, a, _ in rows)
    assert total(found.items()) == found
