"""Durations, shares and numbers as people write them in a canary's manifest.

Durations are Go's (`90s`, `10m`, `1h30m`, `1.5h`, `500ms`), where Pierhead reads its own text also in days (`2d`).
Shares are percentages (`1%`), percentage points (`0.2pp`), or plain (`0.01`). Decimal, so that what is printed is what
was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

LONGEST_SECONDS = 30 * 86400.0
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s?(%|pp)?")
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?")


class BadAmount(ValueError):
    """What it must be instead, to follow "must be"."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`most` inclusive; `least` too, unless `above`."""

    least: float
    most: float
    above: bool = False

    def holds(self, value: float) -> bool:
        return (value > self.least if self.above else value >= self.least) and value <= self.most


def duration(text: str, *, days: bool = True) -> float:
    """Seconds.

    >>> duration("1h30m")
    5400.0
    """
    parts = _PART.findall(text)
    is_whole = bool(parts) and "".join(number + unit for number, unit in parts) == text
    if not is_whole or (not days and any(unit == "d" for _, unit in parts)):
        raise BadAmount("a duration such as 90s, 10m or 1h30m")
    total = float(sum(Decimal(number) * _SECONDS[unit] for number, unit in parts))
    if total > LONGEST_SECONDS:
        raise BadAmount("at most 30 days")
    return total


def duration_text(seconds: float) -> str:
    """The shortest that reads back to the same.

    >>> duration_text(5400)
    '1h30m'
    """
    left, text = Decimal(repr(float(seconds))), ""
    for unit in ("d", "h", "m"):
        number, left = divmod(left, _SECONDS[unit])
        text += f"{int(number)}{unit}" if number else ""
    return f"{text}{plain(left)}s" if left or not text else text


def share(text: str) -> float:
    """1 is everything.

    >>> share("0.2pp"), share("5%"), share("0.01")
    (0.002, 0.05, 0.01)
    """
    found = _AMOUNT.fullmatch(text)
    if not found:
        raise BadAmount("a share such as 1%, 0.2pp or 0.01")
    return float(Decimal(found[1]) / (100 if found[2] else 1))


def share_text(value: float, unit: str = "%") -> str:
    return f"{plain(Decimal(repr(float(value))) * 100)}{unit}"


def number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise BadAmount("a number")
    return float(text)


def plain(value: Decimal) -> str:
    """Without an exponent and without zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
