"""What commands print: tables like kubectl's, ages, YAML and JSON; and durations as people type them.

Text from the outside (messages, log lines, commit messages) passes `clean` or `plain` first: it may hold control
characters, with which a container could write over what a terminal shows.
"""

from __future__ import annotations

import argparse
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

GAP = "   "
NOTHING = "<none>"
_DURATION = re.compile(
    r"(?:(?P<hours>\d{1,6})h)?(?:(?P<minutes>\d{1,6})m)?(?:(?P<seconds>\d{1,9}(?:\.\d+)?)s?)?", re.ASCII
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\)|[ -/]*[0-~])", re.DOTALL)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
LONGEST_DURATION_SECONDS = 366 * 86400.0


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, heading: bool = True) -> str:
    """Left-aligned columns, three blanks apart, no blanks at the end of a line. Empty cells are `<none>`."""
    cells = [[clean(str(cell)) or NOTHING for cell in row] for row in rows]
    lines = [list(header), *cells] if heading else cells
    widths = [max((_width(line[column]) for line in lines), default=0) for column in range(len(header))]
    return "".join(_line(line, widths) for line in lines)


def fields(rows: Iterable[tuple[str, object]], indent: int = 0) -> str:
    """`Name:   value` lines, values aligned; a value of several lines continues under itself."""
    given = [(f"{name}:" if name else "", str(value) if value not in ("", None) else NOTHING) for name, value in rows]
    width = max((len(name) for name, _ in given), default=0) + 2
    margin = " " * indent
    made = []
    for name, value in given:
        first, *rest = plain(value).split("\n")
        made.append(f"{margin}{name:<{width}}{first}".rstrip() + "\n")
        made.extend(f"{margin}{'':<{width}}{line}".rstrip() + "\n" for line in rest)
    return "".join(made)


def indented(text: str, indent: int) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in plain(text).splitlines())


def age(seconds: float) -> str:
    """kubectl's human duration (apimachinery `duration.HumanDuration`): 45s, 5m32s, 12m, 3h12m, 2d4h, 41d, 2y30d."""
    whole = int(max(seconds, 0))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 8 * 365 else f"{days // 365}y"


def size(count: int) -> str:
    """Bytes for people: 7.6Gi, 512Mi."""
    for suffix, unit in (("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if count >= unit:
            return f"{count / unit:.1f}".removesuffix(".0") + suffix
    return str(count)


def duration(text: str) -> float:
    """Seconds of `60`, `60s`, `5m`, `1h`, `1h30m`: an argparse type, so that a typing error is wrong usage."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration: write 60, 60s, 5m or 1h")
    hours, minutes, seconds = (float(found[name] or 0) for name in ("hours", "minutes", "seconds"))
    total = hours * 3600 + minutes * 60 + seconds
    if total > LONGEST_DURATION_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than a year")
    return total


def clean(text: str) -> str:
    """One line, without anything that a terminal would obey."""
    return " ".join(plain(text).split())


def plain(text: str, *, colours: bool = False) -> str:
    """Without escapes and control characters but newline and tab; `colours` keeps the escapes that only colour."""
    kept: list[str] = []
    behind = 0
    for found in _ESCAPES.finditer(text):
        kept.append(_printable(text[behind : found.start()]))
        kept.append(found[0] if colours and _COLOUR.fullmatch(found[0]) else "")
        behind = found.end()
    kept.append(_printable(text[behind:]))
    return "".join(kept)


def as_json(value: Any) -> str:
    return json.dumps(value, indent=4, ensure_ascii=False) + "\n"


def as_yaml(value: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=True, allow_unicode=True, default_flow_style=False)
    return text


def _two(first: int, unit: str, second: int, small: str) -> str:
    return f"{first}{unit}{second}{small}" if second else f"{first}{unit}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)]
    return GAP.join(padded).rstrip() + "\n"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cf", "Cs"))
