"""Ranges as npm's documentation explains them, row by row; and what holds of all of them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.core.images.versions import BadRange, Version, parse_range, parse_version

QUICKLY = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def version(text: str) -> Version:
    found = parse_version(text)
    assert found is not None, text
    return found


@pytest.mark.parametrize(
    ("text", "within", "outside"),
    [
        # comparators
        ("1.2.7 || >=1.2.9 <2.0.0", "1.2.7 1.2.9 1.4.6", "1.2.8 2.0.0"),
        (">=1.2.7", "1.2.7 1.2.8 2.5.3 1.3.9", "1.2.6 1.1.0"),
        (">=1.2.7 <1.3.0", "1.2.7 1.2.8 1.2.99", "1.2.6 1.3.0 1.1.0"),
        (">= 1.2.7, < 1.3", "1.2.7 1.2.99", "1.2.6 1.3.0"),
        (">1.2", "1.3.0 2.0.0", "1.2.0 1.2.9 1.3.0-a"),
        (">1", "2.0.0", "1.0.0 1.9.9"),
        ("<1.2", "1.1.9 0.1.0", "1.2.0 1.2.0-a"),
        ("<=1.2", "1.2.9 1.0.0", "1.3.0"),
        ("<=1.2.3", "1.2.3", "1.2.4"),
        ("=1.2.3", "1.2.3", "1.2.4"),
        ("v1.2.3", "1.2.3 v1.2.3", "1.2.4"),
        # hyphens
        ("1.2.3 - 2.3.4", "1.2.3 2.3.4 2.0.0", "1.2.2 2.3.5"),
        ("1.2 - 2.3.4", "1.2.0 2.3.4", "1.1.9 2.3.5"),
        ("1.2.3 - 2.3", "2.3.9", "2.4.0"),
        ("1.2.3 - 2", "2.9.9", "3.0.0"),
        # x-ranges
        ("*", "0.0.0 1.2.3", "1.2.3-a"),
        ("1.x", "1.0.0 1.9.9", "2.0.0 0.9.9"),
        ("1.2.X", "1.2.0 1.2.9", "1.3.0"),
        ("1.*", "1.9.9", "2.0.0"),
        ("1", "1.0.0 1.9.9", "2.0.0"),
        ("1.2", "1.2.0 1.2.9", "1.3.0"),
        ("<*", "", "0.0.0 1.0.0"),
        # tildes
        ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
        ("~1.2", "1.2.0 1.2.9", "1.3.0"),
        ("~1", "1.0.0 1.9.9", "2.0.0"),
        ("~0.2.3", "0.2.3 0.2.9", "0.3.0"),
        ("~1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.4 1.2.3 1.2.4", "1.2.4-beta.2 1.2.3-beta.1"),
        ("~> 1.2.3", "1.2.9", "1.3.0"),
        # carets
        ("^1.2.3", "1.2.3 1.9.9", "1.2.2 2.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"),
        ("^0.0.3", "0.0.3", "0.0.4 0.0.2"),
        ("^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.4 1.3.0", "1.2.4-beta.2 2.0.0"),
        ("^0.0.3-beta", "0.0.3-beta 0.0.3-pr.2 0.0.3", "0.0.4"),
        ("^1.2.x", "1.2.0 1.9.0", "2.0.0"),
        ("^0.0.x", "0.0.0 0.0.9", "0.1.0"),
        ("^0.0", "0.0.9", "0.1.0"),
        ("^1.x", "1.0.0 1.9.9", "2.0.0"),
        ("^0.x", "0.0.0 0.9.9", "1.0.0"),
        ("^1 || ^3", "1.5.0 3.5.0", "2.0.0 4.0.0"),
        # pre-releases come only where one is named
        (">1.2.3-alpha.3", "1.2.3-alpha.7 3.4.5", "3.4.5-alpha.9 1.2.3-alpha.3"),
        (">=1.3.0-0", "1.3.0-rc.1 1.3.0", "1.4.0-rc.1"),
        ("<2.0.0-0 >=1", "1.9.9", "2.0.0-a 2.0.0"),
    ],
)  # fmt: skip
def test_range(text: str, within: str, outside: str) -> None:
    found = parse_range(text)
    assert [one for one in within.split() if not found.holds(version(one))] == []
    assert [one for one in outside.split() if found.holds(version(one))] == []


def test_order_is_that_of_semver() -> None:
    """The specification's own example, item 11, and numbers that are no text."""
    words = "alpha alpha.1 alpha.beta beta beta.2 beta.11 rc.1"
    found = [version(f"1.0.0-{one}") for one in words.split()] + [version(one) for one in ("1.0.0", "1.9.0", "1.10.0")]
    assert sorted(found, key=lambda one: (one, 0)) == found


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("1.2.3", "1.2.3"), ("v1.2.3", "1.2.3"), ("1.2", "1.2.0"), ("1", "1.0.0"), ("1.2.3-rc.1", "1.2.3-rc.1"),
        ("01.2.3", ""), ("1.2.3.4", ""), ("latest", ""), ("1.2-alpine", ""), ("1.2.3-", ""), ("1.2.3-01", ""),
        ("99999999999999999.0.0", ""), ("", ""), ("1.2.3-a..b", ""), ("1.2.\u0663", ""),
    ],
)  # fmt: skip
def test_tags_as_versions(tag: str, expected: str) -> None:
    assert str(parse_version(tag) or "") == expected


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("^1 || foo", '"foo" is not a version or a range', 6),
        (">=1.2 <x.y", '"<x.y" is not a version or a range', 6),
        ("1.2.3.4", '"1.2.3.4" is not a version or a range', 0),
        ("^1 ||", "there is nothing beside '||'; write *", 5),
        ("99999999999999999", '"99999999999999999" is not a version or a range', 0),
        ("9999999999999999.0.0", '"9999999999999999.0.0" holds a number above 9007199254740991', 0),
        ("1" * 300, "the range has 300 characters; at most 256 are read", 0),
    ],
)
def test_bad_ranges(text: str, message: str, offset: int) -> None:
    with pytest.raises(BadRange) as caught:
        parse_range(text)
    assert (str(caught.value), caught.value.offset) == (message, offset)


