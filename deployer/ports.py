"""The doors between the loops and the world, as protocols.

A loop is handed whoever stands behind these and never asks who it is: real Docker or the simulated engine, a wall
clock or a test's. The adapters hold to them; one contract suite runs against each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from deployer.core.announcements import Announcement
from deployer.core.canary.values import Prometheus
from deployer.core.container import (
    ContainerSeen,
    ContainerSpec,
    EngineEvent,
    EngineInfo,
    ExecResult,
    FileEntry,
    ImageSeen,
    RegistryAuth,
    Subnet,
    VolumeSpec,
)
from deployer.core.git_hosts import Status, Verdict
from deployer.core.images.reference import Reference
from deployer.core.rendering.rendered import Rendered
from deployer.core.repository import SourceTree
from deployer.core.source import CommitInfo, Origin, RepositoryAccess
from deployer.core.usage import Usage


class EngineError(Exception):
    """An engine said no, or said nothing. `reason` is one CamelCase word, `sentence` is for people.

    `retryable` is False when asking again cannot help (a manifest must change).
    """

    def __init__(self, reason: str, sentence: str, *, retryable: bool = True) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.retryable = retryable


class EngineUnreachable(EngineError):
    """Nothing answered in time: the state of the host is unknown."""


class LeaseLost(Exception):
    """Another worker holds the key now. Losing it is a normal return, never a failure."""


class Clock(Protocol):
    def now(self) -> float: ...


class Terminal(Protocol):
    """A program at a terminal in a container. One thread reads; others may write, resize and close meanwhile."""

    def read(self) -> bytes:
        """What it printed, waiting for something; b"" when it has ended or the terminal was closed.

        Reasons of failure: CommandNotFound (known from the first read on), RunContainerError, Unreachable.
        """

    def write(self, data: bytes) -> None:
        """What was typed. Waits for a bounded time only."""

    def resize(self, columns: int, rows: int) -> None: ...
    def exit_code(self) -> int | None:
        """Of the program, when it has ended."""

    def close(self) -> None:
        """End a read that waits, at once; then hang the program up, which takes seconds at most. Never raises."""


class Engine(Protocol):
    """One Docker host. Every call has a timeout, may be repeated, and raises `EngineError`.

    "Already exists", "already running", "already gone" count as done. Containers, volumes and networks without this
    cluster's label are never returned and never touched.
    """

    def ping(self) -> None: ...
    def info(self) -> EngineInfo: ...
    def close(self) -> None: ...

    def containers(self) -> list[ContainerSeen]:
        """All containers of this cluster, in any state, by one call (no inspection)."""

    def inspect(self, container: str) -> ContainerSeen | None:
        """One container with its detail, by id or name; None when it is gone."""

    def image(self, reference: str) -> ImageSeen | None:
        """The local image for a tag, digest or id. Never asks a registry."""

    def pull(self, reference: str, auth: RegistryAuth | None = None) -> ImageSeen:
        """Reasons of failure: ImageNotFound, PullDenied, RegistryUnreachable, DiskFull, ErrImagePull."""

    def ensure_pause_image(self) -> str:
        """The reference of the image whose only process waits for ever; put there without a registry if absent."""

    def ensure_network(self, name: str, labels: dict[str, str], subnet: Subnet | None = None) -> None:
        """A bridge. Reason AddressesTaken: `subnet` overlaps with another network of the host."""

    def attach(self, container: str, network: str, address: str) -> None:
        """Put a container on one more network, at a fixed address. Already there (at that address) counts as done."""

    def detach(self, container: str, network: str) -> None: ...
    def ensure_volume(self, spec: VolumeSpec) -> None: ...
    def fill_volume(self, name: str, files: Sequence[FileEntry]) -> None: ...
    def create(self, spec: ContainerSpec, files: Sequence[FileEntry] = ()) -> str: ...
    def put_files(self, container: str, folder: str, files: Sequence[FileEntry]) -> None:
        """Write files below `folder` (absolute, it exists) of a container, running or not; others stay."""

    def start(self, container: str) -> None:
        """Reasons of failure: PortTaken, CommandNotFound, MountFailed, NoSuchContainer, RunContainerError."""

    def stop(self, container: str, grace_seconds: int) -> None: ...
    def remove(self, container: str) -> None: ...
    def execute(self, container: str, command: Sequence[str], timeout_seconds: float) -> ExecResult: ...
    def terminal(self, container: str, command: Sequence[str], *, columns: int, rows: int) -> Terminal:
        """Reasons of failure: NoSuchContainer, RunContainerError (it does not run)."""

    def logs(
        self,
        container: str,
        *,
        tail: int | None = None,
        since: float | None = None,
        follow: bool = False,
        timestamps: bool = False,
    ) -> Iterator[bytes]: ...
    def usage(self, containers: Sequence[str], within_seconds: float) -> dict[str, Usage]:
        """What these containers have used, by the word that each was asked for with, in at most `within_seconds`.

        Left out is what does not run, what the engine did not tell, and the last ones when time runs out.
        """

    def events(self, since: float, until: float) -> Iterator[EngineEvent]:
        """Container events of this cluster from `since` (replayed) to `until` (waited for), host's clock."""

    def host_time(self) -> float:
        """The host's clock, for `events(since=...)`."""

    def volumes(self) -> list[VolumeSpec]: ...
    def networks(self) -> list[str]: ...
    def subnets(self) -> dict[str, str]:
        """This cluster's networks and the range of addresses of each, such as 10.208.16.0/20."""

    def images(self) -> list[ImageSeen]:
        """Images that Pierhead pulled to this host or that its containers were made from; for collection."""

    def remove_volume(self, name: str) -> None: ...
    def remove_network(self, name: str) -> None: ...
    def remove_image(self, reference: str) -> None: ...


