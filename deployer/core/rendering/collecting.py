"""Which files of a commit a path needs, found round by round: a kustomization names bases, these name others.

A generator asks for paths and is told what stands there; who drives it reads Git's mirror, or a disk (for `plan`).

    needs = collecting(way, values)
    found = drive(needs, look)        # look(paths) -> what stands at each

It never follows a link and never leaves the repository; what is named and cannot be had is refused with file and line,
before any program sees a file. Equal ids mean equal content, bases and all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from deployer.core.manifests import ManifestError
from deployer.core.repository import SourceFile, SourceTree

MAX_FILES = 5_000
MAX_ROUNDS = 200
"""Of looking, one for each level of bases: deeper is a circle that its names hide."""

What = Literal["file", "folder", "link", "submodule", "refused", "missing"]


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at a path. `data` of a file; `why` it is refused (too large, a pointer of LFS); `oid` its content.

    `names`: of a folder, the paths of all files below it when `path/` was asked for, of those in it for `path//`.
    """

    what: What
    data: bytes = field(default=b"", repr=False)
    oid: str = ""
    why: str = ""
    names: tuple[str, ...] = ()


MISSING = Found("missing")
Asked = frozenset[str]
Needs = Generator[Asked, Mapping[str, Found], "Collected"]


@dataclass(frozen=True, slots=True)
class Collected:
    """`errors`: why it cannot be rendered, with file and line. `files`: path -> what was found, all of them files."""

    files: Mapping[str, Found]
    errors: tuple[ManifestError, ...] = ()

    @property
    def tree(self) -> SourceTree:
        files = tuple(SourceFile(path, one.data) for path, one in sorted(self.files.items()))
        return SourceTree(files, (), self.errors)

    @property
    def id(self) -> str:
        """64 hexadecimal digits: of the paths and contents, and of what is missing."""
        rows = [f"{path}\0{one.oid}" for path, one in sorted(self.files.items())]
        rows += sorted(str(error) for error in self.errors)
        return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogateescape")).hexdigest()


def drive(needs: Needs, look: Callable[[Asked], Mapping[str, Found]]) -> Collected:
    """Answer what is asked until nothing is asked any more."""
    try:
        asked = next(needs)
        while True:
            asked = needs.send(look(asked))
    except StopIteration as ended:
        found: Collected = ended.value
        return found


class Gathering:
    """What is known so far, for the collectors of each way."""

    def __init__(self) -> None:
        self.known: dict[str, Found] = {}
        self.files: dict[str, Found] = {}
        self.errors: list[ManifestError] = []
        self._rounds = 0

    def ask(self, paths: Iterable[str]) -> Generator[Asked, Mapping[str, Found], None]:
        """Come to know these. What stands there is not taken yet."""
        wanted = frozenset(path for path in paths if path not in self.known)
        self._rounds += 1
        if wanted and self._rounds <= MAX_ROUNDS:
            told = yield wanted
            self.known.update(told)

    def at(self, path: str) -> Found:
        return self.known.get(path, MISSING)

    def take(self, path: str) -> None:
        if self.at(path).what == "file":
            self.files[path] = self.known[path]

    def error(self, file: str, line: int, field_text: str, message: str, remedy: str) -> None:
        self.errors.append(ManifestError(file, line, field_text, message, remedy))

    def collected(self, file: str) -> Collected:
        if len(self.files) > MAX_FILES:
            message = f"needs {len(self.files):,} files; at most {MAX_FILES:,} are taken"
            self.error(file, 0, "", message, "split it into several applications")
        return Collected(self.files, tuple(dict.fromkeys(self.errors)))


def resolved(folder: str, name: str) -> str | None:
    """The path that `name` means in `folder`, from the repository's root; None when it leads out of it."""
    if name.startswith("/"):
        return None
    parts: list[str] = [part for part in folder.split("/") if part]
    for part in name.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return None if any(part.lower() == ".git" for part in parts) else "/".join(parts)


def why_not(found: Found) -> tuple[str, str]:
    """(message, remedy) for what stands where a file was named; ("", "") when it is one."""
    match found.what:
        case "file":
            return "", ""
        case "link":
            return "is a symbolic link, which is not followed", "put the file itself there"
        case "submodule":
            return "is a submodule, which is not fetched", "put the files into this repository"
        case "refused":
            message, _, remedy = found.why.partition(": ")
            return message, remedy
        case "folder":
            return "is a folder where a file is meant", "name the file"
    return "does not exist in the repository", "correct the path, or push the file"
