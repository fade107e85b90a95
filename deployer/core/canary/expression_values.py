"""What conditions compute with: the operators and functions of `expressions.py`, on JSON's values and nothing else."""

from __future__ import annotations

import math
import operator as arithmetic
from collections.abc import Callable, Sequence
from typing import Any

MOST_STEPS = 100_000
Predicate = Callable[[Any], bool]


class ExpressionError(Exception):
    """A condition that is not understood, or cannot be evaluated. `column` counts from 1; 0 when it has none."""

    def __init__(self, message: str, column: int = 0) -> None:
        super().__init__(f"column {column}: {message}" if column else message)
        self.column, self.message = column, message


class Steps:
    """What is left until a condition has taken too long. `column` is where it is, for errors."""

    def __init__(self) -> None:
        self.left, self.column = MOST_STEPS, 0

    def at(self, column: int) -> Steps:
        self.left, self.column = self.left - 1, column
        if self.left < 0:
            raise ExpressionError(f"more than {MOST_STEPS} steps", column)
        return self

    def taken(self, value: Any, column: int) -> Any:
        self.at(column)
        return value

    def error(self, message: str) -> ExpressionError:
        return ExpressionError(message, self.column)


def shown(value: Any) -> str:
    text = "nil" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def unary(operator: str, value: Any, column: int) -> Any:
    if operator == "not":
        if not isinstance(value, bool):
            raise ExpressionError(f"not {shown(value)}: neither true nor false", column)
        return not value
    if not _is_number(value):
        raise ExpressionError(f"{operator}{shown(value)}: not a number", column)
    return -value if operator == "-" else value


def binary(operator: str, left: Any, right: Any, steps: Steps) -> Any:
    if operator in ("==", "!="):
        return _is_equal(left, right) is (operator == "==")
    if operator in ("in", "not in"):
        return _is_in(left, right, steps) is (operator == "in")
    if operator == ".." and _is_whole(left) and _is_whole(right):
        return range(left, right + 1)
    comparable = _is_number(left) and _is_number(right)
    if operator in _COMPARISONS and (comparable or (isinstance(left, str) and isinstance(right, str))):
        return _COMPARISONS[operator](left, right)
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        return left + right
    if operator not in _ARITHMETIC or not comparable:
        raise steps.error(f"{shown(left)} {operator} {shown(right)}: not for these types")
    return _computed(operator, left, right, steps)


def member(value: Any, key: Any, column: int) -> Any:
    """An element of a list, from its end with a negative index; of an object the value of a key, nil without it."""
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key)
    if isinstance(value, list | tuple | range) and _is_whole(key):
        if -len(value) <= key < len(value):
            return value[key]
        raise ExpressionError(f"index {key} of a list of {len(value)}" + ("; no data" if not value else ""), column)
    raise ExpressionError(f"{shown(value)} has no member {shown(key)}", column)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": arithmetic.lt, "<=": arithmetic.le, ">": arithmetic.gt, ">=": arithmetic.ge,
}  # fmt: skip
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": arithmetic.add, "-": arithmetic.sub, "*": arithmetic.mul,
    "/": arithmetic.truediv, "%": math.fmod, "**": lambda left, right: float(left) ** float(right),
}  # fmt: skip


def _computed(operator: str, left: Any, right: Any, steps: Steps) -> Any:
    """A division by zero is infinite or NaN, as in Go's floats. Whole numbers become floats where they are large."""
    if operator == "/" and not right:
        return math.nan if not left or math.isnan(left) else math.copysign(math.inf, left)
    try:
        found = _ARITHMETIC[operator](left, right)
    except (ValueError, OverflowError, ZeroDivisionError):
        raise steps.error(f"{shown(left)} {operator} {shown(right)} is no number") from None
    if isinstance(found, complex):
        raise steps.error(f"{shown(left)} {operator} {shown(right)} is no number")
    if operator == "%" and _is_whole(left) and _is_whole(right):
        return int(found)
    return float(found) if isinstance(found, int) and abs(found) >= 2**63 else found


