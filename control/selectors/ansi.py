"""Log lines with terminal colours, as pieces of harmless text with a class each.

    "\\x1b[31mERROR\\x1b[0m at noon" -> [("red", "ERROR"), ("", " at noon")]

Only what colours and weights text is understood (SGR); every other escape is dropped, and so are control and invisible
characters, with which a log could show something else than it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from control.selectors.words import plain

Pieces = list[tuple[str, str]]
LONGEST = 8000
"""Characters of a line that are shown."""
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_SGR = re.compile(r"\x1b\[([0-9;]*)m")


def pieces(line: str) -> Pieces:
    """One line, without its end."""
    found: Pieces = []
    style, position = "", 0
    cut = line[:LONGEST]
    for escape in _SGR.finditer(cut):
        _add(found, style, cut[position : escape.start()])
        style, position = _after(style, escape[1]), escape.end()
    _add(found, style, cut[position:])
    if len(line) > LONGEST:
        found.append(("cut", f" … {len(line) - LONGEST} more characters"))
    return found or [("", "")]


def _add(found: Pieces, style: str, text: str) -> None:
    if shown := plain(text).replace("\n", ""):
        found.append((style, shown))


def _after(style: str, codes: str) -> str:
    """The classes that hold after an escape: a colour and "bold", in any order."""
    held = set(style.split())
    numbers = iter(int(code or 0) for code in codes[:60].split(";"))
    for code in numbers:
        if code in (38, 48):
            _skip(numbers)
        else:
            held = _with(held, code)
    return " ".join(sorted(held))


def _with(held: set[str], code: int) -> set[str]:
    if code == 0:
        return set()
    if code in (1, 22):
        return held - {"bold"} | ({"bold"} if code == 1 else set())
    if 30 <= code <= 37 or 90 <= code <= 97:
        return held - set(_COLOURS) | {_COLOURS[code % 10]}
    return held - set(_COLOURS) if code == 39 else held


def _skip(numbers: Iterable[int]) -> None:
    """The rest of a colour of 256, or of 16 million: it is not shown."""
    given = iter(numbers)
    for _ in range({5: 1, 2: 3}.get(next(given, 0), 0)):
        next(given, 0)
