"""Compose's rules for one description over another: of a file and its override, of a service and what it extends.

Maps are merged, lists appended; a command, an entrypoint and a health check's test are replaced whole; ports, volumes,
configs and secrets that are about the same thing replace each other; environment and its like are maps however written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deployer.core.compose.nodes import Node

_REPLACED = ("command", "entrypoint", "test")
_PAIRS = {"environment": "=", "labels": "=", "annotations": "=", "sysctls": "="}
_SETS = ("depends_on", "networks")
_UNIQUE = ("ports", "volumes", "secrets", "configs")


def merged(base: Node, over: Node, name: str = "") -> Node:
    """`over` on top of `base`; `name` is the field's."""
    if over.value is None or name in _REPLACED:
        return over if over.value is not None or name in _REPLACED else base
    left, right = (_as_map(one, name) for one in (base, over))
    if left is not None and right is not None:
        made = dict(left)
        for key, value in right.items():
            made[key] = merged(made[key], value, key) if key in made else value
        return replace(over, value=made)
    if isinstance(base.value, tuple) and isinstance(over.value, tuple):
        return replace(over, value=_appended(base.value, over.value, name))
    if name == "env_file":
        return replace(over, value=(*(base.list or (base,)), *(over.list or (over,))))
    return over


def pairs(node: Node) -> dict[str, Node]:
    """A map, or a list of `NAME=value`, as a map. A name without a value is None."""
    if isinstance(node.value, Mapping):
        return dict(node.value)
    made: dict[str, Node] = {}
    for one in node.list:
        name, equals, value = one.text.partition("=")
        made[name] = replace(one, value=value if equals else None, quoted=True)
    return made


def named(node: Node) -> dict[str, Node]:
    """A map, or a list of names, as a map of names to what is said of them."""
    if isinstance(node.value, Mapping):
        return dict(node.value)
    return {one.text: replace(one, value=None) for one in node.list}


def _as_map(node: Node, name: str) -> Mapping[str, Node] | None:
    if isinstance(node.value, Mapping):
        return node.value
    if isinstance(node.value, tuple) and name in _PAIRS:
        return pairs(node)
    if isinstance(node.value, tuple) and name in _SETS:
        return named(node)
    return None


def _appended(base: tuple[Node, ...], over: tuple[Node, ...], name: str) -> tuple[Node, ...]:
    if name not in _UNIQUE:
        return (*base, *over)
    made = {_subject(one, name): one for one in base}
    made.update({_subject(one, name): one for one in over})
    return tuple(made.values())


def _subject(one: Node, name: str) -> str:
    """What an item is about: the place in the container, or the port."""
    if one.is_text:
        parts = one.text.split(":")
        return parts[1] if name == "volumes" and len(parts) > 1 else one.text
    keys = ("target", "published", "protocol", "host_ip") if name == "ports" else ("target", "source")
    told = [one.map[key].text for key in keys if key in one.map]
    return "\0".join(told if name == "ports" else told[:1])
