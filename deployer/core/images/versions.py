"""Semantic versions and ranges of them, by the rules of npm's `semver`, which Flux's users know as well.

    ^1.2.3   ~1.2   1.x   *   >=1.2 <2   1.2 - 1.4   1.2.3   ^1 || ^3        (a comma is a space)

A range is alternatives (`||`) of comparators that must all hold. A pre-release (1.3.0-rc.1) is within a range only if
one of the comparators beside it names a pre-release of the same 1.3.0: nobody gets a release candidate unasked.
A tag may leave parts of a version out (`1.2`, as many images are tagged): they count as 0, and where two tags mean one
version, the one that says more is the newer. A `v` before the number is read over.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LARGEST = 2**53 - 1
LONGEST_RANGE = 256
_NUMBER = r"(?:0|[1-9][0-9]{0,15})"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_PRE = rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*"
_VERSION = re.compile(rf"v?({_NUMBER})(?:\.({_NUMBER}))?(?:\.({_NUMBER}))?(?:-({_PRE}))?")
_WILD = rf"(?:{_NUMBER}|[xX*])"
_PARTIAL = re.compile(rf"v?({_WILD})(?:\.({_WILD}))?(?:\.({_WILD}))?(?:-({_PRE}))?(?:\+[0-9A-Za-z.-]+)?")
_COMPARATOR = re.compile(r"(\^|~>?|>=|<=|>|<|=)?(.*)")
_LOOSE_OPERATOR = re.compile(r"(\^|~>?|>=|<=|>|<|=)\s+")


class BadRange(ValueError):
    """It is no range; the text says which part, and `offset` is where that part begins."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text)
        self.offset = offset


