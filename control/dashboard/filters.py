"""Filters that stand in a page's address: what was asked for, and the addresses that narrow it or widen it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.http import urlencode

from control.selectors.narrowing import Facet
from control.selectors.words import sentence

LONGEST, LONGEST_SELECTOR = 253, 2000
SHOWN = 12
"""Values of a filter. What is chosen is among them: it can be taken away."""


def asked(request: HttpRequest, *names: str) -> dict[str, str]:
    """Name -> what was asked for, "" for all."""
    return {name: sentence(request.GET.get(name, "")[:LONGEST]) for name in names}


def selector(request: HttpRequest) -> str:
    """A label selector; of one that is too long, what cannot be read either."""
    text = request.GET.get("label", "")
    return sentence(text) if len(text) <= LONGEST_SELECTOR else sentence(text[:50]) + "..."


def query(kept: Mapping[str, str], **changes: str) -> str:
    return urlencode({name: value for name, value in {**kept, **changes}.items() if value})


@dataclass(frozen=True, slots=True)
class Filter:
    """`values`: each with the address that chooses it, or takes it away again; `more` are not shown."""

    name: str
    values: tuple[tuple[Facet, str], ...]
    more: int


def links(facets: Mapping[str, Sequence[Facet]], kept: Mapping[str, str]) -> list[Filter]:
    """Without those that would change nothing: of one value that everything has. A label not everything has."""
    telling = {
        name: values
        for name, values in facets.items()
        if len(values) > 1 or any(one.chosen for one in values) or (values and name == "label")
    }
    return [_filter(name, values, kept) for name, values in telling.items()]


def _filter(name: str, values: Sequence[Facet], kept: Mapping[str, str]) -> Filter:
    chosen = [one for one in values[SHOWN:] if one.chosen]
    shown = [*values[: SHOWN - len(chosen)], *chosen]
    addressed = tuple((one, query(kept, **{name: "" if one.chosen else one.value})) for one in shown)
    return Filter(name, addressed, len(values) - len(shown))
