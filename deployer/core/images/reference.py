"""Image references, as Docker reads them: `nginx:1.25`, `ghcr.io/shop/web:1.2@sha256:...`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

DOCKER_HUB = "docker.io"
_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REGISTRY = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
LONGEST = 1024


class BadReference(ValueError):
    """It is no image reference; the text says why."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`name` is what stands before the tag, as it was written; `registry` and `repository` are what it means."""

    name: str
    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def effective_tag(self) -> str:
        """What is meant when neither tag nor digest is written."""
        return self.tag or ("" if self.digest else "latest")

    @property
    def whole(self) -> str:
        """Registry and repository: equal for all spellings of one repository."""
        return f"{self.registry}/{self.repository}"

    def at(self, tag: str, digest: str = "") -> Reference:
        return replace(self, tag=tag, digest=digest)


def parse_reference(text: str) -> Reference:
    """Raises BadReference."""
    if len(text) > LONGEST:
        raise BadReference(f"has {len(text)} characters; at most {LONGEST} are read")
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise BadReference("the digest after '@' must be sha256: and 64 hexadecimal digits")
    head, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not is_tag(tag):
        raise BadReference("the tag after ':' holds characters that no tag has")
    name = head + slash + last
    registry, repository = _split(name)
    if not _NAME.fullmatch(repository) or not _REGISTRY.fullmatch(registry):
        raise BadReference("write REGISTRY/REPOSITORY:TAG, in lower case")
    return Reference(name, registry, repository, tag, digest)


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def _split(name: str) -> tuple[str, str]:
    """(registry, repository): a first part with a dot or a port, or `localhost`, is a registry."""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry = DOCKER_HUB if first in ("index.docker.io", "registry-1.docker.io") else first
        return registry, (f"library/{rest}" if registry == DOCKER_HUB and "/" not in rest else rest)
    return DOCKER_HUB, (name if slash else f"library/{name}")
