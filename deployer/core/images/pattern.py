"""Patterns for tags: `main-*-{number}`. No regular expressions, so there is none that takes for ever.

`*` stands for any characters, `{number}` for a whole run of digits (never a part of one). Tags are ordered by their
numbers, from left to right: whatever builds them must write one that grows, such as a build's number or a time.
Matching takes at most (length of the pattern) x (length of the tag) steps.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

NUMBER = "{number}"
LONGEST = 128
_PARTS = re.compile(r"\*+|\{number\}|[A-Za-z0-9_.-]")
_DIGITS = frozenset("0123456789")


class BadPattern(ValueError):
    """The text says what is wrong, `offset` where."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Pattern:
    """`parts`: single characters, `*` and `{number}`."""

    parts: tuple[str, ...]

    def numbers(self, tag: str) -> tuple[int, ...] | None:
        """The numbers of a tag that matches; None for one that does not."""
        return _match(self.parts, tag)


def parse_pattern(text: str) -> Pattern:
    """Raises BadPattern."""
    if len(text) > LONGEST:
        raise BadPattern(f"the pattern has {len(text)} characters; at most {LONGEST} are read", 0)
    parts, at = [], 0
    while at < len(text):
        found = _PARTS.match(text, at)
        if found is None:
            raise BadPattern("a pattern is made of a tag's characters, * and {number}", at)
        parts.append("*" if found[0].startswith("*") else found[0])
        at = found.end()
    if NUMBER not in parts:
        raise BadPattern("the pattern lacks {number}: a registry does not say which tag is the newest", 0)
    for left, right in itertools.pairwise(parts):
        if left == NUMBER and right == NUMBER:
            raise BadPattern("two {number} need something between them", 0)
    return Pattern(tuple(parts))


def _match(parts: tuple[str, ...], tag: str) -> tuple[int, ...] | None:
    """The classic walk: after a mismatch only the last `*` takes one character more."""
    at = index = 0
    numbers: list[int] = []
    star, star_at, star_numbers = -1, 0, 0
    while True:
        end = _step(parts, index, tag, at)
        if end < 0:
            if star < 0 or star_at >= len(tag):
                return None
            star_at += 1
            index, at = star + 1, star_at
            del numbers[star_numbers:]
        elif index == len(parts):
            return tuple(numbers)
        else:
            if parts[index] == "*":
                star, star_at, star_numbers = index, at, len(numbers)
            elif parts[index] == NUMBER:
                numbers.append(int(tag[at:end]))
            index, at = index + 1, end


def _step(parts: tuple[str, ...], index: int, tag: str, at: int) -> int:
    """Where the part that begins at `at` ends; -1 when it does not begin there."""
    if index == len(parts):
        return at if at == len(tag) else -1
    part = parts[index]
    if part == "*":
        return at
    if part == NUMBER:
        end = at
        while end < len(tag) and tag[end] in _DIGITS:
            end += 1
        return end if end > at and (at == 0 or tag[at - 1] not in _DIGITS) else -1
    return at + 1 if tag[at : at + 1] == part else -1
