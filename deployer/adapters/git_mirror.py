"""One repository's mirror on disk: bare, without hooks, written by one process at a time, thrown away when damaged.

Beside each other in the adapter's folder: `<id>.git` (the mirror), `<id>.lock` (held by whoever writes it),
`<id>.new` (a mirror in the making) and `<id>.old` (one being replaced). A new mirror is filled first and then takes
the place of the old, so a reader sees the one or the other, and a killed writer leaves nothing that counts.

`refs/pierhead/<commit>` keeps every commit that was fetched, so a forced push upstream takes nothing away that was
once applied. The mirror's lock is inherited by Git: when its caller is killed, nobody else writes until Git is done.

To Git, a blob that the server left out and a blob that the disk lost are the same. `pierhead-omitted` tells them
apart: the ids that stayed missing after the server had sent everything. Any other that is missing is damage.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from deployer.adapters.git_environment import REMOTE, local_command
from deployer.adapters.git_failure import NOT_OUR_MIRROR, GitFailed
from deployer.adapters.git_process import GitCommand
from deployer.core.repository import is_commit_id

KEPT = "refs/pierhead/"
TAGS = "refs/pierhead-tags/"
LOCK_POLL_SECONDS = 0.02
# A server that ignores the blob limit may send anything; a repository of manifests is far below this.
MAX_FETCH_BYTES = 1024 * 1024 * 1024

_SUSPECT = "pierhead-suspect"
_OMITTED = "pierhead-omitted"
_LEFTOVERS = (
    "**/*.lock",
    "gc.pid",
    "objects/pack/tmp_*",
    "objects/pack/.tmp-*",
    "objects/pack/*.keep",
    "objects/*/tmp_*",
)


@dataclass(frozen=True, slots=True)
class Mirror:
    """The mirror of `repository_id` in `folder`. Its writing methods are for whoever is inside `locked`."""

    folder: Path
    repository_id: str
    timeout_seconds: float

    @property
    def path(self) -> Path:
        return self.folder / f"{self.repository_id}.git"

    def fetch(self, remote: GitCommand, refs: list[str], sha: str) -> None:
        """Hold the commit, with all that it names (but blobs above the limit).

        1. Wait for whoever writes this mirror. 2. Clear what a killed writer left. 3. If the commit is here and
        whole, that was all. 4. Fetch it; if that fails for a reason of our own, make the mirror anew, once.
        """
        with self.locked(remote) as remote:
            self._clear_leftovers()
            if not self.holds(sha) and not self._fetched(remote, refs, sha):
                self._make_anew(remote, refs, sha)

    def fetch_tag(self, remote: GitCommand, name: str, oid: str) -> None:
        """Hold a tag's object beside its commit; at once if it is here."""
        with self.locked(remote) as remote:
            if self.reader().answer(["cat-file", "-e", f"{oid}^{{tag}}"])[0] != 0:
                at = _at(remote, self.path)
                refspec = f"+{name}:{TAGS}{oid}"
                _fetch_refspecs(at, _SizeGuard(self.path, remote.display), ["--depth=1"], REMOTE, [refspec])

    def holds(self, sha: str) -> bool:
        """Whether the commit was kept, the mirror is not suspect, and the commit's folders can all be read."""
        if not self._usable():
            return False
        try:
            self.reader().run(["show-ref", "--verify", "--quiet", "--", KEPT + sha])
            self._verify(self.path, sha)
        except GitFailed as failure:
            if failure.reason in ("TimedOut", "TooLarge"):
                raise
            return False
        return True

    def omitted(self) -> set[str]:
        """The ids of blobs that are not here because the server left them out: they are above the limit."""
        return _omitted(self.path)

    def suspect(self) -> None:
        """Remember that reading failed: the next fetch makes the mirror anew."""
        with contextlib.suppress(OSError):
            (self.path / _SUSPECT).touch()

    def reader(self) -> GitCommand:
        return local_command(f"repository {self.repository_id}", self.path, self.timeout_seconds)

    def remote(self, command: GitCommand) -> GitCommand:
        """The command, as it works on this mirror."""
        return _at(command, self.path)

    def forget(self) -> None:
        """Remove all that is kept of the repository."""
        with self.locked(local_command(f"repository {self.repository_id}", self.folder, self.timeout_seconds)):
            for suffix in ("git", "new", "old"):
                shutil.rmtree(self.folder / f"{self.repository_id}.{suffix}", ignore_errors=True)
            self._lock_path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self, command: GitCommand) -> Iterator[GitCommand]:
        """Hold the lock for the block, which gets the command with the lock handed down; TimedOut if others hold it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = self._lock(command)
        try:
            yield replace(command, inherited=(descriptor,))
        finally:
            os.close(descriptor)

    @property
    def _lock_path(self) -> Path:
        return self.folder / f"{self.repository_id}.lock"

    def _lock(self, command: GitCommand) -> int:
        while True:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._wait_for_lock(descriptor, command)
                # `forget` may have removed the file while we waited: then the lock is on nothing, and taken anew.
                if self._lock_path.stat().st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _wait_for_lock(self, descriptor: int, command: GitCommand) -> None:
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > command.deadline:
                    sentence = f"timed out after {command.timeout_seconds:g} s, waiting for another fetch of it to end"
                    raise GitFailed("TimedOut", f"{command.display}: {sentence}") from None
                time.sleep(LOCK_POLL_SECONDS)

    def _usable(self) -> bool:
        return self.path.is_dir() and not (self.path / _SUSPECT).exists()

    def _clear_leftovers(self) -> None:
        """Remove the lock and temporary files of killed writers: we hold the lock, so they belong to nobody."""
        for pattern in _LEFTOVERS:
            for leftover in self.path.glob(pattern):
                with contextlib.suppress(OSError):
                    leftover.unlink()

    def _fetched(self, remote: GitCommand, refs: list[str], sha: str) -> bool:
        """Fetch into the mirror that is there; False if it is not usable, or fails where a new one would not."""
        if not self._usable():
            return False
        try:
            self._fetch_into(self.path, remote, refs, sha)
        except GitFailed as failure:
            if failure.reason in NOT_OUR_MIRROR:
                raise
            return False
        return True

    def _fetch_into(self, path: Path, remote: GitCommand, refs: list[str], sha: str) -> None:
        """Fetch the one commit; from a server that gives none by its id, the refs' history until it shows up."""
        remote = _at(remote, path)
        guard = _SizeGuard(path, remote.display)
        try:
            _fetch(remote, guard, ["--depth=1"], sha)
        except GitFailed as failure:
            if not _asks_too_much(failure):
                raise
            _fetch_history(remote, guard, refs, sha)
        self._verify(path, sha)
        if new := self._missing(path, sha) - _omitted(path):
            if path == self.path:
                _fetch_all_again(remote, guard, sha)
                new = self._missing(path, sha)
            _remember_omitted(path, new)
        with contextlib.suppress(GitFailed):
            # Packs add up with each commit. Housekeeping may fail: it is due again after the next fetch.
            remote.run(["gc", "--auto", "--quiet"])

    def _verify(self, path: Path, sha: str) -> None:
        """Every folder of the commit can be read. Blobs are checked when they are: some are left out on purpose."""
        reader = local_command(f"repository {self.repository_id}", path, self.timeout_seconds)
        reader.run(["rev-list", "--objects", "--quiet", "--max-count=1", "--filter=blob:none", sha, "--"])

    def _missing(self, path: Path, *revisions: str) -> set[str]:
        """The blobs that these commits name and that are not in the mirror at `path`."""
        reader = local_command(f"repository {self.repository_id}", path, self.timeout_seconds)
        shape = ["--objects", "--no-object-names", "--no-walk", "--missing=print"]
        lines = reader.run(["rev-list", *shape, *revisions, "--"]).decode("ascii", "replace").splitlines()
        return {line[1:] for line in lines if line.startswith("?")}

    def _make_anew(self, remote: GitCommand, refs: list[str], sha: str) -> None:
        new, old = (self.folder / f"{self.repository_id}.{suffix}" for suffix in ("new", "old"))
        shutil.rmtree(new, ignore_errors=True)
        remote.run(["init", "--bare", "--quiet", "--template=", "--initial-branch=main", "--", str(new)])
        self._fetch_into(new, remote, refs, sha)
        if kept := sorted((_kept(self.path) | _kept(old)) - {sha}):
            self._rescue(_at(remote, new), _SizeGuard(new, remote.display), kept)
            _remember_omitted(new, self._missing(new, f"--glob={KEPT}*"))
        shutil.rmtree(old, ignore_errors=True)
        if self.path.exists():
            self.path.rename(old)
        new.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)

    def _rescue(self, remote: GitCommand, guard: _SizeGuard, kept: list[str]) -> None:
        """Bring the commits that the damaged mirror kept: from the server, else from the old mirror, else not."""
        try:
            _fetch(remote, guard, ["--depth=1"], *kept)
        except GitFailed:
            # The server lacks one of them at least: it was moved by force.
            remote = _admitting_files(remote)
            for sha in kept:
                any(_is_rescued(remote, guard, sha, source) for source in (str(self.path), REMOTE))


