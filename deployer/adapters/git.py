"""Git as a source of manifests: which commit a ref names, and what files that commit holds.

    head -> fetch -> files

`head` asks the server (`ls-remote`, some 20 ms), `fetch` brings one commit into a bare mirror, and everything else
reads the mirror alone. No worktree exists at any time: hooks, filters, submodules and links of a repository are data.
Each call may be repeated, killed anywhere, and made by several processes at once; each ends by its own timeout.
What keeps a hostile URL, server or repository from doing harm is in `git_environment` and `git_process`.
"""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import git as gitpython

from deployer.adapters.git_commit import Author, commit_files, push
from deployer.adapters.git_contents import Contents
from deployer.adapters.git_environment import REMOTE, basic_of, completed, remote_session
from deployer.adapters.git_failure import GitFailed
from deployer.adapters.git_looking import MirrorLook, read_commit, standing_at
from deployer.adapters.git_mirror import KEPT, Mirror
from deployer.adapters.git_process import GitCommand
from deployer.adapters.git_quick import QuickLook, authorization
from deployer.adapters.git_revert import ChangedFile, changed_files, commit_paths
from deployer.adapters.git_signatures import commit_refusal, tag_refusal
from deployer.adapters.git_tree import TreeEntry, read_tree
from deployer.core.rendering.needs import collect
from deployer.core.rendering.ways import Way, way_of_file, way_of_folder
from deployer.core.repository import (
    RepositoryAddress,
    RepositoryRefused,
    SourceFile,
    SourceTree,
    check_path,
    check_ref,
    is_commit_id,
    parse_repository_url,
    shown,
)
from deployer.core.signatures import HEAD, NONE, TAG, SignaturePolicy
from deployer.core.source import CommitInfo, GitCredentials, Origin

__all__ = [
    "Author", "ChangedFile", "CommitInfo", "GitCredentials", "GitFailed", "GitSource", "SourceFile", "SourceTree",
]  # fmt: skip

# Configuration in GIT_CONFIG_* variables, on which everything here rests, came with 2.31.
OLDEST_GIT = (2, 31)
KEPT_COMMITS, KEPT_VERDICTS = 1000, 10_000

_REPOSITORY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is at an application's path, and how it becomes manifests."""

    reader: GitCommand
    root: str
    path: str
    entry: TreeEntry | None
    way: Way

    def look(self, mirror: Mirror) -> MirrorLook:
        return MirrorLook(self.reader, self.root, mirror.omitted())


