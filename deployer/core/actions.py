"""What can be done to a pod's containers on one host, as data.

`node.py` decides on steps, `deployer/loops/converge.py` takes them one after another, `explain.py` puts them into
words. Every step may be taken twice: an adapter treats "exists already", "is running already" and "is gone already"
as done.
"""

from __future__ import annotations

from dataclasses import dataclass

from deployer.core.container import ContainerSpec, FileEntry, Subnet, VolumeSpec


@dataclass(frozen=True, slots=True)
class EnsureNetwork:
    name: str
    namespace: str
    subnet: Subnet | None = None


@dataclass(frozen=True, slots=True)
class EnsureImage:
    """Make `reference` present. `pinned` is the digest or image id of this revision, "" when not resolved yet."""

    reference: str
    pinned: str
    pull_policy: str  # Always, IfNotPresent, Never
    pull_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnsurePauseImage:
    pass


@dataclass(frozen=True, slots=True)
class EnsureVolume:
    spec: VolumeSpec
    files: tuple[FileEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class CreateContainer:
    """`files` go into the container's own file system before it starts (paths relative to `/`)."""

    spec: ContainerSpec
    files: tuple[FileEntry, ...] = ()
    must_not_be_root: bool = False


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Make it run: a stopped container is started, a paused one is resumed."""

    name: str


@dataclass(frozen=True, slots=True)
class RunHook:
    """postStart: a failure kills the container, as in Kubernetes."""

    container: str  # the container's full name
    command: tuple[str, ...]
    sleep_seconds: int = 0


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Run the preStop hook, send SIGTERM, and after what is left of `grace_seconds` SIGKILL."""

    name: str
    grace_seconds: int
    pre_stop: tuple[str, ...] = ()
    pre_stop_sleep_seconds: int = 0


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    name: str


@dataclass(frozen=True, slots=True)
class RemoveVolume:
    name: str


Step = (
    EnsureNetwork
    | EnsureImage
    | EnsurePauseImage
    | EnsureVolume
    | CreateContainer
    | StartContainer
    | RunHook
    | StopContainer
    | RemoveContainer
    | RemoveVolume
)
