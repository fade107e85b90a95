"""Manifests on this machine's disk, read by the rules that hold for those in Git: `plan` must promise nothing else.

Suffixes, sizes and what is refused are those of `deployer.adapters.git_tree`, without loading Git.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from control.management.failure import Failure
from deployer.core.rendering.collecting import MISSING, Asked, Found
from deployer.core.rendering.needs import collect
from deployer.core.rendering.ways import Way, way_of_file, way_of_folder
from deployer.core.repository import RepositoryRefused, SourceFile, SourceTree, check_path

SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES = 20_000
MAX_FILE_BYTES = 1 << 20


def read_path(path: Path, values: Sequence[str] = ()) -> tuple[SourceTree, str]:
    """What rendering `path` takes, and the path as the renderer is to be told it.

    Manifests are named as the person who asked would name them; what a kustomization, a Compose file or a chart needs,
    from the root of the checkout (where `.git` is), as in Git.
    """
    if not path.exists():
        raise Failure(f"{path} does not exist: name a folder or a file with manifests")
    root = _root(path)
    inside = path.resolve().relative_to(root).as_posix()
    inside = "" if inside == "." else inside
    way = _way(path, inside)
    if way.refusal:
        raise Failure(f"{path} {way.refusal}")
    if way.kind == "plain":
        return _plain(path), str(path)
    try:
        return collect(way, [check_path(one) for one in values], DiskLook(root)).tree, inside
    except RepositoryRefused as refused:
        raise Failure(refused.sentence) from refused


class DiskLook:
    """Answers what a collector asks from a checkout, as the mirror would once it is pushed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, asked: Asked) -> Mapping[str, Found]:
        return {path: self._at(path) for path in asked}

    def _at(self, path: str) -> Found:
        if path.endswith("/"):
            return Found("folder", names=tuple(self._names(path)))
        found, parts = self._root, path.split("/")
        for part in parts:
            found = found / part
            if found.is_symlink():
                return Found("link") if part == parts[-1] else MISSING
        if found.is_dir():
            return Found("folder")
        if not found.is_file():
            return MISSING
        if found.stat().st_size > MAX_FILE_BYTES:
            return Found("refused", why="has more than 1 MiB: make it smaller")
        data = _content(found)
        return Found("file", data, hashlib.sha256(data).hexdigest())

    def _names(self, path: str) -> Iterator[str]:
        folder = self._root / path.rstrip("/")
        for found in sorted(folder.iterdir() if path.endswith("//") else _below(folder)) if folder.is_dir() else ():
            if found.is_symlink() or not found.is_dir():
                yield found.relative_to(self._root).as_posix()


def _root(path: Path) -> Path:
    """The folder that is the repository's root. Without a checkout: where one stands, or the folder that is named."""
    whole, here = path.resolve(), Path.cwd()
    start = whole if whole.is_dir() else whole.parent
    known = next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), None)
    return known or (here if here in (start, *start.parents) else start)


def _way(path: Path, inside: str) -> Way:
    if path.is_file():
        return way_of_file(inside)
    return way_of_folder(inside, (one.name for one in path.iterdir() if one.is_file() and not one.is_symlink()))


def _plain(path: Path) -> SourceTree:
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
