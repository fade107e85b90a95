"""What stands outside of a cluster, in memory: Git, its host, image registries, people's channels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from deployer.core.announcements import Announcement
from deployer.core.canary.values import Prometheus
from deployer.core.container import RegistryAuth
from deployer.core.git_hosts import Status, Verdict
from deployer.core.images.reference import Reference
from deployer.core.repository import SourceFile, SourceTree
from deployer.core.source import CommitInfo, Origin, RepositoryAccess
from deployer.ports import NotifyError, ProviderError, RegistryError, SourceError


class FakeSource:
    """Git as a list of commits, each a dict of files."""

    def __init__(self) -> None:
        self.commits: list[tuple[str, dict[str, str], CommitInfo]] = []
        self.failure = ""
        self.unsigned: dict[str, str] = {}

    def push(self, files: dict[str, str], message: str, now: float) -> str:
        sha = hashlib.sha1(f"{len(self.commits)}{sorted(files.items())}".encode()).hexdigest()
        self.commits.append((sha, files, CommitInfo(sha, "Ada", message, now)))
        return sha

    def head(self, repository: RepositoryAccess) -> str:
        if self.failure:
            raise SourceError("Unreachable", self.failure)
        return self.commits[-1][0]

    def fetch(self, repository: RepositoryAccess, sha: str) -> CommitInfo:
        return self._commit(sha)[2]

    def files(self, repository: RepositoryAccess, sha: str, path: str, values: Sequence[str] = ()) -> SourceTree:
        found = self._at(sha, path)
        return SourceTree(tuple(SourceFile(name, text.encode()) for name, text in found), ())

    def commit(
        self, repository: RepositoryAccess, parent: str, files: Mapping[str, bytes], message: str, at: float
    ) -> str:
        if self.failure:
            raise SourceError("Refused", self.failure)
        if parent != self.commits[-1][0]:
            raise SourceError("Superseded", "its branch has moved meanwhile")
        return self.push({**self.commits[-1][1], **{p: d.decode() for p, d in files.items()}}, message, at)

    def signature_refusal(self, repository: RepositoryAccess, sha: str) -> str:
        return self.unsigned.get(sha, "")

    def content_ids(self, repository: RepositoryAccess, sha: str, origins: Sequence[Origin]) -> dict[Origin, str]:
        return {one: hashlib.sha1(repr(self._at(sha, one.path)).encode()).hexdigest() for one in origins}

    def tree_id(self, sha: str, path: str = "") -> str:
        return self.content_ids(None, sha, [Origin(path)])[Origin(path)]  # type: ignore[arg-type]

    def _at(self, sha: str, path: str) -> list[tuple[str, str]]:
        within = "" if path in ("", ".") else f"{path}/"
        found = self._commit(sha)[1].items()
        return sorted((name, text) for name, text in found if name.startswith(within) or name == path)

    def _commit(self, sha: str) -> tuple[str, dict[str, str], CommitInfo]:
        return next(commit for commit in self.commits if commit[0] == sha)


class FakeRegistry:
    """Tags and digests by registry/repository; `asked` is what it was asked, and with which user."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, str]] = {}
        self.failure: RegistryError | None = None
        self.asked: list[tuple[str, str]] = []

    def put(self, whole: str, *tags: str, content: str = "") -> None:
        for tag in tags:
            digest = f"sha256:{hashlib.sha256(f'{whole}:{tag}{content}'.encode()).hexdigest()}"
            self.held.setdefault(whole, {})[tag] = digest

    def tags(self, image: Reference, auth: RegistryAuth | None) -> list[str]:
        return list(self._look(image, auth))

    def digest(self, image: Reference, auth: RegistryAuth | None) -> str:
        return self._look(image, auth)[image.effective_tag]

    def _look(self, image: Reference, auth: RegistryAuth | None) -> dict[str, str]:
        self.asked.append((image.whole, auth.username if auth else ""))
        if self.failure:
            raise self.failure
        return self.held.get(image.whole, {})


class FakeNotifier:
    """Channels as lists of titles, by address. What `failure` says, each message fails with."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Announcement]] = []
        self.failure: NotifyError | None = None

    def send(self, url: str, announcement: Announcement) -> None:
        if self.failure:
            raise self.failure
        self.told.append((url, announcement))

    @property
    def titles(self) -> list[str]:
        return [announcement.title for _, announcement in self.told]


class FakeHost:
    """A Git host that writes down (commit, state, description), or answers with `verdict`."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.asked = 0
        self.verdict, self.wait = Verdict(True), 0.0

    def tell_status(self, repository: RepositoryAccess, said: Status, now: float) -> tuple[Verdict, float]:
        self.asked += 1
        if self.verdict.done:
            self.told.append((said.commit, said.state, said.description))
        return self.verdict, self.wait


class FakeProvider:
    """`answers` by query; a text is why there is none. `asked` are (query, secret headers, timeout)."""

    def __init__(self) -> None:
        self.answers: dict[str, float | tuple[float, ...] | str] = {}
        self.asked: list[tuple[str, dict[str, str], float]] = []

    def measure(
        self, asked: Prometheus, secrets: Mapping[str, str], timeout_seconds: float
    ) -> float | tuple[float, ...]:
        self.asked.append((asked.query, dict(secrets), timeout_seconds))
        answer = self.answers[asked.query]
        if isinstance(answer, str):
            raise ProviderError("Unreachable", answer)
        return answer
