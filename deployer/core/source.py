"""Where an application's manifests come from, as values: the words that the sync and poll loops share with Git."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from deployer.core.github_app import GITHUB_API, GitHubApp
from deployer.core.signatures import SignaturePolicy

NO_POLICY = SignaturePolicy()


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """A commit: its 40-digit id, the author's name, the whole message (at most 4,096 characters), when (seconds)."""

    sha: str
    author: str
    message: str
    committed_at: float


@dataclass(frozen=True, slots=True)
class GitCredentials:
    """What a repository is opened with. `ssh_key` and `known_hosts` are the files' contents, not their paths.

    `app_*`: a GitHub App, whose tokens take the place of `token`; `api_url` is "" for github.com's.
    """

    username: str = ""
    token: str = field(default="", repr=False)
    ssh_key: str = field(default="", repr=False)
    known_hosts: str = field(default="", repr=False)
    app_id: str = field(default="", repr=False)
    installation_id: str = field(default="", repr=False)
    app_key: str = field(default="", repr=False)
    api_url: str = field(default="", repr=False)

    @property
    def app(self) -> GitHubApp | None:
        if not self.app_id:
            return None
        return GitHubApp(self.app_id, self.installation_id, self.app_key, self.api_url or GITHUB_API)

    @property
    def opens_api(self) -> bool:
        """Whether the API of the repository's host can be asked with it."""
        return bool(self.token or self.app_id)


@dataclass(frozen=True, slots=True)
class RepositoryAccess:
    """All that Git needs to read a repository."""

    uid: str
    name: str
    url: str
    ref: str
    allow_local: bool
    poll_seconds: float
    credentials: GitCredentials
    signatures: SignaturePolicy = NO_POLICY
    provider: str = ""  # what was told of its host's API; "" for what the URL says
    api_url: str = ""
    told: str = ""  # the commit whose news every application has had


class Origin(NamedTuple):
    """What an application is made from: a path, and for a chart its files of values."""

    path: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What a poll found. `head` is "" when the server did not say; `contents` (the id of what the head holds for each)
    is None when nothing is to be told: there is no news, or it could not be fetched. `failure` says why."""

    head: str = ""
    seen_at: float = 0.0
    contents: Mapping[Origin, str] | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one pass of the sync loop is to do for an application.

    `head` is the commit that the ref was last seen at. `pinned_commit` ("" for none) is applied instead, as long as
    the path at the head still has `skipped_tree`. `ask_server`: somebody asked for a sync now. `values`: a chart's
    files of values. `suspected`: objects of it were written live up to that resource version, 0 for none; what differs
    from the commit is put back with `self_heals`. `compares_only`: nobody asked a manual one for more than that.
    `unread`: the last attempt could not read Git, and since then nobody knows whether it is Synced.
    """

    uid: str
    name: str
    namespace: str
    path: str
    prune: bool
    repository: RepositoryAccess
    head: str
    head_seen_at: float
    ask_server: bool = False
    prune_confirmed: bool = False
    actor: str = ""
    trigger: str = "poll"
    request_id: str = ""
    pinned_commit: str = ""
    skipped_commit: str = ""
    skipped_tree: str = ""
    applied_commit: str = ""
    applied_tree: str = ""
    values: tuple[str, ...] = ()
    suspected: int = 0
    self_heals: bool = False
    compares_only: bool = False
    unread: bool = False
