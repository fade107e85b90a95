"""One thing that is wrong with an object, before its file and line are known."""

from __future__ import annotations

import re
from dataclasses import dataclass

Path = tuple[str | int, ...]

_SIMPLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Finding:
    """`message` says what is wrong with the field at `path`, `remedy` what to write instead ("" when it is plain)."""

    path: Path
    message: str
    remedy: str = ""
    is_warning: bool = False


def field_text(path: Path) -> str:
    """`spec.containers[0].image`, and `metadata.labels["app.kubernetes.io/name"]` for keys that are no names."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _SIMPLE.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{shown(step)}"]'
    return text


def shown(text: str) -> str:
    """Text from a manifest as it may stand in a sentence: printable, at most 120 characters."""
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
