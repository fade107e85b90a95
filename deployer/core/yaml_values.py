"""libyaml's nodes -> dicts, lists and scalars, read as Kubernetes reads them.

The rules for unquoted scalars are those of yaml.v2, through which every manifest goes to Kubernetes: `yes`, `no`,
`on`, `off`, `y`, `n` are booleans, `0644` is octal, `1_000` a number, `12:30` and dates stay text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_DEPTH = 100
MAX_ALIAS_GROWTH = 100_000
MAX_PROBLEMS = 20
"""Of one document: whoever generated a file with more needs to see the first ones only."""

PLAIN = "plain"
CORE = "tag:yaml.org,2002:"
TEXT = CORE + "str"
MERGE = "<<"
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NO_NUMBERS = frozenset({".nan", ".NaN", ".NAN", *(s + w for s in ("", "+", "-") for w in (".inf", ".Inf", ".INF"))})
INTEGER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
FLOAT = re.compile(r"[+-]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 40


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the text itself, in words for the person who wrote it. `line` counts from 1 in the file."""

    line: int
    message: str
    remedy: str


class Refused(Exception):
    """The rest of the document is not read."""

    def __init__(self, line: int, message: str, remedy: str) -> None:
        super().__init__(message)
        self.line, self.message, self.remedy = line, message, remedy


def too_deep(line: int) -> Refused:
    return Refused(line, f"nests deeper than {MAX_DEPTH} levels", "no Kubernetes object does: check the brackets")


def line_from_zero(node: Node) -> int:
    return node.start_mark.line if node.start_mark is not None else 0


class Conversion:
    """Nodes -> dicts, lists and scalars. `budget` is how many characters and nodes may still come out."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.problems: list[Problem] = []
        self.saw_null = False

    def value(self, node: Node, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise too_deep(line_from_zero(node))
        self.budget -= 1
        if self.budget < 0:
            sentence = f"aliases (*name) grow the document by more than {MAX_ALIAS_GROWTH} characters"
            raise Refused(line_from_zero(node), sentence, "write the parts out")
        if isinstance(node, ScalarNode):
            return self.scalar(node)
        if isinstance(node, MappingNode):
            return self.mapping(node, depth)
        self.check_tag(node, "seq")
        return [self.value(child, depth + 1) for child in node.value]

    def scalar(self, node: ScalarNode) -> Any:
        text = node.value
        self.budget -= len(text)
        if "\0" in text:
            self.problem(node, "holds a NUL character", "binary data belongs into binaryData, in base64")
        if node.tag == TEXT:
            return text
        if node.tag == PLAIN:
            return self.plain(node, text)
        return self.tagged(node, text)

    def plain(self, node: ScalarNode, text: str) -> Any:
        if text in _NO_NUMBERS:
            return self.problem(node, "is not a number that Kubernetes knows", "write a finite number, or quote it")
        found = _plain(text)
        self.saw_null = self.saw_null or found is None
        return found

    def tagged(self, node: ScalarNode, text: str) -> Any:
        """`!!int "5"` and its like: what the plain scalar would be, if it is of that kind."""
        self.saw_null = True
        found = _plain(text)
        kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (float, int), "null": (type(None),)}
        if node.tag == CORE + "bool" and isinstance(found, bool):
            return found
        wanted = kinds.get(node.tag.removeprefix(CORE), ())
        if isinstance(found, wanted) and not isinstance(found, bool):
            return found
        return self.refuse_tag(node)

    def mapping(self, node: MappingNode, depth: int) -> dict[str, Any]:
        self.check_tag(node, "map")
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == PLAIN and key_node.value == MERGE:
                merged = {**self.merged(value_node, depth), **merged}
                continue
            key = self.key(key_node)
            value = self.value(value_node, depth + 1)
            if key in made:
                self.problem(key_node, f"the key {_shown(key)} stands twice in one map", "keep one of the two")
            elif key is not None:
                made[key] = value
        return {**merged, **made} if merged else made

    def key(self, node: Node) -> str | None:
        if isinstance(node, ScalarNode):
            self.budget -= 1 + len(node.value)
            value = self.scalar(node)
            if isinstance(value, str):
                return value
            if type(value) is int and str(value) == node.value:
                return str(node.value)
            self.problem(node, f"the key {_shown(node.value)} is not text in YAML", "put the key in quotes")
            return None
        remedy = "a {{ }} template? Pierhead reads plain manifests: commit the rendered output"
        self.problem(node, "a key must be text, not a map or a list", remedy)
        return None

    def merged(self, node: Node, depth: int) -> dict[str, Any]:
        """`<<: *base` or `<<: [*first, *second]`, where the first one wins."""
        sources = node.value if isinstance(node, SequenceNode) else [node]
        made: dict[str, Any] = {}
        for source in sources:
            found = self.value(source, depth + 1)
            if isinstance(found, dict):
                made = {**found, **made}
            else:
                self.problem(node, "<< merges maps only", "write << with a map's alias, such as <<: *base")
        return made

    def check_tag(self, node: Node, kind: str) -> None:
        if node.tag != CORE + kind:
            self.refuse_tag(node)

    def refuse_tag(self, node: Node) -> None:
        self.problem(node, f"the tag {_shown(node.tag.replace(CORE, '!!'))} is refused here", "remove the tag")

    def problem(self, node: Node, message: str, remedy: str) -> None:
        if len(self.problems) == MAX_PROBLEMS:
            raise Refused(line_from_zero(node), "has more errors of this sort", "mend those above first")
        self.problems.append(Problem(line_from_zero(node), message, remedy))


def _plain(text: str) -> Any:
    """What Kubernetes' YAML makes of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-." or len(text) > _LONGEST_NUMBER:
        return text
    digits = text.replace("_", "")
    if INTEGER.fullmatch(digits):
        number = integer(digits)
        if -(2**63) <= number < 2**64:
            return number
    if not FLOAT.fullmatch(digits):
        return text
    value = float(digits)
    if math.isinf(value):
        return text
    return int(value) if value.is_integer() and abs(value) < 2**63 else value


def integer(digits: str) -> int:
    """Go's ParseInt with base 0: a leading 0 means octal."""
    bare = digits.lstrip("+-")
    if len(bare) > 1 and bare[0] == "0" and bare[1].isdigit():
        digits = digits.replace("0", "0o", 1)
    return int(digits, 0)


def _shown(text: str) -> str:
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= 60 else text[:57] + "..."