NUMBERS = st.tuples(*[st.integers(0, 3)] * 3)
VERSIONS = st.builds(
    lambda numbers, pre: Version(*numbers, pre), NUMBERS, st.sampled_from([(), ("0",), ("a",), ("a", "1"), ("rc", "2")])
)


@given(VERSIONS, VERSIONS)
@QUICKLY
def test_the_hyphen_is_two_comparators(low: Version, high: Version) -> None:
    both, apart = parse_range(f"{low} - {high}"), parse_range(f">={low} <={high}")
    assert both == apart


@given(VERSIONS, VERSIONS)
@QUICKLY
def test_a_caret_lets_nothing_in_that_may_break(base: Version, other: Version) -> None:
    """Below 1.0 the second number breaks, below 0.1 the third; written here as the documentation words it."""
    if parse_range(f"^{base}").holds(other):
        assert other >= base
        left = next((index for index, one in enumerate(base.numbers) if one), 2)
        assert other.numbers[: left + 1] == base.numbers[: left + 1]
    elif not other.pre:
        left = next((index for index, one in enumerate(base.numbers) if one), 2)
        assert other < base or other.numbers[: left + 1] != base.numbers[: left + 1]


@given(VERSIONS, VERSIONS)
@QUICKLY
def test_a_pre_release_comes_only_where_its_own_numbers_were_named(base: Version, other: Version) -> None:
    for text in (f"^{base}", f"~{base}", f">={base}", f"<={base}"):
        if other.pre and parse_range(text).holds(other):
            assert base.pre
            assert base.numbers == other.numbers


@given(st.text(alphabet="0123.x*^~<>=|- v,a", max_size=20))
@QUICKLY
def test_any_text_is_a_range_or_is_refused(text: str) -> None:
    try:
        found = parse_range(text)
    except BadRange as wrong:
        assert 0 <= wrong.offset <= len(text)
    else:
        found.holds(Version(1, 2, 3))
