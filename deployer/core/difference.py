"""What has changed between two pieces of JSON-like data: for plans, drift, and the pages that show them.

Lists whose items have a name in Kubernetes (containers, volumes, env, ports, mounts, hosts of an Ingress) are compared
by it, as with Kubernetes' merge keys, so that a container added in front does not show as a change of all the others. A
different order of the same items is a change too: it matters for init containers and variables.
No changes means equal, and only equal data gives no changes. It never decides whether a change matters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Path = tuple[str | int, ...]

ORDER = "[order]"
"""Last step of the path of a change of order; its values are lists of the items' steps."""
MASK = "***"
_LONGEST_VALUE = 200
_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "containers": (("name",),),
    "initContainers": (("name",),),
    "volumes": (("name",),),
    "env": (("name",),),
    "imagePullSecrets": (("name",),),
    "sysctls": (("name",),),
    "volumeMounts": (("mountPath",),),
    "hostAliases": (("ip",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "ports": (("name",), ("containerPort", "protocol"), ("containerPort",), ("port", "protocol"), ("port",)),
    "items": (("path",),),
    "rules": (("host",),),
    "paths": (("path", "pathType"),),
    "tls": (("secretName",),),
    "httpHeaders": (("name",),),
}
"""Name of a list -> the keys to compare its items by: the first that all of them have, without two alike."""


@dataclass(frozen=True, slots=True)
class Change:
    """`path` holds the keys of maps, indexes of plain lists, and `[web]` for the item named web of a named list."""

    op: Literal["add", "remove", "change"]
    path: Path
    before: Any = None
    after: Any = None


def difference(before: Any, after: Any) -> list[Change]:
    """The changes from one to the other, ordered by path (maps by key, lists by position in `before`, then `after`)."""
    return list(_changes(before, after, ()))


def render_difference(changes: Iterable[Change], mask: bool = False) -> str:
    """One line for each change: `~ spec.replicas: 2 -> 3`. `mask` shows that values differ, never what they are."""
    return "\n".join(_line(one, mask) for one in changes)


def path_text(path: Path) -> str:
    """`spec.template.spec.containers[web].env[0]`; keys that are no names stand in quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.startswith("["):
            text += step
        elif step.replace("_", "").replace("-", "").isalnum():
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step)}]"
    return text


def _changes(before: Any, after: Any, path: Path) -> Iterator[Change]:
    match before, after:
        case dict(), dict():
            yield from _of_maps(before, after, path)
        case list() | tuple(), list() | tuple():
            yield from _of_lists(list(before), list(after), path)
        case _ if _same(before, after):
            return
        case _:
            yield Change("change", path, before, after)


def _same(before: Any, after: Any) -> bool:
    """JSON's equality: true is not 1, but 1 is 1.0."""
    return isinstance(before, bool) == isinstance(after, bool) and bool(before == after)


def _of_maps(before: dict[str, Any], after: dict[str, Any], path: Path) -> Iterator[Change]:
    for key in sorted({**before, **after}):
        if key not in after:
            yield Change("remove", (*path, key), before=before[key])
        elif key not in before:
            yield Change("add", (*path, key), after=after[key])
        else:
            yield from _changes(before[key], after[key], (*path, key))


def _of_lists(before: list[Any], after: list[Any], path: Path) -> Iterator[Change]:
    named = _named(before, after, path)
    if named is not None:
        yield from _of_named(*named, path)
        return
    for index in range(max(len(before), len(after))):
        if index >= len(after):
            yield Change("remove", (*path, index), before=before[index])
        elif index >= len(before):
            yield Change("add", (*path, index), after=after[index])
        else:
            yield from _changes(before[index], after[index], (*path, index))


def _named(before: list[Any], after: list[Any], path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Both lists as maps from `[name]` to item, if every item has a name of its own."""
    last = path[-1] if path else ""
    for keys in _KEYS.get(last, ()) if isinstance(last, str) else ():
        left, right = _by(before, keys), _by(after, keys)
        if left is not None and right is not None:
            return left, right
    return None


def _by(items: list[Any], keys: tuple[str, ...]) -> dict[str, Any] | None:
    named: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, dict) or not all(isinstance(item.get(key), str | int) for key in keys):
            return None
        named[f"[{'/'.join(str(item[key]) for key in keys)}]"] = item
    return named if len(named) == len(items) else None


def _of_named(before: dict[str, Any], after: dict[str, Any], path: Path) -> Iterator[Change]:
    for name in before:
        if name not in after:
            yield Change("remove", (*path, name), before=before[name])
        else:
            yield from _changes(before[name], after[name], (*path, name))
    for name in after:
        if name not in before:
            yield Change("add", (*path, name), after=after[name])
    # The order that results from removing and appending is the one that needs no mention.
    expected = [name for name in before if name in after] + [name for name in after if name not in before]
    if expected != list(after):
        yield Change("change", (*path, ORDER), list(before), list(after))


def _line(change: Change, mask: bool) -> str:
    where = path_text(change.path) or "(all)"
    before, after = (MASK if mask else _value(one) for one in (change.before, change.after))
    match change.op:
        case "add":
            return f"+ {where}: {after}"
        case "remove":
            return f"- {where}: {before}"
        case _:
            return f"~ {where}: {before} -> {after}"


def _value(found: Any) -> str:
    text = json.dumps(found, ensure_ascii=False, sort_keys=True, default=str)
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
