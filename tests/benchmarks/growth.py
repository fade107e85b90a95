"""A plot of how cost grows, as SVG: both axes in powers of ten, so that what grows with its cause rises by 45 degrees.

Readable on a light and on a dark page. Figures are those of the benchmark `scale`, found by their names.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

from tests.benchmarks.figures import Figure, number

Point = tuple[float, float]
"""Pods, and seconds."""
_SIZE = re.compile(r"^([\d,]+) nodes, ([\d,]+) applications, ([\d,]+) pods: (.*)$")
SHOWN = {
    "a pass without change, CPU": "a pass without change (CPU)",
    "5 % of the nodes found dead -> all replacements placed": "5 % of the nodes lost -> all placed",
    "one changed Deployment, poll -> its first Docker call": "a change -> its first Docker call",
    "one router's pass without change, CPU": "one router's pass (CPU)",
    "a round of the heartbeat, CPU": "a round of the heartbeat (CPU)",
}
COLOURS = ("#2563eb", "#dc2626", "#059669", "#b45309", "#7c3aed")
DARK = ("#93c5fd", "#fca5a5", "#6ee7b7", "#fcd34d", "#c4b5fd")
WIDTH, HEIGHT = 860, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 290, 28, 46


def series(figures: Iterable[Figure]) -> dict[str, list[Point]]:
    """What is shown -> its points, by pods."""
    found: dict[str, dict[float, float]] = {}
    for one in figures:
        match = _SIZE.match(one.name)
        if match and match[4] in SHOWN and one.median > 0:
            found.setdefault(SHOWN[match[4]], {})[float(match[3].replace(",", ""))] = one.median
    return {name: sorted(found[name].items()) for name in SHOWN.values() if name in found}


def by_size(figures: Iterable[Figure]) -> list[list[str]]:
    """A table: first the sizes, the smallest first, then what was measured with its median at each; [] without any."""
    found: dict[str, dict[tuple[int, ...], str]] = {}
    for one in figures:
        if match := _SIZE.match(one.name):
            nodes, applications, pods = (int(word.replace(",", "")) for word in match.groups()[:3])
            found.setdefault(match[4], {})[pods, nodes, applications] = f"{number(one.median)} {one.unit}"
    sizes = sorted({size for row in found.values() for size in row})
    heads = [f"{nodes:,} / {applications:,} / {pods:,}" for pods, nodes, applications in sizes]
    rows = [[name, *(row.get(size, "") for size in sizes)] for name, row in found.items()]
    return [["nodes / applications / pods", *heads], *rows] if rows else []


def svg(lines: Mapping[str, Sequence[Point]]) -> str:
    """Raises ValueError when there is nothing to show."""
    points = [point for line in lines.values() for point in line]
    if not points:
        raise ValueError("no figure of the benchmark scale: there is nothing to plot")
    across, up = _decades([x for x, _ in points]), _decades([y for _, y in points])

    def at(x: float, y: float) -> Point:
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(x) - across[0]) / (across[1] - across[0]),
            HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log10(y) - up[0]) / (up[1] - up[0]),
        )

    parts = [_head(len(lines)), *_axes(across, up, at)]
    heights = _apart([at(*line[-1])[1] for line in lines.values()])
    for index, ((name, line), height) in enumerate(zip(lines.items(), heights, strict=True)):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line))
        parts.append(f'<polyline class="l{index}" points="{path}"/>')
        parts += [f'<circle class="d{index}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in (at(*p) for p in line)]
        x = at(*line[-1])[0] + 12
        parts.append(f'<text class="d{index}" x="{x:.1f}" y="{height + 4:.1f}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _head(count: int) -> str:
    light = "".join(f".l{n}{{stroke:{COLOURS[n]}}}.d{n}{{fill:{COLOURS[n]}}}" for n in range(count))
    dark = "".join(f".l{n}{{stroke:{DARK[n]}}}.d{n}{{fill:{DARK[n]}}}" for n in range(count))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Seconds by pods">\n<style>text{{font:13px system-ui,sans-serif;fill:#374151}}'
        f"line{{stroke:#9ca3af;stroke-opacity:.35}}polyline{{fill:none;stroke-width:2}}{light}"
        f"@media(prefers-color-scheme:dark){{text{{fill:#d1d5db}}{dark}}}</style>"
    )


def _axes(across: tuple[int, int], up: tuple[int, int], place: Callable[[float, float], Point]) -> list[str]:
    parts = []
    for power in range(across[0], across[1] + 1):
        x, bottom = place(10.0**power, 10.0 ** up[0])
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom:.1f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 20:.1f}" text-anchor="middle">{10**power:,}</text>')
    for power in range(up[0], up[1] + 1):
        left, y = place(10.0 ** across[0], 10.0**power)
        right = place(10.0 ** across[1], 1)[0]
        parts.append(f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">pods</text>')
    parts.append(f'<text x="{LEFT - 8}" y="{TOP - 12}" text-anchor="end">seconds</text>')
    return parts


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around them, at least one apart: 0.02 to 3 is -2 to 1."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _apart(heights: Sequence[float], least: float = 17) -> list[float]:
    """Moved so far that labels do not lie on each other, in their order: 10, 12 becomes 10, 27."""
    found = list(heights)
    order = sorted(range(len(found)), key=lambda number: (found[number], number))
    for before, after in itertools.pairwise(order):
        found[after] = max(found[after], found[before] + least)
    return found
