"""What is kept of a rendering, with each attempt: the objects as they would be applied, without any Secret's values.

    {"way": "kustomize", "objects": [{"file", "line", "kind", "namespace", "name", "body"}], "left_out": 0}

Equal renderings have equal digests, so that a thousand attempts at the same content are kept once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from deployer.core.manifest_objects import items
from deployer.core.manifests import Manifest, ReadResult
from deployer.core.rendering.masking import masked
from deployer.core.rendering.rendered import Rendered
from deployer.core.yaml_documents import read_documents

MAX_BYTES = 8 * 1024 * 1024
"""Of text, before it is compressed. What does not fit is counted."""
_FLAT = ("ConfigMap", "Secret")


@dataclass(frozen=True, slots=True)
class Kept:
    """`text` is JSON, "" when there is nothing to keep; `digest` is of it."""

    text: str = field(repr=False)
    way: str = ""
    count: int = 0

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def kept(rendered: Rendered, read: ReadResult) -> Kept:
    """The valid objects; of a rendering that was refused, what the tool made, so that it can be looked at."""
    if read.errors and rendered.way.kind != "plain":
        found = list(_made(rendered))
    else:
        found = [_valid(one) for one in read.manifests]
    if not found:
        return Kept("", rendered.way.kind)
    fitting, left_out = _fitting(found)
    way = rendered.way.kind
    return Kept(f'{{"way": "{way}", "objects": [{", ".join(fitting)}], "left_out": {left_out}}}', way, len(found))


def _valid(one: Manifest) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": one.name, **({"namespace": one.namespace} if one.namespace else {})}
    for name, marks in (("labels", one.labels), ("annotations", one.annotations)):
        if marks:
            metadata[name] = dict(marks)
    body: dict[str, Any] = {"apiVersion": one.api_version, "kind": one.kind, "metadata": metadata}
    spec = dict(one.spec)
    if one.kind in _FLAT:
        body.update({key: value for key, value in spec.items() if value not in ({}, False)})
    elif spec:
        body["spec"] = spec
    return _row(one.file, one.line, one.kind, one.namespace, one.name, masked(body))


def _made(rendered: Rendered) -> Iterator[dict[str, Any]]:
    for piece in rendered.pieces:
        for document in read_documents(piece.data):
            for item in items(document.data) if not document.problems else ():
                if isinstance(item.data, dict):
                    told = item.data.get("metadata")
                    metadata = told if isinstance(told, dict) else {}
                    namespace, name = (str(metadata.get(one) or "") for one in ("namespace", "name"))
                    line = document.line if rendered.way.kind == "compose" else 0
                    yield _row(piece.origin, line, str(item.data.get("kind") or ""), namespace, name, masked(item.data))


def _row(file: str, line: int, kind: str, namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"file": file, "line": line, "kind": kind, "namespace": namespace, "name": name, "body": body}


def _fitting(found: Iterable[dict[str, Any]]) -> tuple[list[str], int]:
    """(as JSON, how many did not fit)"""
    fitting: list[str] = []
    size_bytes = left_out = 0
    for one in found:
        text = json.dumps(one, ensure_ascii=False, default=dict)
        size_bytes += len(text.encode())
        if size_bytes > MAX_BYTES:
            left_out += 1
        else:
            fitting.append(text)
    return fitting, left_out