class GitSource:
    """The mirrors of all repositories, in one folder that is its own. Every method raises GitFailed."""

    def __init__(self, folder: Path, *, timeout_seconds: float = 60) -> None:
        self._folder = Path(folder).absolute()
        self._timeout_seconds = timeout_seconds
        self._quick = QuickLook(timeout_seconds)
        self._contents = Contents()
        self._commits: dict[tuple[str, str], CommitInfo] = {}
        self._verdicts: dict[tuple[str, str, str, SignaturePolicy], str] = {}

    def head(self, url: str, ref: str, credentials: GitCredentials, allow_local: bool) -> str:
        """The id of the commit that the server's branch, tag, `refs/...` or `HEAD` names now.

        A branch goes before a tag of the same name. A full commit id stands for itself, and nobody is asked.
        """
        address, ref = _admitted(url, ref, allow_local)
        if is_commit_id(ref):
            return ref
        known = authorization(completed(address, credentials, allow_local=allow_local), basic_of)
        if found := self._quick.head(address, _candidates(ref), known, allow_local=allow_local):
            return found
        with self._remote(url, ref, credentials, allow_local) as (remote, ref):
            return _resolve(remote, ref)[1]

    def fetch(
        self, repository_id: str, url: str, ref: str, sha: str, credentials: GitCredentials, allow_local: bool
    ) -> CommitInfo:
        """Hold the commit in the mirror for good, and say what it is. At once if it is there already.

        Only this commit comes, without its past, and without files above 1 MiB where the server can leave them out.
        `ref` is where to look for it on servers that give no commit by its id. A damaged mirror is made anew.
        """
        mirror = self._mirror(repository_id)
        with self._remote(url, ref, credentials, allow_local) as (remote, ref):
            mirror.fetch(remote, _candidates(ref), _checked_sha(sha))
        commit = self._read(mirror, sha)
        if commit is None:
            raise GitFailed(
                "Corrupt", f"repository {repository_id}: commit {sha[:7]} cannot be read: it is fetched anew"
            )
        return commit

    def commit(self, repository_id: str, sha: str) -> CommitInfo | None:
        """The commit, if it was fetched and the mirror is sound; None tells to fetch it."""
        mirror = self._mirror(repository_id)
        with _disk(f"repository {repository_id}"):
            return self._read(mirror, sha) if mirror.holds(_checked_sha(sha)) else None

    def _read(self, mirror: Mirror, sha: str) -> CommitInfo | None:
        """Of one that the mirror holds, as was just seen. What a commit says never changes."""
        key = (mirror.repository_id, sha)
        with _disk(f"repository {mirror.repository_id}"):
            try:
                if (known := self._commits.get(key)) is None:
                    if len(self._commits) >= KEPT_COMMITS:
                        self._commits.clear()
                    known = self._commits[key] = read_commit(mirror.reader(), mirror.path, sha)
                return known
            except (ValueError, LookupError, AttributeError, TypeError, OSError, gitpython.GitError):
                mirror.suspect()
                return None

    def files(self, repository_id: str, sha: str, path: str, values: Sequence[str] = ()) -> SourceTree:
        """What rendering the path takes, and a refusal for each thing there that is not read.

        Every *.yaml, *.yml and *.json at or below it; or what a kustomization, a Compose file or a chart there names,
        bases and all. `values`: files of values for a chart, from the repository's root.
        """
        mirror = self._mirror(repository_id)
        with self._reading(mirror, sha, path) as here:
            if here.entry is None:
                raise _path_failure(here.path, sha, "does not exist")
            if here.path and here.entry.mode == "120000":
                raise _path_failure(here.path, sha, "is a symbolic link, which is not followed,")
            if here.way.refusal:
                return SourceTree((), ((here.path or ".", here.way.refusal),))
            if here.way.kind == "plain":
                return read_tree(here.reader, here.entry, mirror.omitted())
            return collect(here.way, _admitted_paths(values), here.look(mirror)).tree

    def tree_id(self, repository_id: str, sha: str, path: str, values: Sequence[str] = ()) -> str:
        """The id of what rendering the path takes: equal ids, equal contents. "" if nothing is there."""
        mirror = self._mirror(repository_id)
        with self._reading(mirror, sha, path) as here:
            if here.entry is None or here.way.kind == "plain":
                return here.entry.oid if here.entry else ""
            return collect(here.way, _admitted_paths(values), here.look(mirror)).id

    def content_ids(self, repository_id: str, sha: str, origins: Sequence[Origin]) -> dict[Origin, str]:
        """`tree_id` of many at once: a thousand in some 100 ms, where they are plain or were asked for before."""
        mirror = self._mirror(repository_id)
        reader = mirror.reader()
        spelled = {one: Origin(_admitted_path(one.path), tuple(_admitted_paths(one.values))) for one in origins}
        with _disk(reader.display):
            look = MirrorLook(reader, _root(reader, _checked_sha(sha)), mirror.omitted())
            try:
                found = self._contents.ids(repository_id, look, set(spelled.values()))
            except GitFailed as failure:
                if failure.reason in ("Corrupt", "Refused"):
                    mirror.suspect()
                raise
        return {one: found[origin] for one, origin in spelled.items()}

    def signature_refusal(
        self, repository_id: str, url: str, ref: str, sha: str, credentials: GitCredentials, allow_local: bool,
        policy: SignaturePolicy,
    ) -> str:  # fmt: skip
        """Why the policy does not take this fetched commit; "" if it does. Git is asked once."""
        key = (repository_id, sha, ref if policy.what == TAG else "", policy)
        if policy.what == NONE or key in self._verdicts:
            return self._verdicts.get(key, "")
        mirror = self._mirror(repository_id)
        if policy.what == HEAD:
            with _disk(f"repository {repository_id}"):
                refused = commit_refusal(mirror.reader(), self._folder, _checked_sha(sha), policy)
        else:
            with self._remote(url, ref, credentials, allow_local) as (remote, ref):
                refused = self._tag_refusal(mirror, remote, ref, _checked_sha(sha), policy)
        if not refused or policy.what == HEAD:  # a tag that is refused may be signed later
            if len(self._verdicts) >= KEPT_VERDICTS:
                self._verdicts.clear()
            self._verdicts[key] = refused
        return refused

    def _tag_refusal(self, mirror: Mirror, remote: GitCommand, ref: str, sha: str, policy: SignaturePolicy) -> str:
        """The tag object is asked for and fetched: the mirror holds commits alone."""
        tag = ref.removeprefix("refs/tags/")
        name = f"refs/tags/{tag}"
        lines = remote.run(["ls-remote", "--quiet", "--", REMOTE, name, f"{name}^{{}}"]).decode("utf-8", "replace")
        found = {line.partition("\t")[2]: line.partition("\t")[0] for line in lines.splitlines()}
        if name not in found:
            return f"the policy takes a signed tag alone, and {ref} is none: name the tag as the repository's ref"
        if f"{name}^{{}}" not in found:
            return f"tag {tag} is not annotated, so nobody signed it: sign it (git tag -s), and push it"
        if found[f"{name}^{{}}"] != sha:
            return f"tag {tag} names another commit by now: the next look finds it"
        mirror.fetch_tag(remote, name, _checked_sha(found[name]))
        return tag_refusal(mirror.reader(), self._folder, tag, found[name], sha, policy)

    def commit_and_push(
        self, repository_id: str, url: str, ref: str, parent: str, files: Mapping[str, bytes | None], author: Author,
        message: str, at: float, credentials: GitCredentials, allow_local: bool,
    ) -> str:  # fmt: skip
        """A commit of these files on `parent` (which was fetched), pushed to the branch `ref`; its id.

        `Superseded` when the branch is not at the parent any more: look again, and make another.
        """
        mirror, _ = self._mirror(repository_id), _checked_sha(parent)
        files = {_admitted_path(path): data for path, data in files.items()}
        with self._remote(url, ref, credentials, allow_local) as (remote, ref):
            name, head = _resolve(remote, ref) if not is_commit_id(ref) else (ref, parent)
            if head != parent:
                raise GitFailed("Superseded", f"{remote.display}: its branch has moved meanwhile")
            with mirror.locked(remote) as locked:
                made = commit_files(mirror.reader(), parent, files, author, message, at)
                push(mirror.remote(locked), made, name)
        return made

    def changed_files(self, repository_id: str, head: str, earlier: str, paths: Sequence[str]) -> list[ChangedFile]:
        """What bringing the paths at `head` back to what they were at `earlier` changes; both were fetched."""
        mirror, _ = self._mirror(repository_id), (_checked_sha(head), _checked_sha(earlier))
        with _disk(f"repository {repository_id}"):
            return changed_files(mirror.reader(), head, earlier, _admitted_paths(paths))

    def revert_and_push(
        self, repository_id: str, url: str, ref: str, head: str, earlier: str, paths: Sequence[str], branch: str,
        author: Author, message: str, at: float, credentials: GitCredentials, allow_local: bool,
    ) -> str:  # fmt: skip
        """A commit on `head` that brings the paths back to what they were at `earlier`, pushed; its id.

        Both were fetched. To `ref` itself, a branch that has to be at `head` still (`Superseded` otherwise), or as a
        new `branch`.
        """
        mirror, _ = self._mirror(repository_id), (_checked_sha(head), _checked_sha(earlier))
        paths = _admitted_paths(paths)
        with self._remote(url, ref, credentials, allow_local) as (remote, ref):
            name, found = _resolve(remote, ref) if not is_commit_id(ref) else (ref, head)
            if found != head:
                raise GitFailed("Superseded", f"{remote.display}: its branch has moved meanwhile, to {found[:7]}")
            target = f"refs/heads/{_admitted(url, branch, allow_local)[1]}" if branch else name
            with mirror.locked(remote) as locked:
                made = commit_paths(mirror.reader(), head, earlier, paths, author, message, at)
                push(mirror.remote(locked), made, target)
        return made

    def forget(self, repository_id: str) -> None:
        """Remove the mirror. One that is not there is forgotten already."""
        with _disk(f"repository {repository_id}"):
            self._mirror(repository_id).forget()

    @contextlib.contextmanager
    def _remote(
        self, url: str, ref: str, credentials: GitCredentials, allow_local: bool
    ) -> Iterator[tuple[GitCommand, str]]:
        _check_version()
        address, ref = _admitted(url, ref, allow_local)
        session = remote_session(
            self._folder,
            address,
            credentials,
            allow_local=allow_local,
            timeout_seconds=self._timeout_seconds,
        )
        with _disk(address.display), session as command:
            yield command, ref

    @contextlib.contextmanager
    def _reading(self, mirror: Mirror, sha: str, path: str) -> Iterator[_Standing]:
        """What the commit holds at the path; a mirror found damaged is marked so."""
        reader = mirror.reader()
        path = _admitted_path(path)
        with _disk(reader.display):
            root = _root(reader, _checked_sha(sha))
            try:
                entry, names = standing_at(reader, root, path)
                is_file = entry is not None and entry.kind == "blob"
                yield _Standing(reader, root, path, entry, way_of_file(path) if is_file else way_of_folder(path, names))
            except GitFailed as failure:
                if failure.reason in ("Corrupt", "Refused"):
                    mirror.suspect()
                raise

    def _mirror(self, repository_id: str) -> Mirror:
        if not _REPOSITORY_ID.fullmatch(repository_id):
            raise GitFailed("Refused", f"{shown(repository_id)} is not a repository's id")
        return Mirror(self._folder, repository_id, self._timeout_seconds)


