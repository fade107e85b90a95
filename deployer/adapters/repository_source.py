"""Git behind the loops' port: a repository's access is spelled out for the adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployer.adapters.git import Author, ChangedFile, GitSource
from deployer.core.repository import SourceTree
from deployer.core.source import CommitInfo, Origin, RepositoryAccess

COMMITTER = Author("Pierhead", "pierhead@localhost")
"""Of what no person asked for, such as a newer image by a policy."""


class RepositorySource:
    def __init__(self, git: GitSource) -> None:
        self._git = git

    def head(self, repository: RepositoryAccess) -> str:
        return self._git.head(repository.url, repository.ref, repository.credentials, repository.allow_local)

    def fetch(self, repository: RepositoryAccess, sha: str) -> CommitInfo:
        known = self._git.commit(repository.uid, sha)
        return known or self._git.fetch(
            repository.uid, repository.url, repository.ref, sha, repository.credentials, repository.allow_local
        )

    def files(self, repository: RepositoryAccess, sha: str, path: str, values: Sequence[str] = ()) -> SourceTree:
        return self._git.files(repository.uid, sha, path, values)

    def commit(
        self, repository: RepositoryAccess, parent: str, files: Mapping[str, bytes], message: str, at: float
    ) -> str:
        return self._git.commit_and_push(
            repository.uid, repository.url, repository.ref, parent, dict(files), COMMITTER, message, at,
            repository.credentials, repository.allow_local,
        )  # fmt: skip

    def content_ids(self, repository: RepositoryAccess, sha: str, origins: Sequence[Origin]) -> dict[Origin, str]:
        return self._git.content_ids(repository.uid, sha, origins)

    def signature_refusal(self, repository: RepositoryAccess, sha: str) -> str:
        return self._git.signature_refusal(
            repository.uid, repository.url, repository.ref, sha, repository.credentials, repository.allow_local,
            repository.signatures,
        )  # fmt: skip

    def changed_files(
        self, repository: RepositoryAccess, head: str, earlier: str, paths: Sequence[str]
    ) -> list[ChangedFile]:
        return self._git.changed_files(repository.uid, head, earlier, paths)

    def revert(
        self, repository: RepositoryAccess, head: str, earlier: str, paths: Sequence[str], branch: str, author: Author,
        message: str, at: float,
    ) -> str:  # fmt: skip
        """See `GitSource.revert_and_push`."""
        return self._git.revert_and_push(
            repository.uid, repository.url, repository.ref, head, earlier, paths, branch, author, message, at,
            repository.credentials, repository.allow_local,
        )  # fmt: skip
