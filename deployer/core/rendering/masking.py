"""Keeping the values of Secrets out of what is shown and kept of a rendering."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from deployer.core.difference import MASK
from deployer.core.manifest_objects import items, stripped
from deployer.core.repository import SourceTree
from deployer.core.yaml_documents import read_documents

SHORTEST = 4
"""Characters of a value that is looked for in a text: shorter ones stand in every text."""
_OPEN = frozenset({"ConfigMap"})
_CONTENT = ("data", "stringData")


def masked(data: Mapping[str, Any]) -> dict[str, Any]:
    """The object as it may be shown: what stands under `data` of anything but a ConfigMap is masked, key by key."""
    found, _ = stripped(data)
    if found.get("kind") in _OPEN:
        return found
    for name in _CONTENT:
        if name in found:
            value = found[name]
            found[name] = dict.fromkeys(value, MASK) if isinstance(value, dict) else MASK
    return found


def secret_values(tree: SourceTree) -> list[str]:
    """What Secrets among the files hold, the longest first, as written and decoded; and the values of env files."""
    found: set[str] = set()
    for one in tree.files:
        if one.path.lower().endswith((".yaml", ".yml", ".json")):
            for document in read_documents(one.data):
                found.update(value for item in items(document.data) for value in _of(item.data))
        else:
            lines = one.data.decode("utf-8", "replace").splitlines()
            found.update(line.partition("=")[2].strip().strip("\"'") for line in lines if "=" in line)
    return sorted((value for value in found if len(value) >= SHORTEST), key=len, reverse=True)


def _of(data: Any) -> Iterator[str]:
    if not isinstance(data, dict) or data.get("kind") in _OPEN:
        return
    for name in _CONTENT:
        values = data.get(name)
        for value in values.values() if isinstance(values, dict) else ():
            if isinstance(value, str):
                yield value
                yield _decoded(value)


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""
