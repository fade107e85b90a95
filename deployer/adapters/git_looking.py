"""What stands at paths of a commit, read out of a mirror: for paths whose files name further files.

Two calls of Git a round, however many paths are asked for: `ls-tree` says what is there, `cat-file` what is in it.
Nothing is followed: a link, a submodule, a pointer of Git LFS and a file above 1 MiB are answered as what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import git as gitpython

from deployer.adapters.git_environment import MAX_FILE_BYTES
from deployer.adapters.git_failure import GitFailed
from deployer.adapters.git_process import GitCommand
from deployer.adapters.git_tree import (
    LFS_HEADER,
    MAX_TOTAL_BYTES,
    TreeEntry,
    contents_of,
    entries_of,
    kind_refusal,
    name_refusal,
    sizes_of,
)
from deployer.core.rendering.collecting import MAX_FILES, MISSING, Asked, Found
from deployer.core.rendering.ways import MARKERS, join
from deployer.core.source import CommitInfo

ASKED_AT_ONCE = 500
"""Paths on one command line."""
MAX_MESSAGE_LENGTH = 4096
MAX_COMMIT_BYTES = 1024 * 1024


def standing_at(reader: GitCommand, root: str, path: str) -> tuple[TreeEntry | None, frozenset[str]]:
    """What the tree `root` holds at this path, and which files that decide how it is rendered stand in it."""
    found = {one.path: one for one in _at(reader, root, [*([path] if path else []), *(join(path, n) for n in MARKERS)])}
    names = frozenset(name for name in MARKERS if (one := found.get(join(path, name))) and one.kind == "blob")
    return (found.get(path) if path else TreeEntry("040000", "tree", root, "")), names


@dataclass(frozen=True, slots=True)
class MirrorLook:
    """Answers what a collector asks. `omitted`: ids of blobs that a fetch left out for their size."""

    reader: GitCommand
    root: str
    omitted: set[str]

    def __call__(self, asked: Asked) -> Mapping[str, Found]:
        folders = [path for path in asked if path.endswith("/")]
        paths = [path for path in asked if path not in folders and not path.startswith(":") and "\0" not in path]
        entries = {one.path: one for one in _at(self.reader, self.root, paths)}
        wanted = [entries[path] for path in paths if path in entries and entries[path].kind == "blob"]
        known = self._files([one for one in wanted if not kind_refusal(one)])
        made = {path: self._found(entries.get(path), known) for path in asked if path not in folders}
        made.update({path: Found("folder", names=tuple(self._below(path))) for path in folders})
        return made

    def _found(self, entry: TreeEntry | None, known: Mapping[str, Found]) -> Found:
        if entry is None:
            return MISSING
        if entry.mode == "120000":
            return Found("link", oid=entry.oid)
        if entry.kind == "commit":
            return Found("submodule", oid=entry.oid)
        return Found("folder", oid=entry.oid) if entry.kind == "tree" else known[entry.oid]

    def _files(self, entries: list[TreeEntry]) -> dict[str, Found]:
        """By object id."""
        sizes = sizes_of(self.reader, entries, self.omitted)
        small, total_bytes = [], 0
        for oid in sorted({entry.oid for entry in entries}):
            size_bytes = sizes.get(oid, MAX_FILE_BYTES + 1)
            if size_bytes <= MAX_FILE_BYTES and total_bytes + size_bytes <= MAX_TOTAL_BYTES:
                small.append(oid)
                total_bytes += size_bytes
        contents = contents_of(self.reader, small)
        made = {oid: Found("file", data, oid) for oid, data in contents.items()}
        for entry in entries:
            if entry.oid not in made:
                limit = f"{MAX_FILE_BYTES >> 20} MiB"
                made[entry.oid] = Found("refused", oid=entry.oid, why=f"has more than {limit}: make it smaller")
            elif made[entry.oid].data.startswith(LFS_HEADER):
                why = "is a Git LFS pointer, which is not resolved: commit the file itself"
                made[entry.oid] = Found("refused", oid=entry.oid, why=why)
        return made

    def _below(self, path: str) -> Iterator[str]:
        """`folder/`: everything below; `folder//`: what stands in it."""
        folder = path.rstrip("/")
        command = ["ls-tree", *([] if path.endswith("//") else ["-r"]), "-z", "--full-tree", self.root]
        output = self.reader.run([*command, *(["--", f"{folder}/"] if folder else [])])
        for number, entry in enumerate(entries_of(output, "")):
            if number > MAX_FILES:
                break
            if entry.kind != "tree" and not name_refusal(entry.path):
                yield entry.path


def oids_at(reader: GitCommand, root: str, paths: Iterable[str]) -> dict[str, str]:
    """What stands at each of these paths, read or left out alike; "" where nothing does. The root is ""."""
    wanted = set(paths)
    found = {one.path: one.oid for one in _at(reader, root, wanted - {""})}
    return {path: found.get(path, "") if path else root for path in wanted}


def _at(reader: GitCommand, root: str, paths: Iterable[str]) -> Iterator[TreeEntry]:
    """What stands at exactly these paths. `-t`: a folder is told of when something in it is asked for, too."""
    wanted = sorted(set(paths))
    for start in range(0, len(wanted), ASKED_AT_ONCE):
        some = wanted[start : start + ASKED_AT_ONCE]
        output = reader.run(["ls-tree", "-t", "-z", "--full-tree", root, "--", *some])
        exact = set(some)
        yield from (one for one in entries_of(output, "") if one.path in exact)


def read_commit(reader: GitCommand, path: Path, sha: str) -> CommitInfo:
    """What the commit says of itself, out of the mirror at `path`. Raises GitFailed when that is too much."""
    # Closed by `with`: GitPython keeps `cat-file` children for as long as a Repo lives.
    with gitpython.Repo(path, expand_vars=False) as repository:
        repository.git.update_environment(**reader.environment)
        binary = bytes.fromhex(sha)
        if repository.odb.info(binary).size > MAX_COMMIT_BYTES:
            raise GitFailed("TooLarge", f"{reader.display}: commit {sha[:7]} has a message above 1 MiB")
        commit = gitpython.Commit(repository, binary)
        author = _plain(commit.author.name or commit.author.email or "unknown")
        message = commit.message if isinstance(commit.message, str) else commit.message.decode("utf-8", "replace")
        return CommitInfo(sha, author[:255], _plain(message)[:MAX_MESSAGE_LENGTH].strip(), float(commit.committed_date))


def _plain(text: str) -> str:
    """The text without control characters but line ends: it is shown on pages and in terminals."""
    return "".join(character for character in text if character.isprintable() or character == "\n")
