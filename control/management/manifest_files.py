"""Manifests on this machine's disk, read by the rules that hold for those in Git: `plan` must promise nothing else.

Suffixes, sizes and what is refused are those of `deployer.adapters.git_tree`, without loading Git.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from control.management.failure import Failure
from deployer.core.repository import SourceFile, SourceTree

SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES = 20_000
MAX_FILE_BYTES = 1 << 20


def read_path(path: Path) -> SourceTree:
    """The manifests at or below `path`, sorted, named as the person who asked would name them."""
    if not path.exists():
        raise Failure(f"{path} does not exist: name a folder or a file with manifests")
    files: list[SourceFile] = []
    refusals: list[tuple[str, str]] = []
    for found in sorted(_below(path)):
        reason = _refusal(found)
        if reason:
            refusals.append((str(found), reason))
        elif path.is_file() or found.suffix.lower() in SUFFIXES:
            files.append(SourceFile(str(found), _content(found)))
    if len(files) > MAX_FILES:
        raise Failure(f"{path} holds {len(files):,} manifest files; at most {MAX_FILES:,} are read: narrow the path")
    return SourceTree(tuple(files), tuple(refusals))


def _below(path: Path) -> Iterator[Path]:
    """Files and symbolic links; a checkout's own `.git` is not part of what it holds."""
    if path.is_file():
        yield path
        return
    for found in path.iterdir():
        if found.is_dir() and not found.is_symlink():
            if found.name.lower() != ".git":
                yield from _below(found)
        else:
            yield found


def _refusal(found: Path) -> str:
    if found.is_symlink():
        return "is a symbolic link, which is not followed: put the file itself here, or move the link out of the path"
    if found.suffix.lower() in SUFFIXES and found.stat().st_size > MAX_FILE_BYTES:
        return f"has {found.stat().st_size / (1 << 20):.1f} MiB; a manifest file has at most 1 MiB: split it"
    return ""


def _content(found: Path) -> bytes:
    try:
        return found.read_bytes()
    except OSError as error:
        raise Failure(f"{found} cannot be read: {error.strerror}") from error
