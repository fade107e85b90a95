"""A JSON column that is encrypted at rest.

AES-256-GCM under the installation's key, with `table:primary key:column` as associated data, so that a ciphertext
that is moved to another row or column does not decrypt. The primary key must be known before the first save, which
holds for all our models (they make their own uids).
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import models


class SealError(Exception):
    """A sealed value does not decrypt: the key is another one, or the value was moved or changed."""


class Sealed:
    """The value of a SealedField: `load()` decrypts, `store(value)` replaces. Its repr shows nothing."""

    __slots__ = ("_field", "_instance")

    def __init__(self, instance: models.Model, field: str) -> None:
        self._instance, self._field = instance, field

    def __repr__(self) -> str:
        return "<sealed>"

    @property
    def text(self) -> str:
        """As it is in the column."""
        return str(self._instance.__dict__.get(self._field) or "")

    def load(self) -> dict[str, Any]:
        return dict(json.loads(unseal(self.text, self._context()))) if self.text else {}

    def store(self, value: dict[str, Any]) -> None:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        self._instance.__dict__[self._field] = seal(text.encode(), self._context()) if value else ""

    def _context(self) -> str:
        return f"{self._instance._meta.db_table}:{self._instance.pk}:{self._field}"


class _SealedDescriptor:
    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: models.Model | None, owner: type[models.Model]) -> Any:
        return self if instance is None else Sealed(instance, self.name)

    def __set__(self, instance: models.Model, value: Any) -> None:
        # Django sets raw column text here when it loads a row, and another instance's value when it refreshes one;
        # people go through `store`.
        text = value.text if isinstance(value, Sealed) else value
        instance.__dict__[self.name] = text if isinstance(text, str) else ""


class SealedField(models.TextField):  # type: ignore[type-arg]
    """Use as `row.credentials.load()` and `row.credentials.store({...})`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"default": "", "blank": True, "editable": False, **options})

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only)
        setattr(cls, name, _SealedDescriptor(name))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: ARG002 - Django's signature
        return model_instance.__dict__.get(self.attname, "")

    def value_from_object(self, obj: models.Model) -> Any:
        return obj.__dict__.get(self.attname, "")


def seal(data: bytes, context: str) -> str:
    nonce = os.urandom(12)
    return base64.b64encode(nonce + AESGCM(_key()).encrypt(nonce, data, context.encode())).decode()


def unseal(text: str, context: str) -> bytes:
    raw = base64.b64decode(text)
    try:
        return AESGCM(_key()).decrypt(raw[:12], raw[12:], context.encode())
    except InvalidTag as error:
        raise SealError(
            f"{context} does not decrypt: the encryption key is another one, or the row was altered; "
            "restore the key that belongs to this database"
        ) from error


def _key() -> bytes:
    key: bytes = settings.PIERHEAD.encryption_key
    return key
