"""Conditions as Argo's templates have them: what they give, what is refused where, and that none runs for ever."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.canary.expression_values import ExpressionError
from deployer.core.canary.expressions import MOST_CHARACTERS, check, evaluate
from tests.core.canary.looks import UNTIMED

NAN, INFINITE = math.nan, math.inf


@pytest.mark.parametrize(
    ("text", "result", "expected"),
    [
        ("result[0] >= 0.95", [0.95], True),
        ("result[0] >= 0.95", [0.9499], False),
        ("result < 0.05", 0.01, True),
        ("result == true", True, True),
        ("result == 'It worked!'", "It worked!", True),
        ('result == "a\\"b\\n"', 'a"b\n', True),
        ("all(result, # < 0.5)", [0.1, 0.4], True),
        ("all(result, {# < 0.5})", [0.1, 0.6], False),
        ("all(result, # < 0.5)", [], True),
        ("any(result, # > 1)", [0, 2], True),
        ("any(result, {# > 1})", [0, 1], False),
        ("none(result, # > 1)", [0, 1], True),
        ("one(result, # > 1)", [0, 2, 3], False),
        ("count(result, # > 1) == 2", [0, 2, 3], True),
        ("len(filter(result, # > 1)) == 2", [0, 2, 3], True),
        ("len(result) == 0 || isNaN(result[0])", [], True),
        ("len(result) == 0 or isNaN(result[0])", [NAN], True),
        ("len(result) > 0 && result[0] >= 0.95", [], False),
        ("default(result, 0) < 0.05", None, True),
        ("default(result, 0) < 0.05", 0.5, False),
        ("isNil(result)", None, True),
        ("isInf(result)", INFINITE, True),
        ("isNaN(result) || result >= 0.95", NAN, True),
        ("result >= 0.95", NAN, False),
        ("result < 0.95", NAN, False),
        ("asFloat(result) > 1.5", "1.6", True),
        ("asInt(result) == 3", "3", True),
        ("asInt(result) == 3", 3.9, True),
        ("all(result.service_apdex.values.values, {asFloat(.value) >= 9900})",
         {"service_apdex": {"values": {"values": [{"value": "9901"}]}}}, True),
        ("len(result[0].Values) >= 5 and all(result[0].Values, {# <= 0.01})", [{"Values": [0.0] * 5}], True),
        ("result.ok && result.successPercent >= 0.90", {"ok": True, "successPercent": 0.95}, True),
        ("result.missing == nil", {}, True),
        ("max(result) < 0.05", [0.01, 0.04], True),
        ("min(result) < 0.05 and sum(result) == 6 and mean(result) == 2", [0, 2, 4], True),
        ("result in 1..3", 3, True),
        ("result not in 1..3", 3, False),
        ("result in [1, 2.0]", 2, True),
        ("'a' in result", {"a": 1}, True),
        ("not (result > 1)", 1, True),
        ("!(result > 1) && !false", 1, True),
        ("not result in [1]", 1, False),
        ("1 + 2 * 3 - 4 / 2 == 5", None, True),
        ("7 % 4 == 3 && 7 / 2 == 3.5 && 2 ** 3 ** 2 == 512 && -2 ** 2 == -4", None, True),
        ("1 < 2 == true", None, True),
        ("true || result.nothing.at.all", {}, True),
        ("result > 1 ? result < 3 : true", 2, True),
        ("result[-1] == 3", [1, 2, 3], True),
        ("1_000 == 1e3 and .5 == 0.5", None, True),
        ("1 == true", None, False),
        ("any(result, any(#, # == 3))", [[1], [3]], True),
        ("1 / result == 1 / 0", 0, True),
    ],
)  # fmt: skip
def test_conditions(text: str, result: Any, expected: bool) -> None:
    check(text)
    assert evaluate(text, result) is expected


@pytest.mark.parametrize(
    ("text", "column", "sentence"),
    [
        ("", 1, "'the end' is not expected here"),
        ("results[0] >= 1", 1, "'results' is not known; known are result,"),
        ("result >= ", 11, "'the end' is not expected here"),
        ("result[0 >= 1", 14, "expected ']', found 'the end'"),
        ("result === 1", 10, "'=' is not understood"),
        ("result @ 1", 8, "'@' is not understood"),
        ("# < 1", 1, "'#' is not expected here"),
        ("all(result)", 11, "expected ',', found ')'"),
        ("all(result, {# < 1)", 19, "expected '}', found ')'"),
        ("isNaN()", 1, "isNaN takes 1 arguments, not 0"),
        ("result.0 == 1", 7, "is not expected here"),
        ("1 < 2)", 6, "')' is not expected here"),
        ("exec('x')", 1, "'exec' is not known"),
        ("result.__class__.x()", 19, "'(' is not expected here"),
        ("result.Name() == 'hi'", 12, "'(' is not expected here"),
        ("'open", 1, "is not understood"),
        ("(" * 60 + "1", 51, "nested more than 50 deep"),
        ("!" * 60 + "true", 50, "nested more than 50 deep"),
        ("1" * (MOST_CHARACTERS + 1), MOST_CHARACTERS + 1, f"longer than {MOST_CHARACTERS} characters"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_column(text: str, column: int, sentence: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        check(text)
    assert refused.value.column == column
    assert sentence in refused.value.message
    assert str(refused.value).startswith(f"column {column}: ")


@pytest.mark.parametrize(
    ("text", "result", "sentence"),
    [
        ("result[0] >= 0.95", [], "column 7: index 0 of a list of 0; no data"),
        ("result < 0.05", None, "column 8: nil < 0.05: not for these types"),
        ("result < 0.05", "x", "'x' < 0.05: not for these types"),
        ("result + 1", 1, "the condition is a int, expected true or false: result + 1"),
        ("1", None, "expected true or false"),
        ("result.a.b == 1", {}, "column 9: nil has no member 'b'"),
        ("all(result, # < 1)", 3, "column 1: 3 is not a list"),
        ("all(result, #)", [1], "neither true nor false"),
        ("asFloat(result) > 1", "x", "'x' is not a number"),
        ("asInt(result) == 1", "1.1", "'1.1' is not a whole number"),
        ("asInt(result) == 1", INFINITE, "not a whole number"),
        ("isNaN(result)", None, "nil is not a number"),
        ("len(result) == 0", 1, "1 has no length"),
        ("!result", 1, "not 1: neither true nor false"),
        ("-result > 1", "x", "-'x': not a number"),
        ("result && true", 1, "neither true nor false"),
        ("1 in result", 1, "1 is not a list"),
        ("max(result) > 1", [], "a list of numbers is needed"),
        ("result % 0 == 1", 1, "is no number"),
        ("10 ** 10 ** 10 > 1", None, "is no number"),
        ("(-8) ** 0.5 > 1", None, "is no number"),
        ("all(1..1000000, # > 0)", None, "more than 100000 steps"),
        ("any(1..1000, any(1..1000, false))", None, "more than 100000 steps"),
        ("sum(1..1000000) > 1", None, "more than 100000 steps"),
        ("result in result", [[1] * 200_000], None),
        ("result[0] in result[1]", [1, [2] * 200_000], "more than 100000 steps"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error(text: str, result: Any, sentence: str | None) -> None:
    check(text)
    if sentence is None:
        assert evaluate(text, result) is False
        return
    with pytest.raises(ExpressionError) as failed:
        evaluate(text, result)
    assert sentence in str(failed.value)


@UNTIMED
@given(st.text(alphabet="result[]().#{},<>=!&|+-*/%?: 019e'\"aln", max_size=60), st.sampled_from([1, [], [0.5], None]))
def test_whatever_is_written_is_answered_or_refused(text: str, result: Any) -> None:
    try:
        assert evaluate(text, result) in (True, False)
    except ExpressionError as error:
        assert 0 <= error.column <= len(text) + 1


@UNTIMED
@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_numbers_compare_as_numbers(left: float, right: float) -> None:
    for sign, expected in (("<", left < right), (">=", left >= right), ("==", left == right), ("!=", left != right)):
        assert evaluate(f"result[0] {sign} result[1]", [left, right]) is expected
