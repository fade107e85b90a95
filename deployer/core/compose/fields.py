"""Reading one field of a Compose file: what kind of value it must have, and what is said when it has another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from deployer.core.compose.nodes import Node, Problems
from deployer.core.compose.words import Unreadable, whole

T = TypeVar("T")
_TRUE, _FALSE = ("true", "yes", "on", "y"), ("false", "no", "off", "n")


def read(node: Node, reader: Callable[[str], T], problems: Problems) -> T | None:
    """What a reader makes of the text; None with an error when it cannot."""
    if not node.is_text:
        problems.error(node, "must be one value", "write it as text or as a number")
        return None
    try:
        return reader(node.text)
    except Unreadable as why:
        problems.error(node, why.message, why.remedy)
        return None


def truth(node: Node | None, problems: Problems) -> bool:
    """False for a field that is not there."""
    if node is None:
        return False
    if node.text.lower() not in (*_TRUE, *_FALSE):
        problems.error(node, "must be true or false", "write one of them")
    return node.text.lower() in _TRUE


def number(node: Node | None, problems: Problems, lowest: int = 0, highest: int = 2**31 - 1) -> int | None:
    return None if node is None else read(node, lambda text: whole(text, lowest, highest), problems)


def text_of(node: Node | None, problems: Problems) -> str:
    """ "" for a field that is not there."""
    if node is None:
        return ""
    if not node.is_text:
        problems.error(node, "must be text", "write one value")
    return node.text


def texts_of(node: Node | None, problems: Problems) -> list[Node]:
    """A list of texts, or one."""
    if node is None:
        return []
    found = [node] if node.is_text else list(node.list)
    if not node.is_text and not isinstance(node.value, tuple):
        problems.error(node, "must be a list", "write '- ' before each value")
    for one in found:
        if not one.is_text:
            problems.error(one, "must be text", "write one value")
    return [one for one in found if one.is_text]


def refuse_rest(
    node: Node, honoured: Iterable[str], refused: Mapping[str, str], problems: Problems, what: str, kept: str = ""
) -> None:
    """Every field that is not honoured is refused by name; `x-...` is nobody's, by Compose's own rule.

    `refused`: field -> why and what to write instead, with ": " between them. `kept`: what is honoured, when few.
    """
    if not node.map:
        if node.value is not None and not isinstance(node.value, Mapping):
            problems.error(node, f"{what} must be a map of fields", "write NAME: VALUE on lines of their own")
        return
    known = set(honoured)
    for name, one in node.items():
        if name in known or name.startswith("x-"):
            continue
        why, _, remedy = refused.get(name, "").partition(": ")
        if name in refused and not remedy:
            why, remedy = "", why
        told = f"is not mapped: {why}" if why else "is not mapped"
        if name in refused:
            if not _is_off(one):
                problems.error(one, told, remedy)
        else:
            listed = ", ".join(sorted(known)) if len(known) < 16 else ""
            problems.error(
                one,
                f"is not a field of {what} that Pierhead knows",
                kept or (f"there are {listed}" if listed else "check its name"),
            )


def _is_off(node: Node) -> bool:
    """`init: false`, `devices: []`, `logging:` with nothing: what asks for nothing is not refused."""
    if node.is_text:
        return node.text.lower() in _FALSE
    return not node.value