@functools.total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """`pre` is () for a release. Ordered as semver 2.0 orders."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[int, int, int]:
        return self.major, self.minor, self.patch

    def _key(self) -> Any:
        """A release comes after its pre-releases; numbers before words; fewer parts before more."""
        parts = tuple((0, int(one), "") if one.isdigit() else (1, 0, one) for one in self.pre)
        return (*self.numbers, not self.pre, parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __lt__(self, other: Version) -> bool:
        return bool(self._key() < other._key())

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{'.'.join(self.pre)}" if self.pre else "")


Comparator = tuple[str, Version]
"""One of >=, <, >, <=, = and what it compares with."""


@dataclass(frozen=True, slots=True)
class Range:
    """`alternatives`: of each, all comparators must hold. An empty one holds for every release."""

    alternatives: tuple[tuple[Comparator, ...], ...]

    def holds(self, version: Version) -> bool:
        return any(_all_hold(one, version) for one in self.alternatives)


def parse_version(tag: str) -> Version | None:
    """The version that a tag names; None when it names none. Missing parts are 0, but not before a pre-release."""
    found = _VERSION.fullmatch(tag)
    if found is None or (found[4] and found[3] is None):
        return None
    numbers = [int(part or 0) for part in found.groups()[:3]]
    if max(numbers) > LARGEST:
        return None
    return _version(numbers, tuple(found[4].split(".")) if found[4] else ())


def _version(numbers: Sequence[int], pre: tuple[str, ...] = ()) -> Version:
    """Missing numbers are 0."""
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return Version(major, minor, patch, pre)


def parts_written(tag: str) -> int:
    """How many of the three numbers a tag spells out."""
    return len(tag.partition("-")[0].split("."))


def parse_range(text: str) -> Range:
    """Raises BadRange."""
    if len(text) > LONGEST_RANGE:
        raise BadRange(f"the range has {len(text)} characters; at most {LONGEST_RANGE} are read", 0)
    alternatives, at = [], 0
    for one in text.split("||"):
        alternatives.append(_alternative(one.replace(",", " "), at))
        at += len(one) + 2
    return Range(tuple(alternatives))


def _alternative(text: str, at: int) -> tuple[Comparator, ...]:
    low, hyphen, high = _hyphen(text)
    if hyphen:
        return (*_from(low.strip(), at), *_up_to(high.strip(), at + len(low) + len(hyphen)))
    comparators: list[Comparator] = []
    joined = _LOOSE_OPERATOR.sub(lambda found: " " * (len(found[0]) - len(found[1])) + found[1], text)
    for word in re.finditer(r"\S+", joined):
        found = _COMPARATOR.fullmatch(word[0])
        operator, rest = (found[1] or "", found[2]) if found else ("", word[0])
        comparators.extend(_desugared(operator, _partial(rest, word[0], at + word.start())))
    if not comparators and not text.strip() and at:
        raise BadRange("there is nothing beside '||'; write *", at)
    return tuple(comparators)


def _hyphen(text: str) -> tuple[str, str, str]:
    found = re.search(r"(?<=\S)(\s+-\s+)(?=\S)", text)
    return (text[: found.start()], found[1], text[found.end() :]) if found else (text, "", "")


Partial = tuple[tuple[int, ...], tuple[str, ...]]
"""The numbers that are written (a wildcard ends them), and the pre-release."""


def _partial(text: str, shown: str, at: int) -> Partial:
    found = _PARTIAL.fullmatch(text)
    if found is None:
        raise BadRange(f'"{_printable(shown)}" is not a version or a range', at)
    numbers: list[int] = []
    for part in found.groups()[:3]:
        if part is None or part in "xX*":
            break
        numbers.append(int(part))
    if any(one > LARGEST for one in numbers):
        raise BadRange(f'"{_printable(shown)}" holds a number above {LARGEST}', at)
    pre = tuple(found[4].split(".")) if found[4] and len(numbers) == 3 else ()
    return tuple(numbers), pre


def _desugared(operator: str, partial: Partial) -> tuple[Comparator, ...]:
    numbers, pre = partial
    low = _version(numbers, pre)
    if not numbers:  # * in any spelling; nothing is above or below all
        return (("<", Version(0, 0, 0, ("0",))),) if operator in ("<", ">") else ()
    whole = len(numbers) == 3
    match operator:
        case "^":
            return (">=", low), ("<", _next(numbers, _caret(numbers)))
        case "~" | "~>":
            return (">=", low), ("<", _next(numbers, min(len(numbers), 2)))
        case ">":
            return ((">", low),) if whole else ((">=", _next(numbers, len(numbers), release=True)),)
        case "<=":
            return (("<=", low),) if whole else (("<", _next(numbers, len(numbers))),)
        case ">=":
            return ((">=", low),)
        case "<":
            return (("<", low if whole else _floor(low)),)
    return (("=", low),) if whole else ((">=", low), ("<", _next(numbers, len(numbers))))


def _from(text: str, at: int) -> tuple[Comparator, ...]:
    return _desugared(">=", _partial(text, text, at))


def _up_to(text: str, at: int) -> tuple[Comparator, ...]:
    return _desugared("<=", _partial(text, text, at))


def _caret(numbers: tuple[int, ...]) -> int:
    """How many leading numbers stay the same: up to the first that is not 0, of those that are written."""
    for index, number in enumerate(numbers):
        if number:
            return index + 1
    return len(numbers)


def _next(numbers: tuple[int, ...], keep: int, *, release: bool = False) -> Version:
    """The first version (pre-releases included, unless `release`) in which one of the first `keep` numbers grew."""
    kept = [*numbers[: keep - 1], numbers[keep - 1] + 1]
    return _version(kept, () if release else ("0",))


def _floor(version: Version) -> Version:
    return _version(version.numbers, ("0",))


def _all_hold(comparators: tuple[Comparator, ...], version: Version) -> bool:
    if not all(_holds(operator, version, bound) for operator, bound in comparators):
        return False
    if not version.pre:
        return True
    return any(bound.pre and bound.numbers == version.numbers for _, bound in comparators)


def _holds(operator: str, version: Version, bound: Version) -> bool:
    match operator:
        case ">=":
            return version >= bound
        case ">":
            return version > bound
        case "<=":
            return version <= bound
        case "<":
            return version < bound
    return version == bound


def _printable(text: str) -> str:
    text = "".join(one if one.isprintable() else "?" for one in text)
    return text if len(text) <= 60 else text[:57] + "..."
