"""The bytes of a file -> plain data, with the line of every field for whoever has to fix it.

Read as Kubernetes reads it (sigs.k8s.io/yaml over yaml.v2), not as PyYAML would: `yes`, `no`, `on`, `off`, `y`, `n`
are booleans, `0644` is octal, `1_000` is a number, `12:30` and dates stay text. A document ends where a line starts
with `---`, as for kubectl, so a broken document does not hide the errors of the next one.

A repository may be hostile. Refused, each with a sentence: what is not UTF-8, documents above 1 MiB, tags, nesting
deeper than 100 levels (libyaml's composer recurses in C and would take the process down), aliases that grow a document
by more than 100,000 characters, duplicate keys, keys that are not text, control characters. Nothing here ever raises
for what a file holds, and no value of a field is ever quoted in a sentence.

libyaml's composer makes the line marks in any case, so they are kept beside the data and looked up only for an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from deployer.core.yaml_values import (
    CORE,
    MAX_ALIAS_GROWTH,
    MAX_DEPTH,
    MERGE,
    PLAIN,
    TEXT,
    Conversion,
    Problem,
    Refused,
    line_from_zero,
    too_deep,
)

Path = tuple[str | int, ...]

MAX_DOCUMENT_BYTES = 1024 * 1024

_SEPARATOR = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_ONLY_COMMENTS = re.compile(r"(?:[ \t]*(?:#[^\n]*)?(?:\n|\Z)|%YAML[^\n]*(?:\n|\Z)|---[ \t]*(?:#[^\n]*)?(?:\n|\Z))*")
_DEEP_PREFIX = re.compile(rf"^[ \t\-?:]{{{MAX_DEPTH},}}", re.MULTILINE)
# JSON takes these as they are; YAML takes them for line ends or for nothing that a file may hold.
_ONLY_JSON = re.compile("[\x7f-\x9f\u2028\u2029\ufffe\uffff]")
_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class Document:
    """One document: `data` is JSON-like (None when nothing could be read), `line` that of its first content."""

    data: Any = field(repr=False)
    line: int
    problems: tuple[Problem, ...] = ()
    has_nulls: bool = False
    node: Node | None = field(default=None, repr=False)
    first_line: int = 1

    def line_of(self, path: Path) -> int:
        """The line of a field's key, or of the deepest part of the path that is there."""
        return _locate(self.node, path)[0] + self.first_line if self.node is not None else self.line

    def written(self, path: Path) -> str:
        """The text of an unquoted value as it stands in the file; "" for anything else."""
        found = _locate(self.node, path)[1] if self.node is not None else None
        return str(found.value) if isinstance(found, ScalarNode) and found.tag == PLAIN else ""


def read_documents(data: bytes) -> list[Document]:
    """All documents of a YAML or JSON file that hold anything, in order; broken ones carry problems."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return [_broken(line, "is not UTF-8 text", "save the file as UTF-8; binary data belongs into binaryData")]
    text = json_as_yaml(text)
    found: list[Document] = []
    for line, chunk in _chunks(text):
        if not _ONLY_COMMENTS.fullmatch(chunk):
            found.extend(_read(chunk, line))
    return found


def json_as_yaml(text: str) -> str:
    """The text of a JSON file as YAML reads it; any other as it is. Lines stay lines."""
    if not text.lstrip(" \t\r\n").startswith("{"):
        return text
    return _ONLY_JSON.sub(lambda one: f"\\u{ord(one[0]):04x}", _SURROGATES.sub(_joined, text))


def composed(text: str) -> Iterator[tuple[int, int, Node]]:
    """(offset that its marks count from, line that they count from, node) of each document of a whole file.

    Raises Refused or YAMLError for what `read_documents` answers with problems.
    """
    offset = 0
    for line, chunk in _chunks(text):
        _check_nesting(chunk)
        loader = _Composer(chunk)
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield offset, line, node
        offset += len(chunk)


def _joined(match: re.Match[str]) -> str:
    """JSON writes characters beyond 16 bits as two escapes, which YAML does not know."""
    pair = bytes.fromhex(match[2] + match[3])
    return match[1] + pair.decode("utf-16-be")


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """(number of its first line, text) of each document."""
    line, start = 1, 0
    for separator in _SEPARATOR.finditer(text):
        if separator.start() > start:
            yield line, text[start : separator.start()]
        line += text.count("\n", start, separator.start())
        start = separator.start()
    yield line, text[start:]


def _read(chunk: str, line: int) -> Iterator[Document]:
    size = len(chunk.encode())
    if size > MAX_DOCUMENT_BYTES:
        sentence = f"the document has {size} bytes, {MAX_DOCUMENT_BYTES} (1 MiB) are the limit for one"
        yield _broken(line, sentence, "split it into several objects")
        return
    try:
        _check_nesting(chunk)
        loader = _Composer(chunk)
        while loader.check_node():
            node = loader.get_node()
            document = _converted(node, line, len(chunk)) if node is not None else None
            if document is not None:
                yield document
    except Refused as refused:
        yield _broken(refused.line + line, refused.message, refused.remedy)
    except yaml.YAMLError as error:
        yield _syntax_error(error, chunk, line)


def _broken(line: int, message: str, remedy: str) -> Document:
    return Document(None, line, (Problem(line, message, remedy),))


class _Composer(CParser):
    """libyaml's parser and composer, which leaves plain scalars to us."""

    def resolve(self, kind: type[Node], _value: str | None, implicit: Any) -> str:
        if kind is ScalarNode:
            return PLAIN if implicit[0] else TEXT
        return CORE + ("map" if kind is MappingNode else "seq")

    def descend_resolver(self, _parent: Node | None, _index: Any) -> None:
        """Paths have no bearing on types."""

    def ascend_resolver(self) -> None:
        """Paths have no bearing on types."""


