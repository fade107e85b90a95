"""When an incident opens, when it is over, and how little a flapping thing says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.core.incidents import (
    CALM_SECONDS,
    DOUBT_SECONDS,
    LONGEST_CALM_SECONDS,
    Decision,
    Fact,
    Kind,
    Past,
    Record,
    State,
    calm_seconds,
    decide,
)

NOW = 1000.0
BAD, GOOD = Fact("bad", "c1"), Fact("good")
OPEN = Record("c1", 900.0, opened_at=900.0)
DOUBTED = Record("c1", NOW - DOUBT_SECONDS)


@pytest.mark.parametrize(
    ("kind", "fact", "record", "expected"),
    [
        pytest.param("SyncFailed", BAD, None, Decision(Record("c1", NOW, NOW), opens=True), id="bad: told at once"),
        pytest.param("SyncFailed", BAD, OPEN, Decision(OPEN), id="a retry is the same incident"),
        pytest.param(
            "SyncFailed", Fact("bad", "c2"), OPEN, Decision(Record("c2", NOW, NOW), "superseded", opens=True),
            id="another cause is another incident",
        ),
        pytest.param("SyncFailed", Fact("unclear"), OPEN, Decision(OPEN), id="being tried again is not over"),
        pytest.param("SyncFailed", GOOD, OPEN, Decision(None, "normal"), id="over"),
        pytest.param("SyncFailed", GOOD, None, Decision(None), id="nothing was, nothing is"),
        pytest.param("SyncFailed", Fact("unclear"), None, Decision(None), id="nobody can say"),
        pytest.param("SyncFailed", Fact("gone"), OPEN, Decision(None, "gone"), id="gone"),
        pytest.param("SyncFailed", Fact("gone"), None, Decision(None), id="gone, and never was"),
        pytest.param(
            "NodeDead", GOOD, OPEN, Decision(Record("c1", 900.0, 900.0, NOW), wake_at=NOW + 60),
            id="a node must stay before it is back",
        ),
        pytest.param("NodeDead", GOOD, Record("c1", 900.0, 900.0, NOW - 60), Decision(None, "normal"), id="it stayed"),
        pytest.param("NodeDead", BAD, Record("c1", 900.0, 900.0, NOW - 59), Decision(OPEN), id="it did not stay"),
        pytest.param(
            "NodeDead", Fact("unclear"), Record("c1", 900.0, 900.0, NOW - 59), Decision(OPEN), id="nor did this"
        ),
        pytest.param(
            "RepositoryAway", Fact("bad", "c1", doubtful=True), None, Decision(Record("c1", NOW), wake_at=NOW + 120),
            id="doubtful: looked at again",
        ),
        pytest.param(
            "RepositoryAway", Fact("bad", "c1", doubtful=True), DOUBTED,
            Decision(Record("c1", NOW - 120, NOW), opens=True), id="bad twice",
        ),
        pytest.param("RepositoryAway", GOOD, DOUBTED, Decision(None, "normal"), id="only suspected"),
    ],
)  # fmt: skip
def test_one_look(kind: Kind, fact: Fact, record: Record | None, expected: Decision) -> None:
    assert decide(kind, fact, record, None, NOW) == expected


@pytest.mark.parametrize(
    ("past", "flaps"),
    [
        (None, 0),
        (Past(NOW - 3600, 0, "normal"), 1),
        (Past(NOW - 3600, 4, "normal"), 5),
        (Past(NOW - 3601, 4, "normal"), 0),
        (Past(NOW - 1, 4, "gone"), 0),
    ],
)
def test_what_comes_back_within_the_hour_flaps(past: Past | None, flaps: int) -> None:
    found = decide("NodeDead", BAD, None, past, NOW).record
    assert found
    assert found.flaps == flaps


def test_calm_doubles() -> None:
    assert [calm_seconds("SyncFailed", flaps) for flaps in (0, 1, 2, 3)] == [0, 120, 240, 480]
    assert calm_seconds("NodeDead", 99) == LONGEST_CALM_SECONDS


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(sorted(CALM_SECONDS)),
    looks=st.lists(
        st.tuples(st.sampled_from(["bad", "good", "unclear"]), st.integers(1, 120)), min_size=40, max_size=120
    ),
)
def test_a_flapping_thing_is_told_ever_less_often(kind: Kind, looks: list[tuple[State, int]]) -> None:
    """However it flaps: every end was preceded by the calm that its flaps ask for, and messages come in pairs."""
    record, past, now, told, good_since = None, None, 0.0, [], None
    for state, pause in looks:
        now += pause
        good_since = (good_since if good_since is not None else now) if state == "good" else None
        before = record
        decision = decide(kind, Fact(state, "c1"), record, past, now)
        record = decision.record
        if decision.opens:
            told.append("opened")
        if decision.closed:
            assert before
            assert good_since is not None
            assert now - good_since >= calm_seconds(kind, before.flaps)
            told.append("normal")
            past = Past(now, before.flaps, "normal")
    assert told[::2] == ["opened"] * len(told[::2])
    assert told[1::2] == ["normal"] * len(told[1::2])
