"""A new image in a manifest's file: the bytes of that one scalar change, and nothing else.

Comments, order, quotes, line ends and everything that a person laid out stay, since the file is not written anew: the
YAML reader says where the scalar stands, and its text is replaced there. What cannot be replaced so (an alias, a block
of text, an image that another tool puts in) is refused with a sentence.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from deployer.core.manifest_objects import items
from deployer.core.yaml_documents import Path, read_documents

_LISTS = ("containers", "initContainers")


class CannotEdit(Exception):
    """The text says why, and what to do by hand."""


@dataclass(frozen=True, slots=True)
class Change:
    """Of one container of a workload: `before` must be what is written there."""

    kind: str
    namespace: str
    name: str
    container: str
    before: str
    after: str


def edited(data: bytes, change: Change, default_namespace: str) -> bytes:
    """The file with the new image. A file that has it already comes back as it is. Raises CannotEdit."""
    node, first_line = _scalar(data, change, default_namespace)
    if node.value == change.after:
        return data
    lines = data.decode("utf-8-sig").split("\n")
    at = first_line - 1 + (node.start_mark.line if node.start_mark else 0)
    end = first_line - 1 + (node.end_mark.line if node.end_mark else 0)
    column = node.start_mark.column if node.start_mark else 0
    stop = node.end_mark.column if node.end_mark else 0
    if at != end:
        raise CannotEdit(f"line {at + 1}: the image is written over several lines; write it on one")
    line = lines[at]
    written = line[column:stop]
    quote = written[:1] if written[:1] in ("'", '"') else ""
    if written.strip(quote or " ") != node.value:
        raise CannotEdit(f"line {at + 1}: the image is written in a way that cannot be replaced; write it plainly")
    lines[at] = f"{line[:column]}{quote}{change.after}{quote}{line[stop:]}"
    text = "\n".join(lines).encode()
    return b"\xef\xbb\xbf" + text if data.startswith(b"\xef\xbb\xbf") else text


def _scalar(data: bytes, change: Change, default_namespace: str) -> tuple[ScalarNode, int]:
    """The scalar that holds the image, and the number of its document's first line."""
    title = f"{change.kind} {change.namespace}/{change.name}"
    wanted = (change.kind, change.namespace, change.name)
    objects = [
        (document, item.path)
        for document in read_documents(data)
        if not document.problems
        for item in items(document.data)
        if _names(item.data, default_namespace) == wanted
    ]
    if len(objects) != 1:
        found = "is not in the file" if not objects else f"stands {len(objects)} times in the file"
        raise CannotEdit(f"{title} {found}, so its image cannot be replaced there; change it by hand")
    document, path = objects[0]
    nodes = _way(document.node, path, change.container)
    if not nodes:
        raise CannotEdit(f"{title}: container {change.container} has no image in the file; change it by hand")
    edges = _edges(document.node)
    image = nodes[-1]
    if not isinstance(image, ScalarNode) or any(edges[id(one)] > 1 for one in nodes):
        raise CannotEdit(f"{title}: the image of {change.container} is shared by an alias (*name); change it by hand")
    if image.value not in (change.before, change.after):
        raise CannotEdit(f"{title}: the image of {change.container} is not {change.before} in Git any more")
    return image, document.first_line


def _names(item: object, default_namespace: str) -> tuple[str, str, str]:
    if not isinstance(item, dict) or not isinstance(item.get("metadata"), dict):
        return "", "", ""
    metadata = item["metadata"]
    return str(item.get("kind")), str(metadata.get("namespace") or default_namespace), str(metadata.get("name"))


def _way(root: Node | None, path: Path, container: str) -> list[Node]:
    """The nodes from the document's root to the container's image; [] when it has none."""
    for name in _LISTS:
        above = _walk(root, (*path, "spec", "template", "spec", name))
        last = above[-1] if above else None
        for index, one in enumerate(last.value if isinstance(last, SequenceNode) else ()):
            named = _child(one, "name")
            if isinstance(named, ScalarNode) and named.value == container:
                return _walk(root, (*path, "spec", "template", "spec", name, index, "image"))
    return []


def _walk(node: Node | None, path: Path) -> list[Node]:
    """The nodes along the path, the root first; [] when it does not lead to the end."""
    found: list[Node] = []
    for step in path:
        if node is None:
            return []
        found.append(node)
        node = _child(node, step)
    return [*found, node] if node is not None else []


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node, SequenceNode) and isinstance(step, int):
        found: Node = node.value[step]
        return found
    if not isinstance(node, MappingNode):
        return None
    return next((value for key, value in node.value if key.value == step), None)


def _edges(root: Node | None) -> Counter[int]:
    """How many places lead to each node: an alias adds one to its anchor's."""
    edges: Counter[int] = Counter()
    waiting = [root] if root is not None else []
    while waiting:
        node = waiting.pop()
        for child in _children(node):
            edges[id(child)] += 1
            if edges[id(child)] == 1:
                waiting.append(child)
    return edges


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, SequenceNode) else []
