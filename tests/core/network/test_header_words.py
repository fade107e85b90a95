"""People's header routes become regular expressions that mean what was said and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.core.canary.values import HeaderMatch, HeaderRoute
from deployer.core.network.header_words import LONGEST_REGEX, header_fault, route_key

BACKEND = "svc.shop.web.80"


def takes(headers: dict[str, str], *matches: HeaderMatch, backend: str = BACKEND) -> bool:
    key = route_key(BACKEND, HeaderRoute("r", matches))
    dumped = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    return re.match(key.encode(), f"{backend}|{dumped}".encode()) is not None


def regex(text: str) -> HeaderMatch:
    return HeaderMatch("x-v", "regex", text)


@pytest.mark.parametrize(
    ("text", "fits", "others"),
    [
        pytest.param("beta", ["beta"], ["beta2", "xbeta", "Beta", ""], id="all of it"),
        pytest.param("^beta$", ["beta"], ["beta2"], id="anchors change nothing"),
        pytest.param(r"a\$", ["a$"], ["a", "a\\"], id="a dollar that is meant"),
        pytest.param(r"v\d+\.\d", ["v1.0", "v22.9"], ["v1x0", "v.1"], id="digits and a dot"),
        pytest.param("[a-c_-]+", ["abc_-"], ["d", "a d"], id="a set"),
        pytest.param("[^a-c]+", ["xyz ü"], ["xa"], id="what is not in a set"),
        pytest.param("(?:dev|test)-.*", ["dev-1", "test-"], ["prod-1", "dev"], id="a choice"),
        pytest.param(r"\w{2,3}", ["ab", "abc"], ["a", "abcd", "a-"], id="how often"),
        pytest.param("(ab)?c", ["abc", "c"], ["ac"], id="perhaps"),
        pytest.param("ü+", ["ü", "üü"], ["u", ""], id="a letter of two bytes"),
        pytest.param("", [""], ["a"], id="nothing"),
        pytest.param(".*", ["", "any thing"], [], id="anything"),
    ],
)
def test_a_regex_has_to_match_the_whole_value(text: str, fits: list[str], others: list[str]) -> None:
    assert [takes({"X-V": one}, regex(text)) for one in (*fits, *others)] == [True] * len(fits) + [False] * len(others)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(a+)+", "repeats with '+' a group with a choice or a repetition in it"),
        ("(a|b)*", "repeats with '*' a group with a choice"),
        ("(a?){9}", "repeats with '{9}' a group"),
        ("a**", "has '*' after nothing that could be repeated"),
        ("|*", "after nothing that could be repeated"),
        (r"\bfoo", r"has '\\bfo' at letter 1, which is not known here"),
        (r"(a)\1", r"has '\\1' at letter 4"),
        ("(?=a)", "after nothing that could be repeated"),
        ("(?i)a", "after nothing that could be repeated"),
        ("a)|(.*", "closes a group that was not opened"),
        ("(a", "opens a group that is not closed"),
        ("a^b", "has '^b' at letter 2"),
        ("[z-a]", "is none: bad character range"),
        ("[a[]", "has '[' within [a[], which is not known here"),
        ("[ü]", "has 'ü' within [ü]"),
        ("a{3,1}", "is none: min repeat greater than max repeat"),
        (".*a.*b.*c.*", "has 4 repetitions without an end, at most 3"),
        ("(" * 8 + "a" + ")" * 8, "has more than 7 in another"),
        ("a" * (LONGEST_REGEX + 1), "has 201 letters"),
        ("a\nb", "control character"),
    ],
)
def test_what_could_do_harm_is_refused_in_words(text: str, said: str) -> None:
    fault = header_fault(regex(text))
    assert said in fault and fault.startswith("header x-v: ")
    with pytest.raises(ValueError, match="header x-v"):
        route_key(BACKEND, HeaderRoute("r", (regex(text),)))


@pytest.mark.parametrize(
    ("match", "said"),
    [
        (HeaderMatch("x y", "exact", "a"), "'x y' is no name of a header"),
        (HeaderMatch("", "prefix", ""), "'' is no name of a header"),
        (HeaderMatch("x", "exact", ""), "an exact value must not be empty"),
        (HeaderMatch("x", "exact", "a\r\nb"), "control character"),
    ],
)
def test_what_is_no_match_is_refused(match: HeaderMatch, said: str) -> None:
    assert said in header_fault(match)


def test_a_key_has_an_end() -> None:
    with pytest.raises(ValueError, match="too long"):
        route_key(BACKEND, HeaderRoute("r", (HeaderMatch("x", "exact", " ." * 400),)))


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12).filter(
    str.strip
)


@given(WORDS, WORDS, st.sampled_from(["exact", "prefix"]))
def test_a_value_means_itself(value: str, other: str, kind: str) -> None:
    match = HeaderMatch("X-V", kind, value)  # type: ignore[arg-type]
    if header_fault(match):
        return
    value, other = value.strip() if kind == "exact" else value.lstrip(), other.strip()
    expected = other == value if kind == "exact" else f"{other}\r\n".startswith(value)
    assert takes({"a": "b", "x-v": value}, match)
    assert takes({"x-v": other, "x-w": value}, match) is expected
    assert not takes({"x-v": value}, match, backend="svc.shop.web.8080")


@given(st.text("ab.*+?()[]^$|\\dws{2,}- \t\u00fc", max_size=14))
@settings(max_examples=500)
def test_a_regex_is_refused_or_means_what_it_means_elsewhere(text: str) -> None:
    match = regex(text)
    if header_fault(match):
        return
    key = route_key(BACKEND, HeaderRoute("r", (match,)))
    assert " " not in key and key.isascii() and key.isprintable()
    for value in ("", "a", "ab", "aab", "b.a", "a-b", "s", "d2", "2", "w a"):
        meant = re.fullmatch(text, value, re.ASCII) is not None
        assert takes({"x-v": value, "x-w": "a"}, match) is meant, (text, value)
