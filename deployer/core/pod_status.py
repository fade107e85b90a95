"""What is known about a pod on its node: the value that is stored after every look, and Kubernetes' JSON of it.

It is status and memory in one. Kubernetes' `status` fields are what people and clients read; beside them stand the
few facts that a look at the engine cannot tell again (how often a container was started, when its last run ended by
our clock, which start had its postStart hook, which content a volume holds). Those travel in the same JSON under
`pierhead`, so that a pod's whole memory is one column. Losing it restarts nothing: `node.py` then takes what it
sees as the truth.

Times of the engine (`started_at`, `finished_at`) are by the host's clock and only compared with one another;
times that end in `_seen_at` are by ours. Nothing here decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

StatusState = Literal["waiting", "running", "terminated"]
Phase = Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"]
UNHEALTHY = "Unhealthy"
"""Why a container was ended: its liveness or startup probe failed."""


@dataclass(frozen=True, slots=True)
class LastExit:
    """How the run before the present one ended. `exit_code` None: nobody saw it. `log_tail` is added by the loop."""

    exit_code: int | None
    reason: str
    finished_at: float
    log_tail: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PullFailure:
    """What an engine refused: tried again at `retry_at`, forgotten once it was done.

    `image` names it: an image as written; and for other steps (`PodStatus.failures`) the full name of a container, of
    a volume or network, or the step itself.
    """

    image: str
    reason: str
    message: str
    failures: int
    retry_at: float


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """One container. `reason` is Kubernetes' word (CrashLoopBackOff, ContainerCreating, OOMKilled, ...) or "".

    `restarts` counts starts after the first, by the engine or by us, over all attempts. `crashes` counts the ends
    in a row that were not followed by ten minutes of running. `attempt` is -1 until a container was seen.
    """

    name: str
    container_id: str = ""
    image: str = ""
    image_id: str = ""
    state: StatusState = "waiting"
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started_at: float = 0
    finished_at: float = 0
    ready: bool = False
    restarts: int = 0
    restarted_at: float = 0  # our clock
    last: LastExit | None = None
    is_init: bool = False
    started: bool = False  # running, and its startup probe has passed once
    ready_once: bool = False  # its health check has passed since its start
    attempt: int = -1
    engine_state: str = ""
    engine_restarts: int = 0
    started_seen_at: float = 0
    exit_seen_at: float = 0
    crashes: int = 0
    hooked_at: float = 0  # the `started_at` of the run whose postStart hook was run
    killed_at: float = 0  # the `started_at` of the run that we ended
    killed_for: str = ""  # and why: UNHEALTHY, or the reason of another event


@dataclass(frozen=True, slots=True)
class PodCondition:
    """`type` is Kubernetes': PodScheduled, Initialized, ContainersReady, Ready. `changed_at` by our clock."""

    type: str
    status: bool
    changed_at: float
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class PodStatus:
    """A pod. `ready_at` is since when it is ready without a break, 0 when it is not.

    `pause` is the container that owns the network, if there is one. `initialized` says that all init containers are
    done; it holds for that pause container only. `volumes`: name -> digest of the content written.
    `failures`: steps that were refused, by the name of what they were for. Of a deleted pod, `draining_at` is when
    its stop was first held back for the routers, `stopping_at` when it was first planned; 0 for not yet.
    """

    phase: Phase = "Pending"
    ready: bool = False
    ready_at: float = 0
    reason: str = ""
    message: str = ""
    pod_ip: str = ""
    host_ip: str = ""
    start_time: float = 0
    containers: tuple[ContainerStatus, ...] = ()
    init_containers: tuple[ContainerStatus, ...] = ()
    conditions: tuple[PodCondition, ...] = ()
    pause: ContainerStatus | None = None
    initialized: bool = False
    volumes: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, PullFailure] = field(default_factory=dict)
    draining_at: float = 0
    stopping_at: float = 0
    cleaned: bool = False

    @property
    def last_start_at(self) -> float:
        """Our clock's time of the latest start of any container, 0 when none ever started (`PodPlaced.started_at`)."""
        return max((one.started_seen_at for one in self.all_containers()), default=0)

    @property
    def attempts(self) -> dict[str, int]:
        """Container name -> the attempt that was last seen."""
        return {one.name: one.attempt for one in self.all_containers() if one.attempt >= 0}

    @property
    def restarts(self) -> int:
        return sum(one.restarts for one in (*self.init_containers, *self.containers))

    def all_containers(self) -> Iterator[ContainerStatus]:
        """Init containers, containers, and the pause container if there is one."""
        yield from self.init_containers
        yield from self.containers
        if self.pause is not None:
            yield self.pause

    def container(self, name: str) -> ContainerStatus | None:
        return next((one for one in self.all_containers() if one.name == name), None)

    def with_log_tail(self, name: str, text: str) -> PodStatus:
        """The same, with the last log lines of the run of `name` that ended. No change if no end is known."""

        def told(one: ContainerStatus) -> ContainerStatus:
            if one.name != name or one.last is None:
                return one
            return replace(one, last=replace(one.last, log_tail=text))

        return replace(
            self,
            containers=tuple(map(told, self.containers)),
            init_containers=tuple(map(told, self.init_containers)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Kubernetes' `status` of a Pod (core/v1), with what only Pierhead remembers under `pierhead`."""
        return {
            "phase": self.phase,
            **_present(reason=self.reason, message=self.message, podIP=self.pod_ip, hostIP=self.host_ip),
            **({"podIPs": [{"ip": self.pod_ip}]} if self.pod_ip else {}),
            **({"startTime": iso_time(self.start_time)} if self.start_time else {}),
            "conditions": [_condition_to_dict(one) for one in self.conditions],
            "containerStatuses": [_container_to_dict(one) for one in self.containers],
            **_present(initContainerStatuses=[_container_to_dict(one) for one in self.init_containers]),
            "pierhead": {
                "ready": self.ready,
                "readyAt": self.ready_at,
                "startTime": self.start_time,
                "initialized": self.initialized,
                **_present(
                    pause=_container_to_dict(self.pause) if self.pause else None,
                    volumes=dict(self.volumes),
                    failures={name: asdict(one) for name, one in self.failures.items()},
                    drainingAt=self.draining_at,
                    stoppingAt=self.stopping_at,
                    cleaned=self.cleaned,
                ),
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PodStatus | None:
        """What `to_dict` made; None for an empty mapping or one that Pierhead did not write."""
        memory = data.get("pierhead")
        if memory is None:
            return None
        pause = memory.get("pause")
        return cls(
            phase=data["phase"],
            ready=memory["ready"],
            ready_at=memory["readyAt"],
            reason=data.get("reason", ""),
            message=data.get("message", ""),
            pod_ip=data.get("podIP", ""),
            host_ip=data.get("hostIP", ""),
            start_time=memory["startTime"],
            containers=tuple(_container_from_dict(one) for one in data["containerStatuses"]),
            init_containers=tuple(_container_from_dict(one) for one in data.get("initContainerStatuses", ())),
            conditions=tuple(_condition_from_dict(one) for one in data["conditions"]),
            pause=_container_from_dict(pause) if pause else None,
            initialized=memory["initialized"],
            volumes=memory.get("volumes", {}),
            failures={name: PullFailure(**one) for name, one in memory.get("failures", {}).items()},
            draining_at=memory.get("drainingAt", 0),
            stopping_at=memory.get("stoppingAt", 0),
            cleaned=memory.get("cleaned", False),
        )


def iso_time(seconds: float) -> str:
    """RFC 3339 in UTC with seconds, as Kubernetes writes times: 0 is 1970-01-01T00:00:00Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _condition_to_dict(one: PodCondition) -> dict[str, Any]:
    return {
        "type": one.type,
        "status": "True" if one.status else "False",
        "lastTransitionTime": iso_time(one.changed_at),
        "lastProbeTime": None,
        **_present(reason=one.reason, message=one.message),
        "pierhead": {"changedAt": one.changed_at},
    }


def _condition_from_dict(data: Mapping[str, Any]) -> PodCondition:
    return PodCondition(
        type=data["type"],
        status=data["status"] == "True",
        changed_at=data["pierhead"]["changedAt"],
        reason=data.get("reason", ""),
        message=data.get("message", ""),
    )


_MEMORY = (
    "state",
    "reason",
    "message",
    "exit_code",
    "started_at",
    "finished_at",
    "restarted_at",
    "is_init",
    "ready_once",
    "attempt",
    "engine_state",
    "engine_restarts",
    "started_seen_at",
    "exit_seen_at",
    "crashes",
    "hooked_at",
    "killed_at",
    "killed_for",
)


def _container_to_dict(one: ContainerStatus) -> dict[str, Any]:
    return {
        "name": one.name,
        "image": one.image,
        "imageID": one.image_id,
        **({"containerID": f"docker://{one.container_id}"} if one.container_id else {}),
        "ready": one.ready,
        "started": one.started,
        "restartCount": one.restarts,
        "state": {one.state: _state_to_dict(one)},
        "lastState": {"terminated": _exit_to_dict(one.last)} if one.last and one.state != "terminated" else {},
        "pierhead": {
            **{_camel(name): getattr(one, name) for name in _MEMORY},
            **({"last": asdict(one.last)} if one.last else {}),
        },
    }


def _state_to_dict(one: ContainerStatus) -> dict[str, Any]:
    if one.state == "running":
        return {"startedAt": iso_time(one.started_at)}
    said = _present(reason=one.reason, message=one.message)
    if one.state == "waiting":
        return said
    times = {"startedAt": iso_time(one.started_at), "finishedAt": iso_time(one.finished_at)}
    return {"exitCode": _known(one.exit_code), **times, **said}


def _exit_to_dict(last: LastExit) -> dict[str, Any]:
    said = _present(reason=last.reason, message=last.log_tail)
    return {"exitCode": _known(last.exit_code), "finishedAt": iso_time(last.finished_at), **said}


def _known(exit_code: int | None) -> int:
    """Kubernetes requires a number and gives 137 with the reason ContainerStatusUnknown for an end nobody saw."""
    return 137 if exit_code is None else exit_code


def _container_from_dict(data: Mapping[str, Any]) -> ContainerStatus:
    memory = data["pierhead"]
    last = memory.get("last")
    return ContainerStatus(
        name=data["name"],
        container_id=data.get("containerID", "").removeprefix("docker://"),
        image=data["image"],
        image_id=data["imageID"],
        ready=data["ready"],
        started=data["started"],
        restarts=data["restartCount"],
        last=LastExit(**last) if last else None,
        **{name: memory[_camel(name)] for name in _MEMORY if _camel(name) in memory},
    )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
