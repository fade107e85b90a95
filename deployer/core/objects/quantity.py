"""Kubernetes quantities: "500m" of CPU, "1Gi" of memory.

Read exactly as `resource.Quantity` reads them (Kubernetes API conventions, "Quantity"): a decimal number with one
suffix, rounded up to the unit that is counted, so that what is promised is never less than what was asked for. Unlike
Kubernetes, which silently caps what does not fit 63 bits, such a number is refused.
"""

from __future__ import annotations

import re
from fractions import Fraction

_QUANTITY = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?"
)
_SUFFIXES = {
    "": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12),
    "P": Fraction(10**15), "E": Fraction(10**18),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30), "Ti": Fraction(2**40),
    "Pi": Fraction(2**50), "Ei": Fraction(2**60),
}  # fmt: skip
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ("k", "M", "G", "T", "P", "E")
_LONGEST = 64
_GREATEST_EXPONENT = 30
_GREATEST = 2**63 - 1


def cpu_millicores(text: str) -> int:
    """Thousandths of a core, rounded up: "0.5" is 500, "1" is 1000, "100u" is 1. ValueError holds a sentence."""
    return _rounded_up(text, Fraction(1000), 'write cores such as "0.5" or "500m"')


def memory_bytes(text: str) -> int:
    """Bytes, rounded up: "1Gi" is 1073741824, "1G" is 1000000000. ValueError holds a sentence."""
    return _rounded_up(text, Fraction(1), 'write bytes such as "512Mi" or "1Gi"')


def format_cpu(millicores: int) -> str:
    """The shortest spelling that reads back as the same number: 500 is "500m", 2000 is "2"."""
    return f"{millicores}m" if millicores % 1000 else str(millicores // 1000)


def format_memory(count: int) -> str:
    """The shortest exact spelling, in powers of 1024 where it can be: 1073741824 is "1Gi", 5000 is "5k"."""
    for base, suffixes in ((1024, _BINARY), (1000, _DECIMAL)):
        power = _whole_powers(count, base)
        if power:
            return f"{count // base**power}{suffixes[power - 1]}"
    return str(count)


def _whole_powers(count: int, base: int) -> int:
    power = 0
    while count and power < 6 and count % base ** (power + 1) == 0:
        power += 1
    return power


def _rounded_up(text: str, units: Fraction, example: str) -> int:
    value = _value(text, example) * units
    if value < 0:
        raise ValueError(f'"{_shown(text)}" is negative: {example}')
    count = -(-value.numerator // value.denominator)
    if count > _GREATEST:
        raise ValueError(f'"{_shown(text)}" is more than can be counted: {example}')
    return count


def _value(text: str, example: str) -> Fraction:
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or not (match["whole"] or match["part"]):
        raise ValueError(f'"{_shown(text)}" is not a quantity: {example}')
    digits = match["whole"] + (match["part"] or "")
    number = Fraction(int(digits), 10 ** len(match["part"] or ""))
    return (-number if match["sign"] == "-" else number) * _factor(match["suffix"] or "", text, example)


def _factor(suffix: str, text: str, example: str) -> Fraction:
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    exponent = int(suffix[1:])
    if abs(exponent) > _GREATEST_EXPONENT:
        raise ValueError(f'"{_shown(text)}" has an exponent beyond {_GREATEST_EXPONENT}: {example}')
    return Fraction(10) ** exponent


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
