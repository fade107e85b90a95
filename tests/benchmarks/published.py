"""The figures that README.md shows: kept in measured.json, as a table and a plot.

    python3 manage.py benchmark --publish              measure everything, keep it, and write table and plot
    python3 manage.py benchmark scale --publish        measure this anew and keep the other figures
    .venv/bin/python -m tests.benchmarks.published     write table and plot again from what is kept

The first table has every figure of which something is asked, and every one that has a peer; the second one how cost
grows; the others are in the file.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import OURS, Figure, read
from tests.benchmarks.growth import by_size, series, svg
from tests.benchmarks.table import markdown, rows

HOME = Path(__file__).resolve().parents[2]
KEPT, README, PLOT = Path(__file__).with_name("measured.json"), HOME / "README.md", HOME / "static/screens/growth.svg"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
TITLES = ("", "median", "spread", "n", "peers", "asked: at least / aim", "")


def publish(measured: Mapping[str, Any]) -> None:
    """Keep what was measured, in the place of earlier figures of the same names, and write table and plot.

    `measured`: as `benchmark --json` writes it; a "note" on the machine stands beside its name until the next time.
    """
    before = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {"figures": []}
    figures = merged(map(read, before["figures"]), map(read, measured["figures"]))
    kept = {
        "at": measured["at"], "machine": measured["machine"], "note": measured.get("note", ""),
        "figures": [asdict(one) for one in figures],
    }  # fmt: skip
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    write(kept)


def write(kept: Mapping[str, Any]) -> None:
    README.write_text(filled(README.read_text(encoding="utf-8"), chapter(kept)), encoding="utf-8")
    if lines := series(map(read, kept["figures"])):
        PLOT.write_text(svg(lines), encoding="utf-8")


def merged(before: Iterable[Figure], found: Iterable[Figure]) -> list[Figure]:
    """In the order in which they were first measured."""
    figures = {(one.name, one.of): one for one in before}
    figures.update({(one.name, one.of): one for one in found})
    return list(figures.values())


def chapter(kept: Mapping[str, Any]) -> str:
    machine, day = kept["machine"], datetime.datetime.fromtimestamp(kept["at"], datetime.UTC)
    about = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['versions']}"
    said = f" {kept['note']}" if kept.get("note") else ""
    figures = [read(one) for one in kept["figures"]]
    tables = [markdown(shown, TITLES)] if (shown := table(figures)) else []
    tables += [markdown(sizes[1:], sizes[0])] if (sizes := by_size(figures)) else []
    return "\n".join([f"On {day:%Y-%m-%d}: {about}.{said}\n", *tables])


def table(figures: Iterable[Figure]) -> list[Sequence[str]]:
    found = list(figures)
    beside = {one.name for one in found if one.of != OURS}
    shown = [one for one in found if one.at_least is not None or one.name in beside]
    return [row[: len(TITLES)] for row in rows(shown)]


def filled(text: str, made: str) -> str:
    """Raises ValueError when the text has no place for it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{made.strip()}\n{END}{after}"


if __name__ == "__main__":
    write(json.loads(KEPT.read_text(encoding="utf-8")))
