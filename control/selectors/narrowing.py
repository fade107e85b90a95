"""Lists that are narrowed by words and by values, counted for every value, and cut into pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from control.selectors.words import sentence

T = TypeVar("T")
PAGE, PAIRS = 50, 10
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


@dataclass(frozen=True, slots=True)
class Labels(Generic[T]):
    """The filter by labels: `fits` is a selector's test, `pairs` of a line are what it can be narrowed by at once."""

    chosen: str
    fits: Callable[[T], bool]
    pairs: Callable[[T], Iterable[str]]


NOTHING: Narrowed[Any] = Narrowed((), 0, 0, 1, 1, {})
"""What is found while nobody knows what is asked for."""


def narrow(
    lines: Sequence[T], asked: Mapping[str, str], values: Values[T], searched: Callable[[T], str], number: int,
    labels: Labels[T] | None = None,
) -> Narrowed[T]:  # fmt: skip
    """`asked`: filter -> value, and "words" -> what has to stand in `searched`; "" stands for all."""
    words = asked.get("words", "").lower().split()
    worded = [line for line in lines if _has(searched(line), words)] if words else lines
    fitting = [line for line in worded if labels.fits(line)] if labels and labels.chosen else worded
    found = _admitted(fitting, asked, values)
    cut, number, pages = page_of(found, number)
    facets = {name: tuple(_facets(name, fitting, asked, values)) for name in values}
    if labels:
        facets["label"] = _pairs(labels, _admitted(worded, asked, values))
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


def _pairs(labels: Labels[T], lines: Iterable[T]) -> tuple[Facet, ...]:
    """Those that most lines have, and that do not tell one line from all others; any selector may be typed."""
    counts = Counter(pair for line in lines for pair in set(labels.pairs(line)))
    shared = {pair: count for pair, count in counts.most_common(PAIRS) if count > 1}
    if labels.chosen in counts:
        shared[labels.chosen] = counts[labels.chosen]
    return facets_of(shared, labels.chosen if labels.chosen in shared else "")


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