class _SizeGuard:
    """Stops a fetch that writes more than MAX_FETCH_BYTES."""

    def __init__(self, path: Path, display: str) -> None:
        self._packs = path / "objects" / "pack"
        self._display = display

    def __call__(self) -> None:
        for pack in self._packs.glob("tmp_pack_*"):
            with contextlib.suppress(FileNotFoundError):
                if pack.stat().st_size > MAX_FETCH_BYTES:
                    limit = f"{MAX_FETCH_BYTES >> 20} MiB"
                    raise GitFailed(
                        "TooLarge", f"{self._display}: sends more than {limit}: keep manifests in a smaller one"
                    )


def _at(command: GitCommand, path: Path) -> GitCommand:
    environment = type(command.environment)(command.environment | {"GIT_DIR": str(path)})
    return replace(command, environment=environment)


def _admitting_files(command: GitCommand) -> GitCommand:
    allowed = command.environment["GIT_ALLOW_PROTOCOL"]
    environment = type(command.environment)(command.environment | {"GIT_ALLOW_PROTOCOL": f"{allowed}:file"})
    return replace(command, environment=environment)


def _fetch(remote: GitCommand, guard: _SizeGuard, options: list[str], *shas: str, source: str = REMOTE) -> None:
    """Fetch commits and keep each under its own id."""
    _fetch_refspecs(remote, guard, options, source, [f"+{sha}:{KEPT}{sha}" for sha in shas])


