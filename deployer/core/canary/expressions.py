"""Conditions of an AnalysisTemplate's metrics, as Argo Rollouts writes them: a part of the language expr.

    result[0] >= 0.95     default(result, 0) < 5     all(result, # < 0.5)     len(result) == 0 || isNaN(result[0])

`result` is what the provider answered: a number, a list of numbers, or whatever JSON holds. A condition is read once
into a tree; what is not known is refused with its column. Evaluating is bounded in steps, touches nothing but its
argument, and calls nothing but the functions named here. What cannot be evaluated (an index that is not there, text
against a number) is an ExpressionError, which makes the measurement an error, as in Argo.

    or, || < and, && < not, ! < == != < <= > >= in, not in < .. < + - < * / % < unary - < ** < x.y x[i] f(x)

A comparison with NaN is false. Integers and floats mix; `7 / 2` is 3.5. `in` takes a list, a range or the keys of an
object. `#` is the element in a predicate of all, any, none, one, count and filter; `.name` its member.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from deployer.core.canary.expression_values import FUNCTIONS, PREDICATES, ExpressionError, Steps, binary, member, unary

MOST_CHARACTERS, DEEPEST = 2_000, 50
KNOWN = (
    "known are result, numbers, text, true, false, nil, [..], comparisons, arithmetic, in, .., and, or, not, "
    f"{', '.join(sorted({*FUNCTIONS, *PREDICATES}))}"
)

Scope = tuple[Any, Any, Steps]
"""The result, the element of the innermost predicate, and what is left of the steps."""
Node = Callable[[Scope], Any]

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>\d+(?:_\d+)*(?:\.(?!\.)\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<name>[A-Za-z_$][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|\.\.|&&|\|\||==|!=|<=|>=|[-+*/%<>!()\[\]{}.,?:#])"
)
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||", "or"), ("&&", "and"), ("==", "!=", "<", "<=", ">", ">=", "in", "not"), ("..",), ("+", "-"), ("*", "/", "%"),
)  # fmt: skip
_SAME = {"or": "||", "and": "&&", "!": "not"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}


def check(text: str) -> None:
    """For manifests: an ExpressionError with its column where the condition is not understood."""
    _parsed(text)


def evaluate(text: str, result: Any) -> bool:
    """Whether the condition holds. An ExpressionError when it is not understood, fails, or gives no true or false."""
    steps = Steps()
    try:
        found = _parsed(text)((result, None, steps))
    except RecursionError as error:
        raise ExpressionError("nested too deeply") from error
    if not isinstance(found, bool):
        raise ExpressionError(f"the condition is {kind(found)}, expected true or false: {text}")
    return found


def kind(value: Any) -> str:
    return "nil" if value is None else f"a {type(value).__name__}"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


@lru_cache(maxsize=256)
def _parsed(text: str) -> Node:
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError(f"longer than {MOST_CHARACTERS} characters", MOST_CHARACTERS + 1)
    return _Parser(text).whole()


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"{text[at]!r} is not understood; {KNOWN}", at + 1)
        if match.lastgroup != "space":
            found.append(_Token(str(match.lastgroup), match[0], at + 1))
        at = match.end()
    return [*found, _Token("end", "the end", len(text) + 1)]


class _Parser:
    """By descent, an operator's level at a time. Each rule gives a function of the scope."""

    def __init__(self, text: str) -> None:
        self.tokens, self.at, self.depth, self.predicates = _tokens(text), 0, 0, 0

    def whole(self) -> Node:
        tree = self._ternary()
        if self._token.kind != "end":
            raise self._unexpected()
        return tree

    @property
    def _token(self) -> _Token:
        return self.tokens[self.at]

    def _is(self, *texts: str) -> bool:
        return self._token.kind in ("sign", "name") and self._token.text in texts

    def _take(self, *texts: str) -> _Token | None:
        if not self._is(*texts):
            return None
        self.at += 1
        return self.tokens[self.at - 1]

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise ExpressionError(f"expected {text!r}, found {self._token.text!r}", self._token.column)

    def _unexpected(self) -> ExpressionError:
        return ExpressionError(f"{self._token.text!r} is not expected here; {KNOWN}", self._token.column)

    def _ternary(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ExpressionError(f"nested more than {DEEPEST} deep", self._token.column)
        condition = self._level(0)
        if mark := self._take("?"):
            condition = self._chosen(condition, mark)
        self.depth -= 1
        return condition

    def _chosen(self, condition: Node, mark: _Token) -> Node:
        yes = self._ternary()
        self._expect(":")
        no = self._ternary()
        return lambda scope: (yes if truth(condition(scope), mark.column) else no)(scope)

    def _level(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._level(level + 1)
        while sign := self._take(*_LEVELS[level]):
            operator = _SAME.get(sign.text, sign.text)
            if operator == "not":
                self._expect("in")
                operator = "not in"
            left = _joined(operator, left, self._level(level + 1), sign.column)
        return left

    def _unary(self) -> Node:
        if not (sign := self._take("-", "+", "!", "not")):
            return self._power()
        self.depth += 1
        if self.depth > DEEPEST:
            raise ExpressionError(f"nested more than {DEEPEST} deep", sign.column)
        # `not x in y` and `!a == b`: not binds looser than a comparison in words, tighter as a sign
        inner = self._level(2) if sign.text == "not" else self._unary()
        self.depth -= 1
        operator, column = _SAME.get(sign.text, sign.text), sign.column
        return lambda scope: unary(operator, scope[2].taken(inner(scope), column), column)

    def _power(self) -> Node:
        base = self._postfix(self._primary())
        return _joined("**", base, self._unary(), sign.column) if (sign := self._take("**")) else base

    def _postfix(self, value: Node) -> Node:
        while sign := self._take("[", "."):
            value = self._indexed(value, sign) if sign.text == "[" else _member(value, self._name(), sign.column)
        return value

    def _indexed(self, value: Node, sign: _Token) -> Node:
        index = self._ternary()
        self._expect("]")
        return lambda scope: member(scope[2].taken(value(scope), sign.column), index(scope), sign.column)

    def _name(self) -> str:
        if self._token.kind != "name":
            raise self._unexpected()
        self.at += 1
        return self.tokens[self.at - 1].text

    def _primary(self) -> Node:
        token = self._token
        self.at += 1
        if token.kind == "number":
            return _constant(_number(token))
        if token.kind == "text":
            return _constant(re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), token.text[1:-1]))
        if token.kind == "name":
            return self._named(token)
        if token.text == "(":
            inner = self._ternary()
            self._expect(")")
            return inner
        if token.text == "[":
            return self._list()
        if token.text in ("#", ".") and self.predicates:
            return self._element(token)
        self.at -= 1
        raise self._unexpected()

    def _element(self, token: _Token) -> Node:
        if token.text == ".":
            return _member(_of_element, self._name(), token.column)
        return _of_element

    def _list(self) -> Node:
        items: list[Node] = []
        while not self._take("]"):
            items.append(self._ternary())
            if not self._is("]"):
                self._expect(",")
        return lambda scope: [item(scope) for item in items]

    def _named(self, token: _Token) -> Node:
        constants = {"true": True, "false": False, "nil": None}
        if token.text in constants:
            return _constant(constants[token.text])
        if token.text == "result":
            return lambda scope: scope[0]
        if token.text in PREDICATES:
            return self._predicate(token)
        if token.text in FUNCTIONS:
            return self._call(token)
        raise ExpressionError(f"{token.text!r} is not known; {KNOWN}", token.column)

    def _call(self, token: _Token) -> Node:
        arguments = self._arguments()
        least, most, function = FUNCTIONS[token.text]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} or more"
            raise ExpressionError(f"{token.text} takes {wanted} arguments, not {len(arguments)}", token.column)
        return lambda scope: function([one(scope) for one in arguments], scope[2].at(token.column))

    def _arguments(self) -> list[Node]:
        self._expect("(")
        found: list[Node] = []
        while not self._take(")"):
            found.append(self._ternary())
            if not self._is(")"):
                self._expect(",")
        return found

    def _predicate(self, token: _Token) -> Node:
        """`all(result, # < 1)` and `all(result, {# < 1})`."""
        self._expect("(")
        items = self._ternary()
        self._expect(",")
        braced, self.predicates = self._take("{"), self.predicates + 1
        inner = self._ternary()
        self.predicates -= 1
        if braced:
            self._expect("}")
        self._expect(")")
        counted, column = PREDICATES[token.text], token.column

        def found(scope: Scope) -> Any:
            result, _, steps = scope
            return counted(items(scope), lambda one: truth(inner((result, one, steps)), column), steps.at(column))

        return found


def truth(value: Any, column: int) -> bool:
    if not isinstance(value, bool):
        raise ExpressionError(f"{kind(value)} is neither true nor false", column)
    return value


def _joined(operator: str, left: Node, right: Node, column: int) -> Node:
    if operator == "&&":
        return lambda scope: truth(left(scope), column) and truth(right(scope), column)
    if operator == "||":
        return lambda scope: truth(left(scope), column) or truth(right(scope), column)
    return lambda scope: binary(operator, left(scope), right(scope), scope[2].at(column))


def _member(value: Node, name: str, column: int) -> Node:
    return lambda scope: member(scope[2].taken(value(scope), column), name, column)


def _constant(value: Any) -> Node:
    return lambda _: value


def _of_element(scope: Scope) -> Any:
    return scope[1]


def _number(token: _Token) -> int | float:
    text = token.text.replace("_", "")
    return int(text) if text.isdigit() and len(text) < 19 else float(text)
