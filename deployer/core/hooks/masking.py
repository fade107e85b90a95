"""A payload for the log: what may be a secret is taken out, and the rest is cut to a length that can be kept."""

from __future__ import annotations

import json
import re
from typing import Any

from deployer.core.hooks.payloads import Payload

MASK = "(hidden)"
LONGEST = 64 << 10
"""Characters of a payload that are kept."""
DEEPEST = 64
_NAMES = re.compile(r"secret|token|password|passwd|authorization|credential|private|api_?key|cookie", re.IGNORECASE)
# Lengths are bounded: text from outside must not make matching slow.
_IN_ADDRESS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]{0,15}://)[^/@\s\"]{1,512}@", re.IGNORECASE)


def masked(payload: Payload) -> str:
    """JSON with an indent of two."""
    text = json.dumps(_walked(payload, DEEPEST), indent=2, ensure_ascii=False).encode(errors="replace").decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n(cut: {len(text)} characters)"


def _walked(value: Any, depth: int) -> Any:
    if depth == 0:
        return "(too deep to be kept)"
    if isinstance(value, dict):
        return {key: MASK if _is_secret(key, one) else _walked(one, depth - 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_walked(one, depth - 1) for one in value]
    return _IN_ADDRESS.sub(rf"\g<scheme>{MASK}@", value) if isinstance(value, str) else value


def _is_secret(key: str, value: Any) -> bool:
    """By its name; `private: true` of a repository is none."""
    return bool(_NAMES.search(key)) and isinstance(value, (str, list, dict)) and bool(value) and not _is_address(value)


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))
