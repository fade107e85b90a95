"""Containers as values: what an engine is asked for, and what it was seen to hold.

These are the words that the core and every engine (real Docker, simulated) share. Nothing here decides: `node.py`
makes `ContainerSpec`s out of pods and compares them with `ContainerSeen`. An adapter sends exactly the fields that
stand here and no others: Pierhead is never a generic proxy to the Docker API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

LABEL_CLUSTER = "pierhead.io/cluster"
LABEL_NAMESPACE = "pierhead.io/namespace"
LABEL_POD = "pierhead.io/pod"
LABEL_POD_UID = "pierhead.io/pod-uid"
LABEL_CONTAINER = "pierhead.io/container"
LABEL_ATTEMPT = "pierhead.io/attempt"
LABEL_OWNER = "pierhead.io/owner"  # "Deployment/web", or "" for a bare pod
LABEL_REPLICA_SET = "pierhead.io/replica-set"
LABEL_TEMPLATE_HASH = "pierhead.io/template-hash"
LABEL_REVISION = "pierhead.io/revision"
LABEL_COMMIT = "pierhead.io/commit"
LABEL_APPLICATION = "pierhead.io/application"
LABEL_COMPONENT = "pierhead.io/component"
"""Containers of the router (router-net, router, router-dns, edge): they belong to no pod."""
LABEL_SPEC_HASH = "pierhead.io/spec-hash"
"""Hash of the ContainerSpec that a container was made from: a difference means drift."""
PAUSE_IMAGE = "pierhead/pause:1"
"""The image that waits for ever, as `node.py` asks for it; an adapter puts its own in its place."""
PAUSE_CONTAINER = "pause"
"""Value of LABEL_CONTAINER for the container that owns a pod's network namespace. No user container may have it."""

ContainerState = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
Health = Literal["", "starting", "healthy", "unhealthy"]


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file (or, with `is_folder`, a folder) to be written into a volume or container. `path` is relative.

    The folder `.` is the volume's root itself: its mode and owner are set.
    """

    path: str
    data: bytes = field(default=b"", repr=False)
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """`source` is a volume's name, or a path on the host when `is_host_path`."""

    source: str
    target: str
    read_only: bool = False
    is_host_path: bool = False


@dataclass(frozen=True, slots=True)
class PublishedPort:
    container_port: int
    host_port: int
    host_ip: str = ""
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    command: tuple[str, ...]
    interval_seconds: float
    timeout_seconds: float
    retries: int
    start_period_seconds: float = 0
    start_interval_seconds: float = 0  # how often to look during the start period; engines before 25 cannot, 0 = theirs


@dataclass(frozen=True, slots=True)
class Subnet:
    """The addresses of a bridge network: containers get theirs from `pods`, a part of `range` (both as a.b.c.d/n)."""

    range: str
    pods: str
    gateway: str


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """All that is asked of an engine for one container. `None` for entrypoint or command means the image's own.

    `network` is a network's name, `container:NAME`, or `host`; `address` a fixed address on it, "" for any.
    `image` is a pinned reference or an image id. `dns` are the servers that the engine's resolver asks for names
    that it does not know, none: the host's own. `open_files`: the limit of open files, 0 for the engine's.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    entrypoint: tuple[str, ...] | None = field(default=None, repr=False)  # $(VAR) may have put a secret here
    command: tuple[str, ...] | None = field(default=None, repr=False)
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    working_dir: str = ""
    user: str = ""
    group_add: tuple[str, ...] = ()
    network: str = ""
    address: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    open_files: int = 0
    hostname: str = ""
    extra_hosts: tuple[tuple[str, str], ...] = ()  # (hostname, ip)
    mounts: tuple[Mount, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    restart: Literal["always", "on-failure", "no"] = "no"
    memory_bytes: int = 0
    memory_reservation_bytes: int = 0
    cpu_millicores: int = 0
    cpu_shares: int = 0
    health: HealthCheck | None = None
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    read_only_root: bool = False
    no_new_privileges: bool = False
    seccomp_unconfined: bool = False
    sysctls: tuple[tuple[str, str], ...] = ()
    pid_host: bool = False
    stop_grace_seconds: int = 30
    stdin: bool = False
    tty: bool = False


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """A named volume. `memory` asks for tmpfs; `size_bytes` limits it (tmpfs only)."""

    name: str
    labels: Mapping[str, str]
    memory: bool = False
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ContainerDetail:
    """What only an inspection tells. Times are seconds since the epoch by the host's clock; 0 means never."""

    exit_code: int = 0
    oom_killed: bool = False
    restart_count: int = 0
    started_at: float = 0
    finished_at: float = 0
    error: str = ""
    ip: str = ""
    image_id: str = ""
    networks: Mapping[str, str] = field(default_factory=dict)  # network name -> address on it


@dataclass(frozen=True, slots=True)
class ContainerSeen:
    """A container of this cluster as one listing shows it; `detail` once it has been inspected.

    `uptime_seconds` is what the listing says (coarse: seconds, then minutes, hours); None when not running.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    state: ContainerState
    health: Health = ""
    uptime_seconds: float | None = None
    image: str = ""
    detail: ContainerDetail | None = None


@dataclass(frozen=True, slots=True)
class ImageSeen:
    """`digests` are `repository@sha256:...` references; empty for an image that was loaded by hand."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    user: str = ""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """`engine_id` tells two registrations of one engine apart from two engines."""

    engine_id: str
    name: str
    version: str
    operating_system: str
    architecture: str
    cpu_millicores: int
    memory_bytes: int
    live_restore: bool = False


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """`action`: start, die, oom, destroy, create, pause, unpause, health_status: healthy. `at`: the host's clock."""

    action: str
    container_id: str
    labels: Mapping[str, str]
    at: float
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class RegistryAuth:
    username: str
    password: str = field(repr=False)
    server: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    output: str
