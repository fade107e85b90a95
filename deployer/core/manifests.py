"""Bytes of a commit -> objects, or errors with file, line and field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from deployer.core.repository import SourceFile

ObjectKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    api_version: str
    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: Mapping[str, Any]
    file: str
    line: int

    @property
    def key(self) -> ObjectKey:
        return (self.kind, self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class ManifestError:
    file: str
    line: int
    field: str
    message: str
    remedy: str
    object: str = ""

    def __str__(self) -> str:
        place = ": ".join(part for part in (f"{self.file}:{self.line}", self.object, self.field) if part)
        return f"{place}: {self.message}" + (f" ({self.remedy})" if self.remedy else "")


@dataclass(frozen=True, slots=True)
class ReadResult:
    manifests: tuple[Manifest, ...]
    errors: tuple[ManifestError, ...]
    warnings: tuple[ManifestError, ...]


@dataclass(frozen=True, slots=True)
class NamespacePolicy:
    allowances: frozenset[str] = frozenset()


def read_manifests(
    files: Iterable[SourceFile],
    *,
    default_namespace: str,
    policies: Mapping[str, NamespacePolicy],
    cache: MutableMapping[Any, Any] | None = None,
) -> ReadResult:
    return ReadResult((), (), ())
