"""Figures that a benchmark measured: said at once, and written where `manage.py benchmark` collects them.

    show("deploy 3", took, "s", at_least=1.2)          # ours
    show("deploy 3", took, "s", of="Docker Swarm")     # a peer's, in the same run: the table gives the ratio

A script that is run by itself prints its figures as they come; nothing else is needed to repeat one.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OURS = "Pierhead"
COLLECTED = "BENCHMARK_FIGURES"
"""The environment variable that names the file of the run, one JSON object a line. Not one of Pierhead's own settings:
the tests' surroundings take those away, and benchmarks on real hosts live in them."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`values`: one for each time that it was measured, in `unit`. `at_least` and `aim`: what the project asks of the
    median; `more`: the larger the better. `of`: whose it is, ours or a peer's."""

    name: str
    unit: str
    values: tuple[float, ...]
    of: str = OURS
    at_least: float | None = None
    aim: float | None = None
    more: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.values), max(self.values)

    @property
    def verdict(self) -> str:
        """ "aim", "met", "missed"; "" when nothing is asked."""
        if self.at_least is None:
            return ""
        if self.aim is not None and self._reaches(self.aim):
            return "aim"
        return "met" if self._reaches(self.at_least) else "missed"

    def _reaches(self, bar: float) -> bool:
        return self.median >= bar if self.more else self.median <= bar


def show(
    name: str,
    values: float | Iterable[float],
    unit: str,
    *,
    of: str = OURS,
    at_least: float | None = None,
    aim: float | None = None,
    more: bool = False,
) -> Figure:
    """Print it, and keep it for whoever collects. Raises ValueError for a figure that was never measured."""
    found = (float(values),) if isinstance(values, int | float) else tuple(map(float, values))
    if not found:
        raise ValueError(f"{name}: nothing was measured")
    figure = Figure(name, unit, found, of, at_least, aim, more)
    print(line(figure), flush=True)
    if collected := os.environ.get(COLLECTED):
        with Path(collected).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(figure)) + "\n")
    return figure


def line(figure: Figure) -> str:
    low, high = figure.spread
    asked = "" if figure.at_least is None else f"  at least {number(figure.at_least)}"
    asked += "" if figure.aim is None else f", aim {number(figure.aim)}"
    whose = "" if figure.of == OURS else f" ({figure.of})"
    values = f"{number(figure.median):>10} {figure.unit:<10}"
    spread = f" {number(low)} to {number(high)}, n={len(figure.values)}" if len(figure.values) > 1 else ""
    return f"{figure.name + whose:<64}{values}{spread}{asked}"


def number(value: float) -> str:
    """Three digits that count: 0.0123, 1.23, 12.3, 1,230."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3g}"


def load(path: Path) -> list[Figure]:
    """What `show` wrote. A line that was cut off by a kill is left out."""
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(read(json.loads(text)))
        except (ValueError, TypeError, KeyError):
            continue
    return found


def read(kept: Mapping[str, Any]) -> Figure:
    return Figure(**{**kept, "values": tuple(kept["values"])})
