"""SOPS' words: an encrypted value, what of a file is encrypted, and what its message authentication code (MAC) covers.

A value is `ENC[AES256_GCM,data:...,iv:...,tag:...,type:...]`, bound to its place by the keys that lead to it. The MAC
is SHA-512 over the plain values in the order of the file, itself encrypted and bound to the time of the last change.
So a value that is changed, moved, added, left out or put in another order is found.

Which values are encrypted is told by suffixes or regular expressions of their keys. A repository may be hostile: its
expressions run in an engine whose time is linear. Where comments decide, which are no part of what is read here, a
value counts as encrypted when it looks so; the MAC holds all the same.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import jsonschema_rs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from deployer.core.yaml_values import FLOAT, INTEGER, integer

TAMPERED = "was changed after it was encrypted, or comes from another place or file"
ANEW = "take the file back from where it was right, or encrypt it anew with sops"
LONGEST_EXPRESSION = 1000

_VALUE = re.compile(r"ENC\[AES256_GCM,data:([^,]*),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]")
_ONLY_ENCRYPTED = hashlib.sha256(b"sops").digest()
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INFINITIES = {f"{sign}.{word}": said for sign, said in (("", "+Inf"), ("+", "+Inf"), ("-", "-Inf"))
               for word in ("inf", "Inf", "INF")}  # fmt: skip
_BOOLEANS = {**dict.fromkeys(("true", "True", "TRUE"), "True"), **dict.fromkeys(("false", "False", "FALSE"), "False")}
_TRUTHS = {**dict.fromkeys(("1", "t", "T", "true", "True", "TRUE"), True),
           **dict.fromkeys(("0", "f", "F", "false", "False", "FALSE"), False)}  # fmt: skip
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))


class SopsRefused(Exception):
    """A file that is not opened. Neither sentence holds a value; `line` counts from 1, 0 is the whole file."""

    def __init__(self, message: str, remedy: str, line: int = 0, field: str = "") -> None:
        super().__init__(message)
        self.message, self.remedy, self.line, self.field = message, remedy, line, field


@dataclass(frozen=True, slots=True)
class Plain:
    """A decrypted value: how YAML writes it (on one line), its text, and its bytes as the MAC counts them."""

    written: str = field(repr=False)
    text: str = field(repr=False)
    counted: bytes = field(repr=False)


class Rule:
    """Which values of a file are encrypted, by the keys that lead to them."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = metadata
        self.by_look = any(metadata.get(f"{one}encrypted_comment_regex") for one in ("", "un"))

    def covers(self, keys: tuple[str, ...]) -> bool:
        """Each word that is given overrules those before it, as for sops."""
        covered = True
        if suffix := self._word("unencrypted_suffix"):
            covered = not any(key.endswith(suffix) for key in keys)
        if suffix := self._word("encrypted_suffix"):
            covered = any(key.endswith(suffix) for key in keys)
        if expression := self._word("unencrypted_regex"):
            covered = covered and not any(_matcher(expression).is_valid(key) for key in keys)
        if expression := self._word("encrypted_regex"):
            covered = any(_matcher(expression).is_valid(key) for key in keys)
        return covered

    def _word(self, name: str) -> str:
        return str(self._metadata.get(name) or "")


class Mac:
    """The hash over a file's values, and the comparison with what the file says it is."""

    def __init__(self, *, only_encrypted: bool) -> None:
        self._only_encrypted = only_encrypted
        self._hash = hashlib.sha512(_ONLY_ENCRYPTED if only_encrypted else b"")

    def count(self, data: bytes, *, encrypted: bool) -> None:
        if encrypted or not self._only_encrypted:
            self._hash.update(data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest().upper()


def is_encrypted(text: str) -> bool:
    return _VALUE.fullmatch(text) is not None


def decrypted(text: str, key: bytes, place: str) -> Plain:
    """`place` is what the value is bound to. Raises SopsRefused; "" is what sops makes of an empty text."""
    if not text:
        return Plain('""', "", b"")
    match = _VALUE.fullmatch(text)
    if match is None:
        raise SopsRefused("is not encrypted, though the rule of this file says that it is", ANEW)
    try:
        data, nonce, tag = (base64.b64decode(part, validate=True) for part in match.groups()[:3])
        found = AESGCM(key).decrypt(nonce, data + tag, place.encode())
    except (InvalidTag, ValueError, binascii.Error):
        raise SopsRefused(TAMPERED, ANEW) from None
    try:
        return _typed(found.decode(), match[4])
    except ValueError:
        raise SopsRefused(f"holds no value of its type ({match[4]}) that YAML could hold", ANEW) from None


def counted(text: str) -> bytes | None:
    """The bytes that an unquoted and unencrypted value is counted as; None for a null, which is not."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text].encode()
    if text in _INFINITIES:
        return _INFINITIES[text].encode()
    if text[0] not in "0123456789+-.":
        return text.encode()
    if _DATE.fullmatch(text):
        return f"{text}T00:00:00Z".encode()
    digits = text.replace("_", "")
    if INTEGER.fullmatch(digits) and -(2**63) <= (number := integer(digits)) < 2**63:
        return str(number).encode()
    return _decimal(float(digits)).encode() if FLOAT.fullmatch(digits) else text.encode()


def quoted(text: str) -> str:
    """Any text as YAML's double-quoted scalar on one line; where JSON can say it, as JSON does."""
    return f'"{"".join(_escaped(character) for character in text)}"'


@functools.lru_cache(64)
def _matcher(expression: str) -> Any:
    """Of JSON Schema's validator, which has an engine whose time is linear in the text."""
    if len(expression) > LONGEST_EXPRESSION:
        raise SopsRefused(f"its rule has an expression above {LONGEST_EXPRESSION} characters", "shorten it")
    try:
        return jsonschema_rs.validator_for({"pattern": expression}, pattern_options=jsonschema_rs.RegexOptions())
    except (ValueError, jsonschema_rs.ValidationError):
        raise SopsRefused("its rule is no regular expression that is understood here", "simplify it") from None


def _typed(text: str, kind: str) -> Plain:
    """Raises ValueError for a text that is not of its kind."""
    match kind:
        case "str" | "bytes" | "time":
            return Plain(quoted(text), text, text.encode())
        case "int":
            return Plain(str(int(text)), text, str(int(text)).encode())
        case "float" if math.isfinite(float(text)):
            return Plain(repr(float(text)), text, _decimal(float(text)).encode())
        case "bool" if text in _TRUTHS:
            return Plain(str(_TRUTHS[text]).lower(), text, str(_TRUTHS[text]).encode())
    raise ValueError


def _decimal(number: float) -> str:
    """As Go writes it without an exponent: 1.5, 3, 1000000000000000000000000000000."""
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