def _fetch_all_again(remote: GitCommand, guard: _SizeGuard, sha: str) -> None:
    """Fetch a commit as if nothing were here: what is missing then was left out by the server."""
    try:
        _fetch(remote, guard, ["--depth=1", "--refetch"], sha)
    except GitFailed as failure:
        if _asks_too_much(failure):
            raise GitFailed("Corrupt", f"{remote.display}: its mirror here lacks files of {sha[:7]}") from None
        raise


def _is_rescued(remote: GitCommand, guard: _SizeGuard, sha: str, source: str) -> bool:
    try:
        _fetch(remote, guard, ["--depth=1"], sha, source=source)
    except GitFailed:
        return False
    return True


def _fetch_history(remote: GitCommand, guard: _SizeGuard, refs: list[str], sha: str) -> None:
    """Deepen the refs until the commit is among their history. The last resort is for servers without shallowness."""
    for depth, ref in itertools.product((["--depth=50"], ["--depth=2147483647"], []), refs):
        try:
            _fetch_refspecs(remote, guard, depth, REMOTE, [f"+{ref}:refs/pierhead-incoming"])
            return _keep(remote, sha)
        except GitFailed as failure:
            if failure.reason in NOT_OUR_MIRROR - {"RefNotFound"}:
                raise
    raise GitFailed(
        "RefNotFound",
        f"{remote.display}: commit {sha[:7]} is not there any more: its branch or tag was moved by force or deleted; "
        "the next look finds what it is now",
    )


def _keep(remote: GitCommand, sha: str) -> None:
    remote.run(["update-ref", "--", KEPT + sha, sha])


def _fetch_refspecs(
    remote: GitCommand, guard: _SizeGuard, options: list[str], source: str, refspecs: list[str]
) -> None:
    """Fetch what is named and write nothing else: no FETCH_HEAD, no tags. The list is given on standard input."""
    fixed = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules"]
    data = "".join(f"{refspec}\n" for refspec in refspecs).encode()
    remote.run(["fetch", *fixed, *options, "--stdin", "--", source], data=data, guard=guard)


def _asks_too_much(failure: GitFailed) -> bool:
    """Whether the server may still give the commit when asked for its ref: old protocols, and plain file servers."""
    return failure.reason == "RefNotFound" or "shallow" in failure.sentence


def _omitted(path: Path) -> set[str]:
    """The ids of blobs that the server left out of the mirror."""
    try:
        return set((path / _OMITTED).read_text("ascii", "replace").split())
    except FileNotFoundError:
        return set()


def _remember_omitted(path: Path, oids: set[str]) -> None:
    whole = path / f"{_OMITTED}.lock"
    whole.write_text("".join(f"{oid}\n" for oid in sorted(_omitted(path) | oids)), "ascii")
    whole.replace(path / _OMITTED)


def _kept(path: Path) -> set[str]:
    """The ids of the commits that a (maybe damaged) mirror kept, by its refs' names alone."""
    names = {entry.name for entry in (path / KEPT).glob("*")}
    with contextlib.suppress(OSError):
        packed = (path / "packed-refs").read_text("utf-8", "replace").splitlines()
        names |= {line.rpartition(KEPT)[2] for line in packed if KEPT in line}
    return {name for name in names if is_commit_id(name)}