def _check_nesting(chunk: str) -> None:
    """Walk the events of a document that could be deep, before the composer recurses into it."""
    if chunk.count("[") + chunk.count("{") <= MAX_DEPTH and not _DEEP_PREFIX.search(chunk):
        return
    parser, depth = _Composer(chunk), 0
    while parser.check_event():
        event = parser.get_event()
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise too_deep(event.start_mark.line if event.start_mark else 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _converted(node: Node, first_line: int, length: int) -> Document | None:
    conversion = Conversion(length + MAX_ALIAS_GROWTH)
    line = line_from_zero(node) + first_line
    data = None
    try:
        data = conversion.value(node, 0)
    except Refused as refused:
        conversion.problems.append(Problem(refused.line, refused.message, refused.remedy))
    if data is None and not conversion.problems:
        return None
    problems = (Problem(one.line + first_line, one.message, one.remedy) for one in conversion.problems)
    return Document(data, line, tuple(problems), conversion.saw_null, node, first_line)


def _locate(node: Node | None, path: Path) -> tuple[int, Node | None]:
    """(line from 0, node) at a path; without such a node, the line of the deepest one above it, and None."""
    line = line_from_zero(node) if node is not None else 0
    for step in path:
        found = _child(node, step)
        if found is None:
            return line, None
        line, node = found
    return line, node


def _child(node: Node | None, step: str | int) -> tuple[int, Node] | None:
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        child = node.value[step]
        return line_from_zero(child), child
    if not isinstance(node, MappingNode):
        return None
    for key, value in node.value:
        if key.value == step:
            return line_from_zero(key), value
    for key, value in node.value:
        if key.value == MERGE:
            for source in value.value if isinstance(value, SequenceNode) else [value]:
                if isinstance(source, MappingNode) and (found := _child(source, step)) is not None:
                    return found
    return None


def _syntax_error(error: yaml.YAMLError, chunk: str, first_line: int) -> Document:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    offset = mark.line if mark is not None else 0
    position = getattr(error, "position", None)
    if mark is None and isinstance(position, int):
        offset = chunk.encode().count(b"\n", 0, position)
    lines = chunk.split("\n")
    at = lines[offset] if offset < len(lines) else ""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read")
    message, remedy = _in_words(problem, str(getattr(error, "context", None) or ""), at)
    return _broken(offset + first_line, message, remedy)


def _in_words(problem: str, context: str, at: str) -> tuple[str, str]:
    if "\t" in at[: len(at) - len(at.lstrip())]:
        return "a tab indents this line", "YAML is indented with spaces only: replace the tab"
    if "{{" in at or "{%" in at:
        return "is not valid YAML", "a {{ }} template? Pierhead reads plain manifests: commit the rendered output"
    for words, remedy in _REMEDIES.items():
        if words in problem:
            return f"is not valid YAML: {problem}", remedy
    return f"is not valid YAML: {f'{context}, ' if context else ''}{problem}", "check this line and the one above"


_REMEDIES = {
    "mapping values are not allowed": "quote the value if ': ' is part of it, or mend the indentation",
    "could not find expected ':'": "this line or the one above lacks a ':', or its indentation is off",
    "did not find expected key": "check the indentation and the quotes of this line and the one above",
    "did not find expected '-' indicator": "indent every item of a list alike",
    "cannot start any token": "put the value in quotes",
    "found undefined alias": "define the anchor (&name) above, in the same document",
    "duplicate anchor": "give each anchor a name of its own",
    "control characters": "remove the character; binary data belongs into binaryData, in base64",
}
