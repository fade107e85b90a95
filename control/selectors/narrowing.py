"""Lists that are narrowed by words and by values, counted for every value, and cut into pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from control.selectors.words import sentence

T = TypeVar("T")
PAGE = 50
Values = Mapping[str, Callable[[T], str]]
"""Name of a filter -> what a line has there."""


@dataclass(frozen=True, slots=True)
class Facet:
    """One value of a filter, and how many lines it would leave, the other filters held."""

    value: str
    word: str
    count: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Narrowed(Generic[T]):
    """One page: `found` of `total` are asked for, `lines` are those of page `number`."""

    lines: tuple[T, ...]
    found: int
    total: int
    number: int
    pages: int
    facets: Mapping[str, tuple[Facet, ...]]


def narrow(
    lines: Sequence[T], asked: Mapping[str, str], values: Values[T], searched: Callable[[T], str], number: int
) -> Narrowed[T]:
    """`asked`: filter -> value, and "words" -> what has to stand in `searched`; "" stands for all."""
    words = asked.get("words", "").lower().split()
    worded = [line for line in lines if _has(searched(line), words)] if words else lines
    found = _admitted(worded, asked, values)
    cut, number, pages = page_of(found, number)
    facets = {name: tuple(_facets(name, worded, asked, values)) for name in values}
    return Narrowed(tuple(cut), len(found), len(lines), number, pages, facets)


def page_of(lines: Sequence[T], number: int, size: int = PAGE) -> tuple[Sequence[T], int, int]:
    """The lines of a page, its number (the nearest that there is), and how many pages there are."""
    pages = max(-(-len(lines) // size), 1)
    number = min(max(number, 1), pages)
    return lines[(number - 1) * size : number * size], number, pages


def facets_of(counts: Mapping[str, int], chosen: str) -> tuple[Facet, ...]:
    """By value; the one that is chosen is there, with 0 too, so that it can be taken away."""
    whole = {**({chosen: 0} if chosen else {}), **counts}
    return tuple(Facet(one, sentence(one), count, one == chosen) for one, count in sorted(whole.items()) if one)


def _has(text: str, words: Iterable[str]) -> bool:
    lower = text.lower()
    return all(word in lower for word in words)


def _admitted(lines: Sequence[T], asked: Mapping[str, str], values: Values[T], besides: str = "") -> Sequence[T]:
    """Filter by filter: most lists are long, and most filters not used."""
    for name, value in values.items():
        if name != besides and asked.get(name):
            lines = [line for line in lines if value(line) == asked[name]]
    return lines


def _facets(name: str, lines: Sequence[T], asked: Mapping[str, str], values: Values[T]) -> tuple[Facet, ...]:
    counts = Counter(map(values[name], _admitted(lines, asked, values, besides=name)))
    return facets_of(counts, asked.get(name, ""))
