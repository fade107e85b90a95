"""Filters that stand in a page's address: what was asked for, and the addresses that narrow it or widen it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.http import HttpRequest
from django.utils.http import urlencode

from control.selectors.narrowing import Facet
from control.selectors.words import sentence

LONGEST = 253
Links = list[tuple[str, list[tuple[Facet, str]]]]


def asked(request: HttpRequest, *names: str) -> dict[str, str]:
    """Name -> what was asked for, "" for all."""
    return {name: sentence(request.GET.get(name, "")[:LONGEST]) for name in names}


def query(kept: Mapping[str, str], **changes: str) -> str:
    return urlencode({name: value for name, value in {**kept, **changes}.items() if value})


def links(facets: Mapping[str, Iterable[Facet]], kept: Mapping[str, str]) -> Links:
    """For each filter its values, with the address that chooses it, or takes it away again."""
    return [
        (name, [(one, query(kept, **{name: "" if one.chosen else one.value})) for one in values])
        for name, values in facets.items()
    ]
