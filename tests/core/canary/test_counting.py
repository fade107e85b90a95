"""Routers' counters become counts of canary and stable pods: nothing lost, nothing twice, nothing negative."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from deployer.core.canary.counting import Kept, Reading, Sides, counted
from deployer.core.network.measurements import BUCKETS, NO_BUCKETS, Amount, Counters
from tests.core.canary.looks import UNTIMED

WEB, CANARY = "svc.shop.web.80", "svc.shop.web.80:canary"
OLD, NEW, OTHER = "shop.web-1-a", "shop.web-2-x", "shop.db-0"
SIDES = Sides(frozenset({NEW}), frozenset({OLD}), frozenset({2}), frozenset({1}))
Look = Counters | None
KEPT = TypeAdapter(Kept)


def buckets(first: int) -> tuple[int, ...]:
    return (first, *NO_BUCKETS[1:])


def look(old: int = 0, new: int = 0, *, errors: int = 0, backup: int = 0) -> Counters:
    """`old` and `new` requests, `errors` of the new pod; `backup`: of the old pod behind the canary's backend."""
    return Counters(
        {(WEB, OLD): (old, 0), (CANARY, NEW): (new, errors), (CANARY, OLD): (backup, 0), (WEB, OTHER): (99, 99)},
        {(WEB, 1): buckets(old), (CANARY, 2): buckets(new), (CANARY, 1): buckets(backup), (WEB, 7): buckets(5),
         ("svc.shop.db.80", 2): buckets(1_000)},
    )  # fmt: skip


def watched(*looks: Mapping[str, Look]) -> list[Reading | None]:
    kept, found = Kept(), []
    for one in looks:
        kept, reading = counted(kept, one, SIDES)
        kept = KEPT.validate_json(KEPT.dump_json(kept))
        found.append(reading)
    return found


def both(canary: int, stable: int, *, errors: int = 0, unread: tuple[str, ...] = ()) -> Reading:
    return Reading(Amount(canary, errors, buckets(canary)), Amount(stable, 0, buckets(stable)), unread)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param([{"a": look(100, 10)}], [both(0, 0)], id="the first look shows where counters stand"),
        pytest.param([{"a": look(100, 10)}, {"a": look(150, 13, errors=2)}], [both(0, 0), both(3, 50, errors=2)],
            id="two"),
        pytest.param([{"a": look(100, 10)}, {"a": look(20, 5)}], [both(0, 0), both(5, 20)], id="a reload zeroes all"),
        pytest.param([{"a": look(1)}, {"a": look(1, backup=4)}], [both(0, 0), both(0, 4)],
            id="a backup is a stable pod"),
        pytest.param(
            [{"a": look(10), "b": look(10)}, {"a": look(20), "b": look(15, 1)}], [both(0, 0), both(1, 15)],
            id="nodes add up"
        ),
        pytest.param(
            [{"a": look(10), "b": look(10)}, {"a": look(20), "b": None}, {"a": look(21), "b": look(19)}],
            [both(0, 0), both(0, 10, unread=("b",)), both(0, 10)],
            id="what an unread node counted is in the next look at it",
        ),
        pytest.param([{"a": look(10)}, {"a": None}, {}], [both(0, 0), None, None], id="no node could be read"),
        pytest.param(
            [{"a": look(10)}, {"a": look(11), "b": look(900, 900)}, {"a": look(11), "b": look(901, 900)}],
            [both(0, 0), both(0, 1), both(0, 1)],
            id="a node that is seen late only shows where its counters stand",
        ),
        pytest.param(
            [{"a": look(10)}, {"a": Counters({}, {})}, {"a": look(12, 1)}],
            [both(0, 0), both(0, 0), both(1, 2)],
            id="rows that were away for a look are not counted a second time",
        ),
    ],
)  # fmt: skip
def test_looks(looks: list[dict[str, Look]], expected: list[Reading | None]) -> None:
    assert watched(*looks) == expected


def test_only_the_workloads_own_rows_are_kept() -> None:
    kept, _ = counted(Kept(), {"a": look(100, 10)}, SIDES)
    node = kept.nodes["a"]
    assert {row.server for row in node.servers} == {OLD, NEW}
    assert {(row.backend, row.revision) for row in node.latencies} == {(WEB, 1), (CANARY, 1), (CANARY, 2)}


def test_a_pod_that_is_new_starts_at_zero() -> None:
    kept, _ = counted(Kept(), {"a": Counters({(WEB, OLD): (10, 0)}, {})}, SIDES)
    _, reading = counted(kept, {"a": look(10, 7, errors=1)}, SIDES)
    assert reading is not None
    assert (reading.canary.requests, reading.canary.errors) == (7, 1)


def test_a_pod_on_both_sides_is_the_canarys() -> None:
    sides = Sides(frozenset({NEW}), frozenset({NEW, OLD}), frozenset({2}), frozenset({1, 2}))
    kept, _ = counted(Kept(), {"a": look()}, sides)
    assert counted(kept, {"a": look(3, 5)}, sides)[1] == both(5, 3)


numbers = st.integers(0, 1_000)
counters = st.builds(
    lambda old, new, errors, backup: look(old, new, errors=errors, backup=backup), numbers, numbers, numbers, numbers
)
nodes = st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), counters), max_size=3)


@UNTIMED
@given(st.lists(nodes, max_size=6))
def test_nothing_is_ever_negative(looks: list[dict[str, Look]]) -> None:
    for reading in filter(None, watched(*looks)):
        for amount in (reading.canary, reading.stable):
            assert min(amount.requests, amount.errors, *amount.buckets) >= 0
            assert len(amount.buckets) == BUCKETS


@UNTIMED
@given(st.lists(nodes, max_size=6))
def test_the_order_of_nodes_is_irrelevant(looks: list[dict[str, Look]]) -> None:
    assert watched(*looks) == watched(*(dict(reversed(one.items())) for one in looks))


@UNTIMED
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.booleans()), min_size=1, max_size=20))
def test_without_resets_everything_is_counted_once(steps: list[tuple[int, int, bool]]) -> None:
    old, new = 100, 100
    looks: list[dict[str, Look]] = [{"a": look(100, 100)}]
    for more_old, more_new, is_read in (*steps, (0, 0, True)):
        old, new = old + more_old, new + more_new
        looks.append({"a": look(old, new) if is_read else None})
    found = [one for one in watched(*looks) if one is not None]
    assert (sum(one.canary.requests for one in found), sum(one.stable.requests for one in found)) == (
        new - 100,
        old - 100,
    )