class RouterLine(Protocol):
    """The way to a running router's command line (HAProxy's runtime API), kept open between calls.

    Raises EngineError: RouterUnreachable (nothing answers at the mesh port), RouterRefused (the certificate).
    """

    def ask(self, commands: Sequence[str]) -> list[str]:
        """The answer to each command, stripped. HAProxy answers "" when there is nothing to say."""

    def close(self) -> None: ...


class Lease(Protocol):
    """The right to act on one key of one loop, for as long as its epoch is the newest."""

    @property
    def key(self) -> str: ...
    @property
    def until(self) -> float: ...
    @property
    def dirty(self) -> frozenset[str]: ...
    @property
    def epoch(self) -> int: ...


class Wake(Protocol):
    """`Work.wake`, handed on to whoever changes something."""

    def __call__(self, loop: str, key: str | Collection[str], at: float = 0.0, dirty: Iterable[str] = ()) -> None: ...


class Work(Protocol):
    """Wake-ups and leases, kept as rows. Times are seconds since the epoch."""

    def wake(self, loop: str, key: str | Collection[str], at: float = 0.0, dirty: Iterable[str] = ()) -> None:
        """One key, or many of them at once. `dirty`: of one key, the containers to look at."""

    def claim(self, loop: str, key: str, now: float) -> Any: ...
    def claim_many(self, loop: str, keys: Sequence[str], now: float) -> Any:
        """The leases, each with its `key`, of those that are due and free."""

    def renew(self, lease: Any, now: float) -> Any: ...
    def woken(self, lease: Any) -> bool: ...
    def release(self, lease: Any, wake_at: float | None) -> bool: ...
    def release_many(self, ended: Sequence[tuple[Any, float | None]]) -> list[str]:
        """The keys that were woken meanwhile."""

    def hold(self, loop: str, key: str, lease: Any, now: float) -> Any:
        """For a loop that is never woken: `lease` prolonged in good time, or a new one; None while another has it."""

    def fenced(self, lease: Any) -> AbstractContextManager[None]: ...
    def fenced_many(self, leases: Sequence[Any]) -> AbstractContextManager[Sequence[Any]]:
        """With those that are still held: the others are left out of what is done."""


class SourceError(Exception):
    """A Git operation that did not happen. `reason`: one CamelCase word. `sentence`: for people, without secrets."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


class RegistryError(Exception):
    """A registry was not asked, or said no. `reason`: one CamelCase word. `sentence`: for people, without secrets.

    `retry_after_seconds`: how long it wants to be left alone; 0 when it did not say.
    """

    def __init__(self, reason: str, sentence: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.retry_after_seconds = retry_after_seconds


class Registry(Protocol):
    """What image registries hold. Every call has a timeout and raises `RegistryError`."""

    def tags(self, image: Reference, auth: RegistryAuth | None) -> list[str]:
        """All tags of the image's repository, in no order."""

    def digest(self, image: Reference, auth: RegistryAuth | None) -> str:
        """What the image's tag names now."""


class ProviderError(Exception):
    """A provider of metrics was not asked, or gave no number. `reason`: one CamelCase word. `sentence`: for people,
    without secrets."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


class Provider(Protocol):
    """A system that measures for us. Every call has a timeout and raises `ProviderError`."""

    def measure(
        self, asked: Prometheus, secrets: Mapping[str, str], timeout_seconds: float
    ) -> float | tuple[float, ...]:
        """One number, or a list of them, in which there may be NaN. `secrets`: header -> its value."""


class Source(Protocol):
    """Where manifests come from. Every call may be repeated, has a timeout, and raises `SourceError`."""

    def head(self, repository: RepositoryAccess) -> str: ...
    def fetch(self, repository: RepositoryAccess, sha: str) -> CommitInfo: ...
    def files(self, repository: RepositoryAccess, sha: str, path: str, values: Sequence[str] = ()) -> SourceTree:
        """All that rendering the path takes, bases and all. `values`: files of values for a chart."""

    def commit(
        self, repository: RepositoryAccess, parent: str, files: Mapping[str, bytes], message: str, at: float
    ) -> str:
        """A commit of these files on `parent`, pushed to the followed branch; its id. Reason Superseded: it moved."""

    def content_ids(self, repository: RepositoryAccess, sha: str, origins: Sequence[Origin]) -> dict[Origin, str]:
        """Equal for equal content of all that `files` would answer; "" where nothing is."""

    def signature_refusal(self, repository: RepositoryAccess, sha: str) -> str:
        """Why the repository's policy does not take this fetched commit: one sentence; "" if it does."""


class Renderer(Protocol):
    """Makes manifests of files: as they are, or by kustomize, Compose or Helm. Never raises for what files hold.

    Raises SourceError when this machine cannot render at the moment.
    """

    def render(
        self, tree: SourceTree, *, path: str, application: str, namespace: str, values: Sequence[str] = ()
    ) -> Rendered: ...


class Host(Protocol):
    """The API of a repository's Git host. Has a timeout and never raises: a failure is a verdict."""

    def tell_status(self, repository: RepositoryAccess, said: Status, now: float) -> tuple[Verdict, float]: ...


class NotifyError(Exception):
    """A message that did not arrive, as far as anybody knows. `sentence` holds nothing of the channel's secrets.

    `retryable` is False when asking again cannot help.
    """

    def __init__(self, sentence: str, *, retryable: bool = True) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.retryable = retryable


class Notifier(Protocol):
    """Sends messages to people's channels. Has a timeout, and raises `NotifyError`."""

    def send(self, url: str, announcement: Announcement) -> None: ...
