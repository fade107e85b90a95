"""A simulated container's life as a function of time: what an engine would have done by `now`.

Nothing runs in between. A record says what was last known, and `advance` works out every death and every restart that
is due since, with Docker's rules: 100 ms before the first restart, doubled each time up to a minute, starting over
after a run of 10 s. Calling it twice, or late, gives the same life.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from deployer.adapters.simulated_programs import Machine, Run, run
from deployer.core.container import (
    LABEL_COMPONENT,
    ContainerDetail,
    ContainerSeen,
    ContainerSpec,
    ContainerState,
    Health,
)

_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS, _GOOD_RUN_SECONDS = 0.1, 60.0, 10.0
_KILLED, _TERMINATED = 137, 143
_LINES_KEPT = 1000
ROUTER = "router"
"""The value of LABEL_COMPONENT by which a router is known."""
NO_NETWORKS = ("", "none", "host", "bridge")


@dataclass(slots=True)
class Record:
    """One container, as it is stored. Times are seconds since the epoch, 0 for never."""

    id: str
    name: str
    image: str
    image_id: str
    labels: dict[str, str]
    words: list[str]
    env: dict[str, str]
    restart: str
    network: str
    mounts: list[tuple[str, str]]
    """(volume, folder)"""
    ports: list[tuple[str, int, str]]
    """(host ip, host port, protocol)"""
    health: dict[str, Any] | None
    ip: str
    state: ContainerState = "created"
    started_at: float = 0
    finished_at: float = 0
    exit_code: int = 0
    error: str = ""
    restart_count: int = 0
    backoff_seconds: float = 0
    restart_at: float = 0
    seen_health: Health = ""
    lines: list[tuple[float, str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    """Contents by absolute path, as latin-1 text (JSON knows no bytes)."""
    address: str = ""
    """The fixed address on `network`, "" for any."""
    attached: dict[str, str] = field(default_factory=dict)
    """The other networks it was put on, with its address there."""
    loads: int = 0
    """How often its program has read its configuration: with every start, and when it was told to reload."""
    loaded_at: float = 0
    loaded: dict[str, str] = field(default_factory=dict)
    """What it read then (routers only), contents by absolute path."""
    cpu_millicores: int = 0
    memory_bytes: int = 0
    """Both limits: 0 for none."""


@dataclass(frozen=True, slots=True)
class Happened:
    action: str
    at: float
    exit_code: int | None = None


def record_of(spec: ContainerSpec, *, identity: str, image_id: str, ip: str, labels: dict[str, str]) -> Record:
    return Record(
        id=identity,
        name=spec.name,
        image=spec.image,
        image_id=image_id,
        labels=labels,
        words=[*(spec.entrypoint or ()), *(spec.command or ())],
        env=dict(spec.env),
        restart=spec.restart,
        network=spec.network,
        mounts=[(mount.source, mount.target) for mount in spec.mounts if not mount.is_host_path],
        ports=[(port.host_ip, port.host_port, port.protocol) for port in spec.ports],
        health=asdict(spec.health) if spec.health else None,
        ip=ip,
        address=spec.address,
        cpu_millicores=spec.cpu_millicores,
        memory_bytes=spec.memory_bytes,
    )


def outcome(record: Record, machine: Machine) -> Run:
    return run(record.words, record.image, machine)


def load(record: Record, machine: Machine, at: float) -> None:
    """Its program reads its configuration. Only a router's is kept: what its command line answers comes from it."""
    record.loads, record.loaded_at = record.loads + 1, at
    if record.labels.get(LABEL_COMPONENT) == ROUTER:
        record.loaded = {path: data.decode("latin-1") for path, data in machine.files.items() if _is_read(path)}


def is_stubborn(record: Record, machine: Machine) -> bool:
    """Whether only SIGKILL, after the grace period, would end it."""
    return record.state == "running" and outcome(record, machine).ignores_term


def start(record: Record, machine: Machine, at: float) -> list[Happened]:
    """By hand: counters begin again."""
    record.restart_count, record.backoff_seconds = 0, 0.0
    return _run(record, machine, at)


def stop(record: Record, machine: Machine, at: float) -> list[Happened]:
    """By hand: no policy brings it back."""
    if record.state == "restarting":
        record.state = "exited"
        return []
    if record.state != "running":
        return []
    code = _KILLED if outcome(record, machine).ignores_term else _TERMINATED
    record.state, record.finished_at, record.exit_code, record.seen_health = "exited", at, code, ""
    return [Happened("die", at, code)]


