"""Files that stand encrypted in Git (SOPS with age) -> the same files with their values, line by line where they were.

    find the `sops` block -> unlock the data key -> decrypt each value in its place -> verify the MAC over all

Only text is replaced: a value by its plain form on the same line, the `sops` block by empty lines. So every error that
is found later still names the line of the file in Git. A file is opened whole or not at all; one that is not leaves an
error with file, line and field, and no error ever holds a value.

Only what a Secret holds may be encrypted: that is sealed at rest and masked wherever it is shown, and nothing else is.
Knows neither Git nor who keeps the identities; nothing here is written anywhere.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from deployer.core.manifest_checks.finding import Path, field_text, shown
from deployer.core.manifests import Manifest, ManifestError, ReadResult
from deployer.core.repository import SourceFile, SourceTree
from deployer.core.sops_keys import Identities, data_key
from deployer.core.sops_values import ANEW, Mac, Plain, Rule, SopsRefused, counted, decrypted, is_encrypted
from deployer.core.yaml_documents import composed, json_as_yaml
from deployer.core.yaml_values import CORE, PLAIN, TEXT, Conversion, Refused, line_from_zero

BLOCK = "sops"
SHORTEST_MASKED = 4
"""A shorter value is masked in errors about its own line only: `on` or `80` stand in many sentences."""

_OPEN = frozenset(("apiVersion", "kind", "metadata", "type"))
"""What sops encrypts unless it is told not to, and what every page names an object by."""

SHORTEST_LEAK = 12
"""Of a decrypted value that is looked for in what a tool made: `postgres` is a name as well."""

_SUFFIXES = (".yaml", ".yml", ".json")
_OTHER_STORES = re.compile(rb"^(?:sops_mac\s*=\s*ENC\[|\[sops\]\s*$)", re.MULTILINE)
_CLASH = "is encrypted, but stands in a {kind}: only what a Secret holds is sealed and masked"
_MOVE = "move it into a Secret, and let sops encrypt its values only: encrypted_regex: ^(data|stringData)$"


@dataclass(frozen=True, slots=True)
class _Span:
    """A piece of the text and what stands there instead; as many lines as before."""

    start: int
    end: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Value:
    """A value that was decrypted: where it stands, and what it is."""

    line: int
    path: Path
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """`tree`: what is read on, without the files that could not be opened; its errors say why they could not."""

    tree: SourceTree
    values: Mapping[str, tuple[_Value, ...]] = field(default_factory=dict, repr=False)

    @property
    def errors(self) -> tuple[ManifestError, ...]:
        return self.tree.errors

    def told(self, read: ReadResult, *, rendered: bool) -> ReadResult:
        """What was read of the tree, with no decrypted value in any sentence.

        `rendered`: a tool made the manifests, so that any value may stand anywhere. Where one came to stand outside of
        a Secret, that is an error.
        """
        leaks = self._leaks(read.manifests) if rendered else ()
        errors = (*(self._masked(one, rendered) for one in read.errors), *leaks)
        return ReadResult(read.manifests, errors, tuple(self._masked(one, rendered) for one in read.warnings))

    def _leaks(self, manifests: Iterable[Manifest]) -> Iterator[ManifestError]:
        secret = {value.text for value in self._all() if len(value.text) >= SHORTEST_LEAK}
        for one in manifests if secret else ():
            if one.kind != "Secret" and any(text in leaf for leaf in _texts(one.spec) for text in secret):
                message = "holds a value that stands encrypted in Git: only what a Secret holds is sealed and masked"
                yield ManifestError(one.file, one.line, "", message, "let the tool put it into a Secret", one.title)

    def _all(self) -> Iterator[_Value]:
        return (value for values in self.values.values() for value in values)

    def _masked(self, error: ManifestError, rendered: bool) -> ManifestError:
        known = [
            text
            for value in (self._all() if rendered else self.values.get(error.file, ()))
            if not _OPEN & set(value.path[:1] + value.path[2:3])
            for text in _spellings(value.text)
            if len(text) >= SHORTEST_MASKED or (value.line == error.line and not rendered)
        ]
        message, remedy = error.message, error.remedy
        for text in sorted(known, key=len, reverse=True):
            message, remedy = message.replace(text, "***"), remedy.replace(text, "***")
        return replace(error, message=message, remedy=remedy)


def opened(tree: SourceTree, identities: Callable[[], Sequence[str]]) -> Opened:
    """`identities`: AGE-SECRET-KEY-1... texts, asked for when the first encrypted file is found."""
    keys = Identities(identities)
    files: list[SourceFile] = []
    errors: list[ManifestError] = []
    values: dict[str, tuple[_Value, ...]] = {}
    for file in tree.files:
        try:
            found = _Sealed.find(file, keys)
            if found is None:
                files.append(file)
            else:
                files.append(SourceFile(file.path, found.opened().encode(), decrypted=True))
                values[file.path] = tuple(found.values)
        except SopsRefused as refused:
            errors.append(ManifestError(file.path, refused.line, refused.field, refused.message, refused.remedy))
    return Opened(replace(tree, files=tuple(files), errors=(*tree.errors, *errors)), values)


class _Sealed:
    """One encrypted file on its way to its values."""

    def __init__(self, text: str, documents: list[tuple[int, int, Node]], metadata: dict[str, Any], line: int) -> None:
        self.text, self.documents, self.metadata, self.line = text, documents, metadata, line
        self.offset, self.first_line = 0, 1  # what the marks of the document at hand count from
        self.rule = Rule(metadata)
        self.mac = Mac(only_encrypted=metadata.get("mac_only_encrypted") is True)
        self.spans: list[_Span] = []
        self.values: list[_Value] = []
        self.seen: set[int] = set()
        self.key = b""

    @classmethod
    def find(cls, file: SourceFile, keys: Identities) -> _Sealed | None:
        """None for a file that is not encrypted, or that whoever reads it next will say is no YAML."""
        if BLOCK.encode() not in file.data:
            return None
        if _OTHER_STORES.search(file.data) and not file.path.lower().endswith(_SUFFIXES):
            message = "was encrypted by sops as dotenv or INI, not as YAML or JSON"
            raise SopsRefused(message, "put its values into a Secret in YAML, and let sops encrypt that")
        try:
            text = json_as_yaml(file.data.decode("utf-8-sig"))
            documents = list(composed(text))
        except (UnicodeDecodeError, Refused, yaml.YAMLError):
            return None
        blocks = [(first + line_from_zero(key), value) for _, first, root in documents for key, value in _blocks(root)]
        if not blocks:
            return None
        line, block = blocks[0]
        conversion = Conversion(len(text))
        metadata = _metadata(conversion, block, line)
        if _is_binary(documents):
            message = "was encrypted by sops as a binary file, not as YAML or JSON"
            raise SopsRefused(message, "name the file .yaml before sops encrypts it", line, BLOCK)
        found = cls(text, documents, metadata, line)
        try:
            found.key = data_key(metadata, keys)
        except SopsRefused as refused:
            refused.line, refused.field = line, BLOCK
            raise
        return found

    def opened(self) -> str:
        """The text with every value in its place. Raises SopsRefused."""
        for offset, first_line, root in self.documents:
            self.offset, self.first_line = offset, first_line
            if isinstance(root, MappingNode):
                self._document(root)
            elif not (isinstance(root, ScalarNode) and root.value == ""):
                raise SopsRefused("a document of an encrypted file is no map", ANEW, self._line(root))
        self._verify()
        return self._rewritten()

    def _document(self, root: MappingNode) -> None:
        before = len(self.values)
        kinds: dict[Path, str] = {}
        for path, keys, node in self._leaves(root, (), ()):
            text = self._value(path, keys, node)
            if path[-1:] == ("kind",):
                kinds[path[:-1]] = text
        for value in self.values[before:]:
            kind = kinds.get(_object_of(value.path, kinds), "")
            if kind not in ("", "Secret", "SecretList", "List"):
                raise SopsRefused(_CLASH.format(kind=shown(kind)), _MOVE, value.line, field_text(value.path))
        self.spans += [self._removal(key, block) for key, block in _blocks(root)]

    def _leaves(self, node: Node, path: Path, keys: tuple[str, ...]) -> Iterator[tuple[Path, tuple[str, ...], Node]]:
        """Every scalar below, in the order of the file: (path, keys alone, node)."""
        if id(node) in self.seen:
            message = "holds an alias (*name), which sops never writes"
            raise SopsRefused(message, ANEW, self._line(node), field_text(path))
        self.seen.add(id(node))
        if isinstance(node, MappingNode):
            for key, value in node.value:
                if not isinstance(key, ScalarNode):
                    raise SopsRefused("has a key that is no text", ANEW, self._line(key), field_text(path))
                if path or key.value != BLOCK:
                    yield from self._leaves(value, (*path, key.value), (*keys, key.value))
        elif isinstance(node, SequenceNode):
            for number, child in enumerate(node.value):
                yield from self._leaves(child, (*path, number), keys)
        else:
            yield path, keys, node

    def _value(self, path: Path, keys: tuple[str, ...], node: Node) -> str:
        """Count the value, and put its plain form in its place if it is encrypted. Returns its text."""
        line, text = self._line(node), str(node.value)
        if node.tag not in (PLAIN, TEXT):
            name = shown(node.tag.replace(CORE, "!!"))
            raise SopsRefused(f"has the tag {name}, which is not understood here", ANEW, line, field_text(path))
        try:
            covered = is_encrypted(text) if self.rule.by_look else self.rule.covers(keys)
            if covered and not (node.tag == PLAIN and counted(text) is None):
                plain = decrypted(text, self.key, ":".join(keys) + ":")
                self._replace(node, plain, path, line)
                return plain.text
        except SopsRefused as refused:
            refused.line, refused.field = line, field_text(path)
            raise
        bytes_ = text.encode() if node.tag == TEXT else counted(text)
        self.mac.count(bytes_ or b"", encrypted=False)
        return text

    def _replace(self, node: Node, plain: Plain, path: Path, line: int) -> None:
        self.mac.count(plain.counted, encrypted=True)
        self.values.append(_Value(line, path, plain.text))
        start, end = self._bounds(node)
        self.spans.append(_Span(start, end, plain.written))

    def _verify(self) -> None:
        sealed, bound_to = _word(self.metadata, "mac"), _word(self.metadata, "lastmodified")
        try:
            wanted = decrypted(sealed, self.key, bound_to).text if is_encrypted(sealed) else ""
        except SopsRefused:
            wanted = ""
        if not hmac.compare_digest(wanted.encode(), self.mac.hexdigest().encode()):
            message = "the file's MAC does not fit: a value was changed, added, removed or moved since it was encrypted"
            raise SopsRefused(message, ANEW, self.line, f"{BLOCK}.mac")

    def _removal(self, key: Node, value: Node) -> _Span:
        """The block and what parts it from its neighbour."""
        start, end = self._bounds(key)[0], self._bounds(value)[1]
        before = self.text[:start].rstrip()
        if before.endswith(","):
            return _Span(len(before) - 1, end, "")
        after = len(self.text) - len(self.text[end:].lstrip())
        return _Span(start, after + 1 if self.text[after : after + 1] == "," else end, "")

    def _rewritten(self) -> str:
        parts, at = [], 0
        for span in sorted(self.spans, key=lambda one: one.start):
            lines = self.text.count("\n", span.start, span.end)
            parts += [self.text[at : span.start], span.text, "\n" * lines]
            at = span.end
        return "".join((*parts, self.text[at:]))

    def _line(self, node: Node) -> int:
        return self.first_line + line_from_zero(node)

    def _bounds(self, node: Node) -> tuple[int, int]:
        assert node.start_mark is not None
        assert node.end_mark is not None
        return self.offset + node.start_mark.index, self.offset + node.end_mark.index


def _metadata(conversion: Conversion, block: Node, line: int) -> dict[str, Any]:
    try:
        found = conversion.value(block, 0)
    except Refused as refused:
        raise SopsRefused(refused.message, refused.remedy, line, BLOCK) from None
    if conversion.problems or not isinstance(found, dict):
        raise SopsRefused("the block that sops writes cannot be read", ANEW, line, BLOCK)
    return found


def _blocks(root: Node) -> list[tuple[Node, Node]]:
    """The `sops` blocks of a document: one, unless somebody pasted."""
    if not isinstance(root, MappingNode):
        return []
    return [(key, value) for key, value in root.value if key.value == BLOCK and isinstance(value, MappingNode)]


def _is_binary(documents: list[tuple[int, int, Node]]) -> bool:
    """sops' envelope for what is no YAML or JSON: {data: ENC[...], sops: ...}."""
    root = documents[0][2]
    return isinstance(root, MappingNode) and {key.value for key, _ in root.value} == {"data", BLOCK} and all(
        isinstance(value, ScalarNode) and is_encrypted(value.value) for key, value in root.value if key.value == "data"
    )  # fmt: skip


def _object_of(path: Path, kinds: Mapping[Path, str]) -> Path:
    """The path of the object that a value is part of: the document, or an item of a List."""
    return path[:2] if path[:1] == ("items",) and path[:2] in kinds else ()


def _texts(data: Any) -> Iterator[str]:
    """Every text in JSON-like data."""
    if isinstance(data, Mapping):
        for one in data.values():
            yield from _texts(one)
    elif isinstance(data, list | tuple):
        for one in data:
            yield from _texts(one)
    elif isinstance(data, str):
        yield data


def _word(metadata: Mapping[str, Any], name: str) -> str:
    return str(metadata.get(name) or "")


def _spellings(text: str) -> set[str]:
    """The ways in which a sentence may write a value."""
    printable = shown(text)
    return {text, printable, printable.removesuffix("..."), repr(text)[1:-1]} - {""}
