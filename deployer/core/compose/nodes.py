"""A Compose file as a tree in which every value knows its file and line, and every scalar the text that was written.

Compose decides by the field whether `80` is a number or text, after variables were put in; so nothing is a number here
until a field asks. Files are read by `yaml_documents`, which refuses bombs, duplicate keys, tags and what is not UTF-8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.nodes import Node as YamlNode

from deployer.core.manifest_checks.finding import field_text
from deployer.core.manifests import ManifestError
from deployer.core.rendering.collecting import Gathering
from deployer.core.yaml_documents import read_documents
from deployer.core.yaml_values import MERGE, PLAIN, line_from_zero

_NULLS = ("", "~", "null", "Null", "NULL")
Value: TypeAlias = "str | Mapping[str, Node] | tuple[Node, ...] | None"


@dataclass(frozen=True, slots=True)
class Node:
    """`value` is text, a map, a list, or None for null. `path` is where it stands, for sentences."""

    value: Value = field(repr=False)
    file: str
    line: int
    path: tuple[str | int, ...] = ()
    quoted: bool = False

    @property
    def map(self) -> Mapping[str, Node]:
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def list(self) -> tuple[Node, ...]:
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else ""

    @property
    def is_text(self) -> bool:
        return isinstance(self.value, str)

    def get(self, name: str) -> Node | None:
        """A field that is there and not null."""
        found = self.map.get(name)
        return None if found is None or found.value is None else found

    def items(self) -> Iterator[tuple[str, Node]]:
        return iter(self.map.items())

    def mapped(self, change: Callable[[Node], Node]) -> Node:
        """With `change` made to every text in it."""
        if isinstance(self.value, str):
            return change(self)
        if isinstance(self.value, tuple):
            return replace(self, value=tuple(one.mapped(change) for one in self.value))
        if isinstance(self.value, Mapping):
            return replace(self, value={key: one.mapped(change) for key, one in self.value.items()})
        return self


class Problems:
    """What is wrong, and what is worth knowing, gathered while a file is read.

    `absent`: files that are named and not at hand, by path, with where they are named.
    """

    def __init__(self) -> None:
        self.absent: dict[str, Node] = {}
        self.errors: list[ManifestError] = []
        self.warnings: list[ManifestError] = []

    def error(self, node: Node, message: str, remedy: str = "") -> None:
        self.errors.append(_told(node, message, remedy))

    def warn(self, node: Node, message: str, remedy: str = "") -> None:
        self.warnings.append(_told(node, message, remedy))


def _told(node: Node, message: str, remedy: str) -> ManifestError:
    return ManifestError(node.file, node.line, field_text(node.path), message, remedy)


def read_compose(file: str, data: bytes, problems: Problems | Gathering) -> Node | None:
    """The one document of a Compose file; None with an error when there is none."""
    documents = read_documents(data)
    wrong = [problem for document in documents for problem in document.problems]
    for problem in wrong:
        _add(problems, ManifestError(file, problem.line, "", problem.message, problem.remedy))
    if wrong:
        return None
    if len(documents) != 1 or not isinstance(documents[0].data, dict) or documents[0].node is None:
        message = "is not one map with services:" if documents else "is empty"
        _add(problems, ManifestError(file, 0, "", message, "write services:, as in Compose's documentation"))
        return None
    return _node(documents[0].node, file, documents[0].first_line, ())


def _add(problems: Problems | Gathering, error: ManifestError) -> None:
    problems.errors.append(error)


def _node(found: YamlNode, file: str, first: int, path: tuple[str | int, ...]) -> Node:
    """Nesting, aliases and keys were checked when the document was read; an alias is written out."""
    line = line_from_zero(found) + first
    if isinstance(found, ScalarNode):
        plain = found.tag == PLAIN
        return Node(None if plain and found.value in _NULLS else str(found.value), file, line, path, not plain)
    if isinstance(found, SequenceNode):
        return Node(tuple(_node(one, file, first, (*path, n)) for n, one in enumerate(found.value)), file, line, path)
    made: dict[str, Node] = {}
    merged: dict[str, Node] = {}
    assert isinstance(found, MappingNode)
    for key, value in found.value:
        if key.tag == PLAIN and key.value == MERGE:
            for source in value.value if isinstance(value, SequenceNode) else [value]:
                merged = {**dict(_node(source, file, first, path).map), **merged}
            continue
        one = _node(value, file, first, (*path, str(key.value)))
        made[str(key.value)] = replace(one, line=line_from_zero(key) + first)
    return Node({**merged, **made}, file, line, path)


def texts(node: Node) -> list[Node]:
    """A list of texts, or one text as a list of one."""
    return [node] if node.is_text else [one for one in node.list if one.is_text]


def is_true(node: Node | None) -> bool:
    return node is not None and node.text.lower() in ("true", "yes", "on", "y", "1")


def plain_data(node: Node) -> Any:
    """The tree as texts, lists and dicts, for comparing."""
    if isinstance(node.value, tuple):
        return [plain_data(one) for one in node.value]
    if isinstance(node.value, Mapping):
        return {key: plain_data(one) for key, one in node.value.items()}
    return node.value
