"""What rendering came to, and how it is read: objects with where each comes from, or errors.

Rendered text has no lines that anybody wrote. So an error in an object that kustomize or Helm made names the object and
the file that it comes from, as far as the tool says so; one that was made from a Compose file, its line there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.core.manifest_set import Known
from deployer.core.manifests import Manifest, ManifestError, NamespacePolicy, ReadResult, read_manifests
from deployer.core.rendering.ways import Way
from deployer.core.repository import SourceFile


@dataclass(frozen=True, slots=True)
class Piece:
    """One rendered document; `origin` is the file of the repository that it comes from.

    `decrypted`: that file stood encrypted in Git.
    """

    origin: str
    data: bytes = field(repr=False)
    decrypted: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """`pieces` is empty while there are errors."""

    way: Way
    pieces: tuple[Piece, ...] = ()
    errors: tuple[ManifestError, ...] = ()
    warnings: tuple[ManifestError, ...] = ()


def read_rendered(
    rendered: Rendered, *, default_namespace: str, policies: Mapping[str, NamespacePolicy],
    cache: MutableMapping[Any, Any] | None = None, known: Known | None = None,
) -> ReadResult:  # fmt: skip
    """As `read_manifests`; `cache` is for plain files, which a commit mostly leaves alone."""
    files = [SourceFile(one.origin, one.data, one.decrypted) for one in rendered.pieces]
    kept = cache if rendered.way.kind == "plain" else None
    read = read_manifests(files, default_namespace=default_namespace, policies=policies, cache=kept, known=known)
    if rendered.way.kind != "plain":
        read = _relocated(read, rendered.way)
    errors, warnings = (*rendered.errors, *read.errors), (*rendered.warnings, *read.warnings)
    return ReadResult(read.manifests, errors, warnings)


def _relocated(read: ReadResult, way: Way) -> ReadResult:
    manifests = tuple(_placed(one, way) for one in read.manifests)
    return ReadResult(manifests, tuple(_told(read.errors, way)), tuple(_told(read.warnings, way)))


def _placed(one: Manifest, way: Way) -> Manifest:
    return one if way.kind == "compose" else replace(one, line=0)


def _told(errors: Iterable[ManifestError], way: Way) -> Iterable[ManifestError]:
    for one in errors:
        line = one.line if way.kind == "compose" else 0
        made = "made from the Compose file" if way.kind == "compose" else f"rendered by {way.word}"
        yield replace(one, line=line, message=f"{one.message} [{made}]")
