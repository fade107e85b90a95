"""A commit made of a few files on top of another, and its push: in the bare mirror, without a worktree or a checkout.

    parent's tree -> an index of our own -> the files' new blobs -> tree -> commit -> push, never by force

What is not named stays as it is in the parent, blobs that the mirror never fetched included. Nothing is on the server
until the push, and that is one move of one branch: whoever is killed before has left some objects that nobody names.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deployer.adapters.git_environment import REMOTE
from deployer.adapters.git_failure import GitFailed
from deployer.adapters.git_process import GitCommand

_GONE = "0" * 40
_DEFAULT_MODE = "100644"


@dataclass(frozen=True, slots=True)
class Author:
    name: str
    email: str


def commit_files(
    mirror: GitCommand, parent: str, files: Mapping[str, bytes | None], author: Author, message: str, at: float
) -> str:
    """The id of a commit on `parent` in which these (checked) paths hold these bytes; None removes one.

    `mirror` reads the mirror (`Mirror.reader`), and its lock is held. `at`: when, in seconds. A file keeps its mode.
    """
    with tempfile.TemporaryDirectory(prefix="pierhead-index-") as folder:
        git = _with(mirror, GIT_INDEX_FILE=str(Path(folder) / "index"))
        git.run(["read-tree", f"{parent}^{{tree}}"])
        lines = [_line(git, parent, path, data) for path, data in sorted(files.items())]
        git.run(["update-index", "-z", "--index-info"], data="".join(f"{line}\0" for line in lines).encode())
        tree = git.run(["write-tree", "--missing-ok"]).decode("ascii").strip()
    return commit_tree(mirror, parent, tree, author, message, at)


def commit_tree(mirror: GitCommand, parent: str, tree: str, author: Author, message: str, at: float) -> str:
    """The id of a commit of this tree on `parent`."""
    when = f"@{int(at)} +0000"
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", author.name), ("EMAIL", author.email), ("DATE", when))
    }
    made = _with(mirror, **who).run(["commit-tree", "-p", parent, "-F", "-", tree], data=message.encode())
    return made.decode("ascii").strip()


def push(remote: GitCommand, sha: str, ref: str) -> None:
    """Move the server's branch `ref` (refs/heads/...) to the commit, if that is one step forward.

    `remote` may talk to the server, and is at the mirror. Raises GitFailed; `Superseded` when the branch has moved.
    """
    if not ref.startswith("refs/heads/"):
        raise GitFailed("Refused", f"{remote.display}: {ref} is no branch: only a branch can be committed to")
    remote.run(["push", "--quiet", "--recurse-submodules=no", "--", REMOTE, f"{sha}:{ref}"])


def _line(git: GitCommand, parent: str, path: str, data: bytes | None) -> str:
    if data is None:
        return f"0 {_GONE}\t{path}"
    found = git.run(["ls-tree", "-z", "--full-tree", parent, "--", path]).decode("utf-8", "replace")
    mode = found.split(" ", 1)[0] if found.startswith("100") else _DEFAULT_MODE
    oid = git.run(["hash-object", "-w", "-t", "blob", "--stdin"], data=data).decode("ascii").strip()
    return f"{mode} {oid}\t{path}"


def _with(git: GitCommand, **variables: str) -> GitCommand:
    return replace(git, environment=type(git.environment)(git.environment | variables))
