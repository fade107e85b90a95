"""Whom a new commit concerns."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.core.followers import Calls, Follower, call, calls
from deployer.core.source import Origin

QUICKLY = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])

HEAD = "head"


def follower(commit: str = "old", tree: str = "t1", **more: object) -> Follower:
    return Follower("a", Origin("apps/a"), commit, tree, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "content", "expected"),
    [
        pytest.param(follower(), "t2", "wake", id="its content changed"),
        pytest.param(follower(), "t1", "note", id="it has that content already, under an older commit"),
        pytest.param(follower(HEAD), "t1", "leave", id="it is there"),
        pytest.param(follower(HEAD), "t2", "wake", id="at this commit its content was something else: look again"),
        pytest.param(follower("", ""), "t1", "wake", id="nothing was applied yet"),
        pytest.param(follower(), "", "wake", id="nothing is at its path any more: its own pass says so"),
        pytest.param(follower("", ""), "", "wake", id="nothing was ever at its path"),
        pytest.param(follower(asked=True), "t1", "wake", id="somebody waits for a sync"),
        pytest.param(follower(is_pinned=True, skipped_tree="t2"), "t2", "leave", id="the pin holds out against this"),
        pytest.param(follower(is_pinned=True, skipped_tree="t2"), "t3", "wake", id="something newer ends the pin"),
        pytest.param(follower(is_pinned=True, skipped_tree="t2"), "t1", "wake", id="the revert ends the pin, too"),
    ],
)
def test_call(one: Follower, content: str, expected: str) -> None:
    assert call(one, HEAD, content) == expected


ORIGINS = [Origin("a"), Origin("b"), Origin("b", ("values.yaml",))]
WORDS = st.sampled_from(["", "t1", "t2", "t3"])
FOLLOWERS = st.lists(
    st.builds(
        Follower, st.uuids().map(str), st.sampled_from(ORIGINS), st.sampled_from(["", "old", HEAD]), WORDS,
        st.booleans(), st.booleans(), WORDS,
    ),
    unique_by=lambda one: one.uid,
)  # fmt: skip


@given(FOLLOWERS, st.dictionaries(st.sampled_from(ORIGINS), WORDS))
@QUICKLY
def test_whoever_is_not_woken_has_what_the_head_holds_or_holds_out_against_it(
    followers: list[Follower], contents: dict[Origin, str]
) -> None:
    found = calls(followers, HEAD, contents)
    assert not found.wake & found.note
    for one in followers:
        if one.uid not in found.wake:
            assert contents[one.origin]
            assert contents[one.origin] == (one.skipped_tree if one.is_pinned else one.tree)
            assert not one.asked
        if one.uid in found.note:
            assert not one.is_pinned


@given(FOLLOWERS, st.dictionaries(st.sampled_from(ORIGINS), WORDS))
@QUICKLY
def test_once_all_have_been_told_there_is_nothing_left_to_note(
    followers: list[Follower], contents: dict[Origin, str]
) -> None:
    found = calls(followers, HEAD, contents)
    after = [
        Follower(one.uid, one.origin, HEAD, contents.get(one.origin, ""))
        for one in followers
        if one.uid in found.note or (one.uid in found.wake and contents.get(one.origin))
    ]
    assert calls(after, HEAD, contents) == Calls()
