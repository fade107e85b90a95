"""The table of a run: each figure with its peers' and the ratio to them, what is asked of it, and how it was before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.benchmarks.figures import OURS, Figure, number

Key = tuple[str, str]


def rows(figures: Iterable[Figure], before: Iterable[Figure] = ()) -> list[list[str]]:
    """Name, median, spread, n, peers with the ratio to each, asked, verdict, change since `before`.

    A peer's figure stands beside ours of the same name; one that only a peer has, has a row of its own.
    """
    found = list(figures)
    earlier = {_key(one): one for one in before}
    named: dict[str, list[Figure]] = {}
    for one in found:
        named.setdefault(one.name, []).append(one)
    return [row for group in named.values() for row in _group(group, earlier)]


def text(table: Sequence[Sequence[str]], titles: Sequence[str]) -> str:
    """Columns as wide as they need to be; the first to the left, the others to the right."""
    whole = [list(titles), *map(list, table)]
    widths = [max(len(row[index]) for row in whole) for index in range(len(titles))]
    lines = []
    for row in whole:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def markdown(table: Sequence[Sequence[str]], titles: Sequence[str]) -> str:
    """The same for the README."""
    head = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in table)]) + "\n"


TITLES = ("", "median", "spread", "n", "peers", "asked", "verdict", "before")


def _group(group: Sequence[Figure], earlier: dict[Key, Figure]) -> list[list[str]]:
    ours = next((one for one in group if one.of == OURS), None)
    if ours is None:
        return [_row(one, f"{one.name} ({one.of})", (), earlier) for one in group]
    return [_row(ours, ours.name, [one for one in group if one is not ours], earlier)]


def _row(one: Figure, name: str, peers: Sequence[Figure], earlier: dict[Key, Figure]) -> list[str]:
    low, high = one.spread
    many = len(one.values) > 1
    return [
        name,
        f"{number(one.median)} {one.unit}".strip(),
        f"{number(low)} to {number(high)}" if many else "",
        str(len(one.values)),
        "; ".join(_beside(one, peer) for peer in peers),
        _asked(one),
        one.verdict,
        _change(one, earlier.get(_key(one))),
    ]


def _beside(one: Figure, peer: Figure) -> str:
    ratio = f", {number(one.median / peer.median)}x" if peer.median else ""
    return f"{peer.of} {number(peer.median)}{ratio}"


def _asked(one: Figure) -> str:
    if one.at_least is None:
        return ""
    return f"{number(one.at_least)} / {number(one.aim)}" if one.aim is not None else number(one.at_least)


def _change(one: Figure, before: Figure | None) -> str:
    """ "12.3 (-8 %)"; a change that is within the spread of both is no change."""
    if before is None:
        return ""
    if not before.median:
        return number(before.median)
    percent = 100 * (one.median / before.median - 1)
    within = one.spread[0] <= before.median <= one.spread[1] or before.spread[0] <= one.median <= before.spread[1]
    return f"{number(before.median)} ({'about the same' if within else f'{percent:+.0f} %'})"


def _key(one: Figure) -> Key:
    return one.name, one.of