def _is_equal(left: Any, right: Any) -> bool:
    if _is_number(left) and _is_number(right):
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)


def _is_in(item: Any, items: Any, steps: Steps) -> bool:
    if isinstance(items, range):
        return _is_whole(item) and item in items
    if isinstance(items, dict):
        return isinstance(item, str) and item in items
    return any(_is_equal(item, steps.taken(one, steps.column)) for one in _list(items, steps))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _list(value: Any, steps: Steps) -> Sequence[Any]:
    if isinstance(value, list | tuple | range):
        return value
    raise steps.error(f"{shown(value)} is not a list")


def _numbers(arguments: Sequence[Any], steps: Steps) -> list[float]:
    """Of `max(1, 2)` and `max([1, 2])` alike."""
    flat = [one for given in arguments for one in (given if isinstance(given, list | tuple | range) else (given,))
            if steps.at(steps.column)]  # fmt: skip
    if not flat or not all(map(_is_number, flat)):
        raise steps.error(f"{shown(flat)}: a list of numbers is needed")
    return flat


def _number(value: Any, steps: Steps) -> float:
    if not _is_number(value):
        raise steps.error(f"{shown(value)} is not a number")
    return float(value)


def _as_float(arguments: list[Any], steps: Steps) -> float:
    try:
        return float(arguments[0]) if isinstance(arguments[0], str) else _number(arguments[0], steps)
    except ValueError:
        raise steps.error(f"{shown(arguments[0])} is not a number") from None


def _as_int(arguments: list[Any], steps: Steps) -> int:
    """Text has to be a whole number; a fraction is cut off."""
    try:
        given = arguments[0]
        return int(given) if isinstance(given, str) else math.trunc(_number(given, steps))
    except (ValueError, OverflowError):
        raise steps.error(f"{shown(arguments[0])} is not a whole number") from None


def _length(arguments: list[Any], steps: Steps) -> int:
    if isinstance(arguments[0], list | tuple | range | dict | str):
        return len(arguments[0])
    raise steps.error(f"{shown(arguments[0])} has no length")


FUNCTIONS: dict[str, tuple[int, int, Callable[[list[Any], Steps], Any]]] = {
    "abs": (1, 1, lambda given, steps: abs(_number(given[0], steps))),
    "asFloat": (1, 1, _as_float),
    "asInt": (1, 1, _as_int),
    "default": (2, 2, lambda given, _: given[1] if given[0] is None else given[0]),
    "float": (1, 1, _as_float),
    "int": (1, 1, _as_int),
    "isInf": (1, 1, lambda given, steps: math.isinf(_number(given[0], steps))),
    "isNaN": (1, 1, lambda given, steps: math.isnan(_number(given[0], steps))),
    "isNil": (1, 1, lambda given, _: given[0] is None),
    "len": (1, 1, _length),
    "max": (1, 100, lambda given, steps: max(_numbers(given, steps))),
    "mean": (1, 100, lambda given, steps: math.fsum(found := _numbers(given, steps)) / len(found)),
    "min": (1, 100, lambda given, steps: min(_numbers(given, steps))),
    "sum": (1, 100, lambda given, steps: math.fsum(_numbers(given, steps))),
}
PREDICATES: dict[str, Callable[[Any, Predicate, Steps], Any]] = {
    "all": lambda items, holds, steps: all(holds(steps.taken(one, steps.column)) for one in _list(items, steps)),
    "any": lambda items, holds, steps: any(holds(steps.taken(one, steps.column)) for one in _list(items, steps)),
    "none": lambda items, holds, steps: not any(holds(steps.taken(one, steps.column)) for one in _list(items, steps)),
    "one": lambda items, holds, steps: len(_filtered(items, holds, steps)) == 1,
    "count": lambda items, holds, steps: len(_filtered(items, holds, steps)),
    "filter": lambda items, holds, steps: _filtered(items, holds, steps),
}


def _filtered(items: Any, holds: Predicate, steps: Steps) -> list[Any]:
    return [one for one in _list(items, steps) if holds(steps.taken(one, steps.column))]