def _resolve(remote: GitCommand, ref: str) -> tuple[str, str]:
    """The full name and the commit behind a ref. An annotated tag is followed by its `^{}`: the commit it names."""
    candidates = _candidates(ref)
    patterns = [name + peeled for name in candidates for peeled in ("", "^{}")]
    lines = remote.run(["ls-remote", "--quiet", "--", REMOTE, *patterns]).decode("utf-8", "replace").splitlines()
    found = {name: sha for sha, _, name in (line.partition("\t") for line in lines)}
    for name in candidates:
        if sha := found.get(f"{name}^{{}}") or found.get(name):
            return name, _supported(remote, sha)
    what = f"ref {ref}" if len(candidates) == 1 else f"branch {ref}"
    raise GitFailed("RefNotFound", f"{remote.display}: {what} does not exist: push it, or register another --ref")


def _supported(remote: GitCommand, sha: str) -> str:
    if not is_commit_id(sha):
        raise GitFailed("Refused", f"{remote.display}: uses SHA-256 object ids, which are not supported")
    return sha


def _candidates(ref: str) -> list[str]:
    """The full names that a ref may mean on the server, the first that exists being meant."""
    if is_commit_id(ref):
        return ["HEAD"]
    return [ref] if ref == "HEAD" or ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]


def _root(reader: GitCommand, sha: str) -> str:
    try:
        output = reader.run(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{KEPT}{sha}^{{tree}}"])
    except GitFailed as failure:
        if failure.reason in ("TimedOut", "DiskFull"):
            raise
        sentence = f"{reader.display}: commit {sha[:7]} is not in its mirror: fetch it first"
        raise GitFailed("RefNotFound", sentence) from None
    return output.decode("ascii").strip()


def _path_failure(path: str, sha: str, what: str) -> GitFailed:
    return GitFailed("PathNotFound", f"path {path} {what} at {sha[:7]}: correct the path, or push it")


def _admitted(url: str, ref: str, allow_local: bool) -> tuple[RepositoryAddress, str]:
    try:
        return parse_repository_url(url, allow_local=allow_local), check_ref(ref)
    except RepositoryRefused as refused:
        raise GitFailed("Refused", refused.sentence) from None


def _admitted_path(path: str) -> str:
    try:
        return check_path(path)
    except RepositoryRefused as refused:
        raise GitFailed("Refused", refused.sentence) from None


def _admitted_paths(paths: Sequence[str]) -> list[str]:
    return [_admitted_path(path) for path in paths]


def _checked_sha(sha: str) -> str:
    if not is_commit_id(sha):
        raise GitFailed("Refused", f"{shown(sha)} is not a commit id of 40 hexadecimal digits")
    return sha


@contextlib.contextmanager
def _disk(display: str) -> Iterator[None]:
    """What the operating system refuses about our own files, as a failure with a sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "the disk is full: free some space in the data folder" if full else f"the data folder fails ({error})"
        raise GitFailed("DiskFull" if full else "Refused", f"{display}: {advice}") from error


@cache
def _check_version() -> None:
    version = gitpython.Git().version_info
    if version < OLDEST_GIT:
        found = ".".join(map(str, version))
        raise GitFailed("Refused", f"Git {found} is too old: install git 2.31 or newer on this machine")
