"""Blocks of addresses with holes in them: what stands in what, and a list of them for a search by longest match.

A policy may list hundreds of blocks and a router asks about each service port, so nothing here compares every block
with every other: a block is a `Place`, whose first bits are the places around it, and those are looked up by key.
What is no block is no place either: it contains nothing and stands in nothing, so that it opens nothing.
It knows no policies and no pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

Place = tuple[int, int, int]
"""IP version, length of the prefix, the prefix's bits: 10.0.0.0/8 is (4, 8, 10)."""
EVERYWHERE: frozenset[Place] = frozenset({(4, 0, 0), (6, 0, 0)})
_BITS = {4: 32, 6: 128}
_MOST_REMEMBERED = 16384


@dataclass(frozen=True, slots=True)
class Blocks:
    """The places that are open, each with the sets of holes it is named with; `lengths` of all, longest first."""

    wholes: Mapping[Place, frozenset[frozenset[Place]]]
    named: frozenset[Place]
    lengths: tuple[int, ...]

    def is_open(self, place: Place) -> bool:
        """Does it stand in one of the places, and in none of that one's holes?"""
        if not self.wholes:
            return False
        around = [one for one in _around(place, self.lengths) if one in self.named]
        return any(holes.isdisjoint(around) for one in around for holes in self.wholes.get(one, ()))


@lru_cache(maxsize=_MOST_REMEMBERED)
def place(text: str) -> Place | None:
    """Of an address or a block, whose last bits do not matter: "10.0.0.5/8" is 10.0.0.0/8."""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    return found.version, found.prefixlen, int(found.network_address) >> (found.max_prefixlen - found.prefixlen)


def blocks(found: Iterable[tuple[Place, frozenset[Place]]]) -> Blocks:
    wholes: dict[Place, set[frozenset[Place]]] = {}
    for whole, holes in found:
        wholes.setdefault(whole, set()).add(holes)
    named = frozenset(wholes).union(*(holes for them in wholes.values() for holes in them))
    return Blocks({one: frozenset(them) for one, them in wholes.items()}, named, _lengths(named))


def within(inner: Place, outer: Place) -> bool:
    version, length, bits = outer
    return version == inner[0] and length <= inner[1] and inner[2] >> (inner[1] - length) == bits


def longest_matches(lists: Iterable[Blocks]) -> dict[str, str]:
    """What is open in all of the lists: block -> "allow" or "deny", the longest one that contains an address counts.

    An address whose longest match among all the blocks named is P stands in exactly the blocks that contain P. So
    deciding P itself decides for all such addresses. Worked example: 10.0.0.0/8 except 10.1.0.0/16, and 10.1.2.0/24:
    /8 allow, /16 deny, /24 allow. A block that says what the one around it says is left out.
    """
    different = {(frozenset(one.wholes.items())): one for one in lists}.values()
    named = frozenset().union(*(one.named for one in different))
    lengths = _lengths(named)
    entries: dict[Place, bool] = {}
    for one in sorted(named):
        is_open = all(found.is_open(one) for found in different)
        if is_open != next((entries[outer] for outer in _around(one, lengths) if outer in entries), False):
            entries[one] = is_open
    return {_text(one): "allow" if is_open else "deny" for one, is_open in entries.items()}


def _around(inner: Place, lengths: tuple[int, ...]) -> Iterator[Place]:
    """The places of these lengths that contain it, itself among them, the longest first."""
    version, own, bits = inner
    for length in lengths:
        if length <= own:
            yield version, length, bits >> (own - length)


def _lengths(named: Iterable[Place]) -> tuple[int, ...]:
    return tuple(sorted({length for _, length, _ in named}, reverse=True))


def _text(one: Place) -> str:
    version, length, bits = one
    first = bits << (_BITS[version] - length)
    return str(IPv4Network((first, length)) if version == 4 else IPv6Network((first, length)))
