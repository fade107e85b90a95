"""A commit on top of a branch that brings some paths back to what they held at an earlier commit, and nothing else.

    head's tree -> an index of our own -> the paths' entries out, the earlier commit's in -> tree -> commit

Only ids and modes are moved: no content is read, so links, submodules, large files and blobs that the mirror never
fetched come back as they were. No file of the repository is ever written to disk, and none of its hooks runs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deployer.adapters.git_commit import Author, commit_tree
from deployer.adapters.git_failure import GitFailed
from deployer.adapters.git_process import GitCommand

_GONE = "0" * 40
Counts = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """`op`: add, change or remove. Lines that come and go, None where nobody can tell (binary, or not fetched)."""

    op: str
    path: str
    plus: int | None = None
    minus: int | None = None


def commit_paths(
    mirror: GitCommand, head: str, earlier: str, paths: Sequence[str], author: Author, message: str, at: float
) -> str:
    """The id of a commit on `head` in which the (checked) paths, "" for all, hold what they held at `earlier`."""
    with tempfile.TemporaryDirectory(prefix="pierhead-index-") as folder:
        index = str(Path(folder) / "index")
        git = replace(mirror, environment=type(mirror.environment)(mirror.environment | {"GIT_INDEX_FILE": index}))
        git.run(["read-tree", f"{head}^{{tree}}"])
        out = [b"0 " + _GONE.encode() + b"\t" + name for _, name in _entries(git, head, paths)]
        back = [entry + b"\t" + name for entry, name in _entries(git, earlier, paths)]
        git.run(["update-index", "-z", "--index-info"], data=b"".join(line + b"\0" for line in [*out, *back]))
        tree = git.run(["write-tree", "--missing-ok"]).decode("ascii").strip()
    return commit_tree(mirror, head, tree, author, message, at)


def changed_files(mirror: GitCommand, head: str, earlier: str, paths: Sequence[str]) -> list[ChangedFile]:
    """What `commit_paths` changes, by path. Reads names and ids; contents only to count lines, where they are here."""
    below = ["--", *_all_or(paths)]
    raw = mirror.run(["diff-tree", "-r", "-z", "--raw", "--no-renames", head, earlier, *below]).split(b"\0")
    ops = {b"A": "add", b"D": "remove"}
    found = [(ops.get(head_[-1:], "change"), name) for head_, name in zip(raw[::2], raw[1::2], strict=False) if name]
    counts = _counts(mirror, head, earlier, below)
    return [
        ChangedFile(op, name.decode("utf-8", "replace"), *counts.get(name, (None, None)))
        for op, name in sorted(found, key=lambda one: one[1])
    ]


def _all_or(paths: Sequence[str]) -> list[str]:
    return [] if "" in paths else sorted(set(paths))


def _entries(git: GitCommand, commit: str, paths: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """(mode and id, name) of everything at and below the paths; names are bytes, since they need not be UTF-8."""
    lines = git.run(["ls-tree", "-r", "-z", "--full-tree", commit, "--", *_all_or(paths)]).split(b"\0")
    found = []
    for line in filter(None, lines):
        head, _, name = line.partition(b"\t")
        mode, _kind, oid = head.split()
        found.append((mode + b" " + oid, name))
    return found


def _counts(mirror: GitCommand, head: str, earlier: str, below: list[str]) -> dict[bytes, Counts]:
    options = ["-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv"]
    try:
        lines = mirror.run(["diff-tree", *options, head, earlier, *below]).split(b"\0")
    except GitFailed:
        return {}  # one of them is too large to be here
    found: dict[bytes, Counts] = {}
    for line in filter(None, lines):
        plus, minus, name = line.split(b"\t", 2)
        found[name] = (int(plus), int(minus)) if plus.isdigit() and minus.isdigit() else (None, None)
    return found