def kill(record: Record, at: float) -> list[Happened]:
    """As by the kernel: the restart policy applies."""
    return _end(record, at, _KILLED) if record.state == "running" else []


def advance(record: Record, machine: Machine, now: float) -> list[Happened]:
    """Everything that is due by `now`, in order; `record` is brought up to date."""
    happened: list[Happened] = []
    while True:
        if record.state == "running":
            happened += _new_health(record, machine, now)
            lasts = outcome(record, machine).ends_after_seconds
            if lasts is None or record.started_at + lasts > now:
                return happened
            happened += _end(record, record.started_at + lasts, outcome(record, machine).exit_code)
        elif record.state == "restarting" and record.restart_at <= now:
            record.restart_count += 1
            happened += _run(record, machine, record.restart_at)
        else:
            return happened


def due_at(record: Record, machine: Machine) -> float | None:
    """When `advance` will next have something to do; None: never by itself."""
    if record.state == "restarting":
        return record.restart_at
    if record.state != "running":
        return None
    lasts = outcome(record, machine).ends_after_seconds
    moments = [] if lasts is None else [record.started_at + lasts]
    if record.health:
        moments.append(0.0)  # its probe reads files, which may change at any time
    return min(moments, default=None)


def seen(record: Record, now: float, *, with_detail: bool) -> ContainerSeen:
    return ContainerSeen(
        id=record.id,
        name=record.name,
        labels=record.labels,
        state=record.state,
        health=record.seen_health if record.state == "running" else "",
        uptime_seconds=max(0.0, now - record.started_at) if record.state == "running" else None,
        image=record.image,
        detail=_detail(record) if with_detail else None,
    )


def _run(record: Record, machine: Machine, at: float) -> list[Happened]:
    record.state, record.started_at, record.error = "running", at, ""
    record.seen_health = "starting" if record.health else ""
    outcome_ = outcome(record, machine)
    record.lines = [*record.lines, *((at + after, text) for after, text in outcome_.lines)][-_LINES_KEPT:]
    record.files |= {path: data.decode("latin-1") for path, data in outcome_.written.items()}
    load(record, machine, at)
    return [Happened("start", at)]


def _is_read(path: str) -> bool:
    return path.endswith((".cfg", ".map"))


def _end(record: Record, at: float, exit_code: int) -> list[Happened]:
    ran_well = at - record.started_at >= _GOOD_RUN_SECONDS
    record.finished_at, record.exit_code, record.seen_health, record.state = at, exit_code, "", "exited"
    if record.restart == "always" or (record.restart == "on-failure" and exit_code != 0):
        doubled = min(record.backoff_seconds * 2, _LONGEST_BACKOFF_SECONDS)
        record.backoff_seconds = _FIRST_BACKOFF_SECONDS if ran_well else doubled or _FIRST_BACKOFF_SECONDS
        record.state, record.restart_at = "restarting", at + record.backoff_seconds
    return [Happened("die", at, exit_code)]


def _new_health(record: Record, machine: Machine, now: float) -> list[Happened]:
    """The check's first answer comes after one interval; failures count once the start period is over."""
    if not record.health:
        return []
    interval, period = record.health["interval_seconds"], record.health["start_period_seconds"]
    works = run(record.health["command"], "", machine).exit_code == 0
    fails_at = record.started_at + max(period, interval) + (record.health["retries"] - 1) * interval
    answers_at = record.started_at + interval if works else fails_at
    health: Health = ("healthy" if works else "unhealthy") if answers_at <= now else record.seen_health or "starting"
    if health == record.seen_health:
        return []
    record.seen_health = health
    return [Happened(f"health_status: {health}", max(answers_at, record.started_at))]


def _detail(record: Record) -> ContainerDetail:
    return ContainerDetail(
        exit_code=0 if record.state == "running" else record.exit_code,
        restart_count=record.restart_count,
        started_at=record.started_at,
        finished_at=record.finished_at,
        error=record.error,
        ip=record.ip if record.state == "running" else "",
        image_id=record.image_id,
        networks=_networks(record),
    )


def _networks(record: Record) -> dict[str, str]:
    if record.network in NO_NETWORKS or record.network.startswith("container:"):
        return {}
    first = record.address or (record.ip if record.state == "running" else "")
    return dict(sorted({record.network: first, **record.attached}.items()))
