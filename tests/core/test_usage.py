"""Counters become what pods use: nothing twice, restarts clamped, gaps honest; each property kills a seeded mutant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deployer.core import usage as core
from deployer.core.container import ContainerSeen
from deployer.core.usage import (
    FINE_SECONDS,
    LONGEST_GAP_SECONDS,
    Look,
    Row,
    Subject,
    Total,
    Usage,
    coarse,
    due_at,
    members,
    of_node,
    per_slot,
    period_seconds,
    slot_of,
)

MIB = 1 << 20
NODE = of_node("n1")
WEB, API = Subject("shop", "web-1", "Deployment/web", 2), Subject("shop", "api-1", "Deployment/api", 1)
NANO = 10**9


def seen(name: str, state: str = "running", **labels: str) -> ContainerSeen:
    given = {f"pierhead.io/{key.replace('_', '-')}": value for key, value in labels.items()}
    return ContainerSeen(f"id-{name}", name, given, state)  # type: ignore[arg-type]


def of(pod: str, container: str = "web", **labels: str) -> dict[str, str]:
    return {"namespace": "shop", "pod": pod, "container": container, **labels}


def test_what_runs_is_told_apart_by_pod() -> None:
    found = members(
        "n1",
        [
            seen("a", **of("web-1", "pause", owner="Deployment/web", revision="2")),
            seen("b", **of("web-1", "web", owner="Deployment/web", revision="2")),
            seen("c", "paused", **of("web-1", "log", owner="Deployment/web", revision="2")),
            seen("d", "exited", **of("api-1", owner="Deployment/api")),
            seen("e", **of("job", owner="", revision="")),
            seen("f", component="router"),
        ],
    )
    assert found == {
        NODE: ["id-f"], WEB: ["id-b", "id-c"], Subject("shop", "job", "Pod/job"): ["id-e"],
    }  # fmt: skip


# Looks

Reading = tuple[float, float]
"""(when by the host's clock, CPU seconds since the container's start); 10 MiB each."""


def told(*looks: tuple[int, Mapping[str, Reading | None]], pods: Mapping[Subject, str] | None = None) -> list[Any]:
    """The rows of each look. `pods`: subject -> its containers, "ab"; a container that is None runs and is not read,
    one that is left out does not run."""
    before: Look | None = None
    rows = []
    for slot, readings in looks:
        there: dict[Subject, list[str]] = {NODE: []}
        for subject, ids in (pods or {WEB: "ab"}).items():
            if running := [one for one in ids if one in readings]:
                there[subject] = running
        read = {
            one: Usage(pair[0], int(pair[1] * NANO), 10 * MIB, 0) for one, pair in readings.items() if pair is not None
        }
        before, found = core.look(before, slot, "n1", there, read)
        rows.append(found)
    return rows


def pod(rows: Mapping[Subject, Row], subject: Subject = WEB) -> tuple[int, int, float, int] | None:
    row = rows.get(subject)
    return None if row is None else (row.at, row.seconds, round(row.cpu_millicores, 3), row.memory_bytes // MIB)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param({"a": (0, 2.0)}, {"a": (15, 6.5)}, (0, 15, 300, 10), id="4.5 s in 15 s"),
        pytest.param({"a": (0, 2.0)}, {"a": (15, 1.5)}, (0, 15, 100, 10), id="restarted: all that there is"),
        pytest.param({"a": (0, 2.0)}, {"a": (20, 6.0)}, (0, 15, 200, 10), id="read late: the host's clock counts"),
        pytest.param({"a": (0, 2.0)}, {"a": (3615, 5.0)}, (0, 15, 200, 10), id="the host's clock was set: ours counts"),
        pytest.param({"a": (0, 2.0)}, {"a": (-9, 5.0)}, (0, 15, 200, 10), id="set back"),
        pytest.param({"a": (0, 2.0)}, {"a": (15, 5.0), "b": (15, 3.0)}, (0, 15, 400, 20), id="one more container"),
        pytest.param({"a": (0, 2.0), "b": (0, 9.0)}, {"a": (15, 5.0)}, (0, 15, 200, 10), id="one less"),
        pytest.param({"a": (0, 2.0), "b": (0, 9.0)}, {"a": (15, 5.0), "b": None}, None, id="one of two was not read"),
        pytest.param({}, {"a": (15, 3.0)}, (0, 15, 200, 10), id="started since"),
        pytest.param({"a": None}, {"a": (15, 300.0)}, None, id="ran before, and was not read"),
    ],
)  # fmt: skip
def test_two_looks_are_subtracted(first: Any, second: Any, expected: Any) -> None:
    assert [pod(rows) for rows in told((0, first), (15, second))] == [None, expected]


def test_the_first_look_only_tells_where_counting_begins() -> None:
    assert told((0, {"a": (0, 500.0)})) == [{}]


def test_what_was_not_read_is_made_up_for() -> None:
    rows = told((0, {"a": (0, 0.0)}), (15, {"a": None}), (30, {"a": (30, 6.0)}))
    assert [pod(one) for one in rows] == [None, None, (0, 30, 200, 10)]


def test_after_a_long_time_it_begins_anew() -> None:
    for gap, expected in ((LONGEST_GAP_SECONDS, (0, 300, 10, 10)), (LONGEST_GAP_SECONDS + 15, None)):
        rows = told((0, {"a": (0, 0.0)}), (gap, {"a": (gap, 3.0)}))
        assert pod(rows[1]) == expected
        assert (NODE in rows[1]) == (expected is not None)


def test_a_clock_that_was_set_back_begins_anew() -> None:
    rows = told((3600, {"a": (3600, 5.0)}), (15, {"a": (15, 9.0)}), (30, {"a": (30, 12.0)}))
    assert [pod(one) for one in rows] == [None, None, (15, 15, 200, 10)]


def test_a_node_is_all_of_its_pods_and_its_router() -> None:
    pods = {WEB: "a", API: "b", NODE: "r"}
    rows = told(
        (0, {"a": (0, 0.0), "b": (0, 0.0), "r": (0, 0.0)}),
        (15, {"a": (15, 3.0), "b": (15, 1.5), "r": (15, 0.15)}),
        (30, {"a": (30, 6.0), "b": None, "r": (30, 0.3)}),
        pods=pods,
    )
    assert [pod(one, NODE) for one in rows] == [None, (0, 15, 310, 30), (15, 15, 310, 30)], "b is as it was"


def test_a_node_with_nothing_on_it_uses_nothing() -> None:
    assert told((0, {}), (15, {}))[1] == {NODE: Row(0, 15, 0, 0)}


# When to look


@pytest.mark.parametrize(
    ("containers", "seconds"), [(0, 15), (1500, 15), (1501, 30), (5000, 60), (15_000, 150), (1_000_000, 300)]
)
def test_the_more_there_is_the_rarer_are_looks(containers: int, seconds: int) -> None:
    assert period_seconds(containers) == seconds


@pytest.mark.parametrize(
    ("now", "period", "offset", "due"), [(100, 15, 4, 109), (109, 15, 4, 124), (100, 60, 30, 150), (89.9, 60, 30, 90)]
)
def test_looks_are_due_at_multiples(now: float, period: int, offset: float, due: float) -> None:
    assert due_at(now, period, offset) == due


# Totals


def total(cpu: float, pods: float = 1, most: float = 0) -> Total:
    return Total(pods, cpu, most or cpu, int(cpu), int(most or cpu))


def test_a_coarse_row_is_the_mean_of_what_is_known() -> None:
    """100 millicores all the time, and a second pod with 200 for half of it."""
    fine = [(at, 15, total(100)) for at in range(0, 300, 15)] + [(at, 15, total(200)) for at in range(150, 300, 15)]
    assert coarse(per_slot(fine)) == {0: (300, Total(1.5, 200, 200, 200, 200))}


def test_a_coarse_row_tells_of_how_much_it_is() -> None:
    assert coarse(per_slot([(240, 30, total(100)), (300, 15, total(50))])) == {
        0: (30, total(100)),
        300: (15, total(50)),
    }


# Properties

STEPS = st.lists(st.tuples(st.integers(0, 15_000), st.booleans(), st.booleans()), min_size=1, max_size=30)


def check_nothing_is_told_twice(first: Sequence[tuple[int, bool, bool]], second: Sequence[Any]) -> None:
    """Two containers of a pod burn so many milliseconds in each 15 s, are restarted, are not read: what is told is
    what was used between the first and the last whole reading, but for what a restart hides. Rows do not overlap, and
    none says more than the busiest 15 s."""
    counters, used = {"a": 0, "b": 0}, 0
    looks, spent = [], []
    for number, steps in enumerate(zip(first, second, strict=False)):
        readings: dict[str, Reading | None] = {}
        for one, (burnt, is_restarted, is_read) in zip("ab", steps, strict=True):
            counters[one] = burnt if is_restarted else counters[one] + burnt
            used += burnt
            readings[one] = (number * 15.0, counters[one] / 1000) if is_read else None
        looks.append((number * 15, readings))
        spent.append(used)
    rows = [found[WEB] for found in told(*looks) if WEB in found]
    busiest = max(sum(burnt for burnt, *_ in steps) for steps in zip(first, second, strict=False)) / FINE_SECONDS
    assert all(row.cpu_millicores <= busiest + 0.01 for row in rows)
    whole = [number for number, (_, found) in enumerate(looks) if all(found.values())]
    assert all(0 < row.seconds <= LONGEST_GAP_SECONDS and row.seconds % FINE_SECONDS == 0 for row in rows)
    assert all(one.at + one.seconds <= other.at for one, other in pairwise(rows))
    if not whole or any(later - sooner > LONGEST_GAP_SECONDS // 15 for sooner, later in pairwise(whole)):
        return
    counted = sum(row.cpu_millicores * row.seconds for row in rows)
    really = spent[whole[-1]] - spent[whole[0]]
    has_restarts = any(is_restarted for steps in (first, second) for _, is_restarted, _ in steps)
    assert counted <= really + 0.01
    assert has_restarts or counted == pytest.approx(really, abs=0.01)


def check_never_more_than_the_host_has(cpus: int, clock: Sequence[tuple[float, int]]) -> None:
    """Whatever its clock and its counters say."""
    before: Look | None = None
    for number, (at, counted) in enumerate(clock):
        read = {"a": Usage(at, counted, 0, 0, cpus)}
        before, rows = core.look(before, number * 15, "n1", {NODE: [], WEB: ["a"]}, read)
        assert all(0 <= row.cpu_millicores <= cpus * 1000 for row in rows.values())


def check_a_node_is_the_sum(burnt: Mapping[str, Sequence[int]]) -> None:
    """Pods a to d and the router, all read at each look."""
    whose = {NODE: "r", **{Subject("s", one, "o"): one for one in "abcd"}}
    steps = min(map(len, burnt.values()))
    looks = [
        (step * 15, {one: (step * 15.0, sum(burnt[one][: step + 1]) / 1000) for one in "abcdr"})
        for step in range(steps)
    ]
    for step, rows in enumerate(told(*looks, pods=whose)[1:], 1):
        mine = sum(row.cpu_millicores for who, row in rows.items() if who != NODE)
        assert rows[NODE].cpu_millicores == pytest.approx(mine + burnt["r"][step] / 15)


def check_totals_keep_what_they_are_made_of(parts: Sequence[tuple[int, int, int]]) -> None:
    """CPU time is the same in rows, in slots and in coarse rows; the most is the most."""
    rows = [(at * 15, seconds * 15, total(cpu)) for at, seconds, cpu in parts]
    spent = sum(seconds * one.cpu_millicores for _, seconds, one in rows)
    slots = per_slot(rows)
    found = coarse(slots)
    assert sum(one.cpu_millicores * 15 for one in slots.values()) == pytest.approx(spent)
    assert sum(one.pods * 15 for one in slots.values()) == pytest.approx(sum(seconds for _, seconds, _ in rows))
    assert sum(seconds * one.cpu_millicores for seconds, one in found.values()) == pytest.approx(spent)
    assert max(one.cpu_most_millicores for _, one in found.values()) == max(cpu for _, _, cpu in parts)
    assert all(0 < seconds <= 300 and start % 300 == 0 for start, (seconds, _) in found.items())


def check_everybody_has_a_turn(sizes: Sequence[int], fitting: int) -> None:
    """Of what there is no time for, or what hangs, others are left out the next time: each is asked for in the end."""
    there = {
        Subject("s", f"pod-{number}", "o"): [f"{number}.{one}" for one in range(size)]
        for number, size in enumerate(sizes)
    }
    everything = {one for ids in there.values() for one in ids}
    asked: set[str] = set()
    for turn in range(len(sizes) + 1):
        order = core.in_turn(there, turn)
        assert sorted(order) == sorted(everything)
        asked |= set(order[:fitting])
    assert len(sizes) == 0 or asked >= {ids[0] for ids in there.values()}


def check_a_look_has_its_own_15_seconds(start: float, offset: float, late: Sequence[float]) -> None:
    """However late one is, up to 13 s, it is told from the one before and the one after."""
    due = due_at(start, 15, offset)
    slots = []
    for delay in late:
        slots.append(slot_of(due + delay, offset))
        due = due_at(due + max(delay, 0), 15, offset)
    assert all(later - sooner == FINE_SECONDS for sooner, later in pairwise(slots))


PROPERTIES: dict[str, tuple[Callable[..., None], tuple[st.SearchStrategy[Any], ...]]] = {
    "nothing is told twice": (check_nothing_is_told_twice, (STEPS, STEPS)),
    "never more than the host has": (check_never_more_than_the_host_has, (
        st.integers(1, 8), st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 10**13)), min_size=2, max_size=9),
    )),
    "a node is the sum": (check_a_node_is_the_sum, (
        st.fixed_dictionaries({one: st.lists(st.integers(0, 9999), min_size=2, max_size=5) for one in "abcdr"}),
    )),
    "totals keep what they are made of": (check_totals_keep_what_they_are_made_of, (
        st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20), st.integers(0, 5000)), min_size=1, max_size=30),
    )),
    "everybody has a turn": (check_everybody_has_a_turn, (
        st.lists(st.integers(1, 3), max_size=8), st.integers(1, 5),
    )),
    "a look has its own 15 seconds": (check_a_look_has_its_own_15_seconds, (
        st.floats(1.7e9, 1.8e9), st.floats(0, 15), st.lists(st.floats(-0.5, 13), min_size=2, max_size=6),
    )),
}  # fmt: skip


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name: str) -> None:
    check, strategies = PROPERTIES[name]
    checked = given(st.tuples(*strategies))(lambda drawn: check(*drawn))
    settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])(checked)()


def _told_twice(before: Look, slot: int, subject: Subject) -> Any:
    """A pod that was not read whole begins at the last look all the same."""
    last = LAST(before, slot, subject)
    return replace(last, slot=before.slot) if last else None


def _pods_alone(before: Any, slot: int, node: str, members: Mapping[Subject, Collection[str]], read: Any) -> Any:
    after, rows = LOOKED(before, slot, node, members, read)
    if NODE in rows:
        mine = sum(row.cpu_millicores for who, row in rows.items() if who != NODE)
        rows[NODE] = replace(rows[NODE], cpu_millicores=mine)
    return after, rows


def _unbounded(before: Usage | None, now: Usage, seconds: int) -> float:
    return MILLICORES(before, replace(now, cpus=0), seconds)


def _first_is_most(self: Total, other: Total) -> Total:
    return replace(ADDED(self, other), cpu_most_millicores=self.cpu_most_millicores)


def _of_all_20(totals: Sequence[Total]) -> Total:
    return replace(MEAN(totals), cpu_millicores=sum(one.cpu_millicores for one in totals) / 20)


LAST, LOOKED, MILLICORES, ADDED, MEAN = core._last, core.look, core._millicores, Total.__add__, core._mean

MUTANTS = [
    ("a restart takes off", core, "_since", lambda before, now: now - before, "never more than the host has"),
    ("a restart goes on", core, "_since", lambda before, now: abs(now - before), "nothing is told twice"),
    ("a gap is told as one look", core, "_last", _told_twice, "nothing is told twice"),
    ("what ran before is new", Look, "had_any", lambda *_: False, "nothing is told twice"),
    ("no bound", core, "_millicores", _unbounded, "never more than the host has"),
    ("pods alone", core, "look", _pods_alone, "a node is the sum"),
    ("the first is the most", Total, "__add__", _first_is_most, "totals keep what they are made of"),
    ("the mean of all 20", core, "_mean", _of_all_20, "totals keep what they are made of"),
    ("the same first", core, "in_turn", lambda there, _: [*chain(*there.values())], "everybody has a turn"),
    ("never early", core, "EARLY_SECONDS", 0.0, "a look has its own 15 seconds"),
]
HUNTING = settings(
    max_examples=2000, phases=[Phase.generate], derandomize=True, database=None, deadline=None,
    report_multiple_bugs=False, suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.mark.parametrize(("where", "name", "mutant", "broken"), [pytest.param(*one[1:], id=one[0]) for one in MUTANTS])
def test_a_property_notices(where: Any, name: str, mutant: Any, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check, strategies = PROPERTIES[broken]
    monkeypatch.setattr(where, name, mutant)

    @HUNTING
    @given(st.tuples(*strategies))
    def hunt(drawn: tuple[Any, ...]) -> None:
        check(*drawn)

    with pytest.raises(AssertionError):
        hunt()
