"""A small engine in memory for the kubelet's tests, and the loop around it: a host whose programs do as told.

It knows what Docker does by itself (restart policies, counters, clocks), and nothing of pods.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from deployer.core.actions import (
    CreateContainer,
    EnsureImage,
    EnsureNetwork,
    EnsurePauseImage,
    EnsureVolume,
    RemoveContainer,
    RemoveVolume,
    RunHook,
    StartContainer,
    Step,
    StopContainer,
)
from deployer.core.container import (
    LABEL_CLUSTER,
    LABEL_CONTAINER,
    LABEL_POD_UID,
    PAUSE_IMAGE,
    ContainerDetail,
    ContainerSeen,
    ContainerSpec,
    ContainerState,
    FileEntry,
    Health,
    ImageSeen,
)
from deployer.core.node import Event, PodDesired, PodPlan, PullFailure, plan_pod, step_failed
from deployer.core.objects.pod import PodSpec

CLUSTER = "cluster-1"
UID = "5f0c1b2a-0000-4000-8000-000000000001"
NOW = 1_700_000_000.0
HOST_CLOCK = 5000.0  # the host's clock is wrong by this much
IMAGES = {"app:1": "app@sha256:a1", "init:1": "init@sha256:b1", "side:1": "side@sha256:c1"}


def pod(*containers: Mapping[str, object], **spec: object) -> PodDesired:
    """A pod `shop/web-x` of these containers; a container is {"name": ..} with image app:1 unless it says otherwise."""
    full = [{"image": "app:1", **one} for one in (containers or ({"name": "web"},))]
    inits = [{"image": "init:1", **one} for one in spec.pop("initContainers", ())]  # type: ignore[attr-defined]
    return PodDesired(
        uid=UID,
        namespace="shop",
        name="web-x",
        node="node-1",
        node_ip="192.0.2.1",
        labels={"app": "web"},
        annotations={},
        spec=PodSpec.model_validate({"containers": full, "initContainers": inits, **spec}),
        owner="Deployment/web",
        replica_set="web-7d4b",
        application="shop",
        template_hash="7d4b",
        revision=3,
        commit="abc123",
        created_at=NOW,
        images=dict(IMAGES),
    )


class Refusal(Exception):
    def __init__(self, step: Step, reason: str) -> None:
        super().__init__(reason)
        self.step, self.reason = step, reason


class Killed(Exception):
    """The control plane dies between two steps."""


@dataclass
class Box:
    """One container on the host. `outcome` None: it runs for ever; a number: it ends with it as soon as it starts."""

    id: str
    spec: ContainerSpec
    name: str
    outcome: int | None
    files: tuple[FileEntry, ...] = ()
    state: ContainerState = "created"
    health: Health = ""
    exit_code: int = 0
    restart_count: int = 0
    started_at: float = 0
    finished_at: float = 0
    ip: str = ""

    def seen(self, now: float) -> ContainerSeen:
        up = now + HOST_CLOCK - self.started_at if self.state in ("running", "paused") else None
        detail = ContainerDetail(
            exit_code=self.exit_code, restart_count=self.restart_count, started_at=self.started_at,
            finished_at=self.finished_at, ip=self.ip if self.state == "running" else "", image_id="sha256:1",
        )  # fmt: skip
        return ContainerSeen(
            self.id,
            self.name,
            self.spec.labels,
            self.state,
            self.health,
            up,
            self.spec.image,
            detail,
        )


@dataclass(repr=False)
class Host:
    """`programs`: container name -> exit code, None to run on. `refuses`: step class name -> reason."""

    programs: dict[str, int | None] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    now: float = NOW
    boxes: dict[str, Box] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)
    volumes: dict[str, tuple[FileEntry, ...]] = field(default_factory=dict)
    images: dict[str, ImageSeen] = field(default_factory=dict)
    hooks: list[str] = field(default_factory=list)
    done: list[Step] = field(default_factory=list)
    made: int = 0

    def observe(self) -> list[ContainerSeen]:
        return [box.seen(self.now) for box in self.boxes.values()]

    def __repr__(self) -> str:
        return " ".join(f"{one.name}={one.state}/{one.health}" for one in self.boxes.values()) + f" {brief(self.done)}"

    def box(self, container: str) -> Box:
        return next(one for one in self.boxes.values() if one.spec.labels.get(LABEL_CONTAINER) == container)

    def take(self, step: Step) -> None:
        if (reason := self.refuses.get(type(step).__name__)) is not None:
            raise Refusal(step, reason)
        self.done.append(step)
        match step:
            case EnsureNetwork():
                self.networks.add(step.name)
            case EnsureImage():
                self._image(step)
            case EnsurePauseImage():
                self.images[PAUSE_IMAGE] = ImageSeen("sha256:pause")
            case EnsureVolume():
                self.volumes[step.spec.name] = step.files
            case CreateContainer():
                self._create(step)
            case StartContainer():
                self._start(self.boxes[step.name])
            case RunHook():
                assert self.boxes[step.container].state == "running"
                self.hooks.append(step.container)
            case StopContainer():
                self._stop(step.name)
            case RemoveContainer():
                self.boxes.pop(step.name, None)
            case RemoveVolume():
                assert not any(mount.source == step.name for box in self.boxes.values() for mount in box.spec.mounts)
                self.volumes.pop(step.name, None)

    def end(self, container: str, exit_code: int, *, ran: float = 1.0) -> None:
        """The program of a container ends by itself after `ran` seconds; Docker does what its policy says."""
        box = self.box(container)
        self.now = max(self.now, box.started_at - HOST_CLOCK + ran)
        box.state, box.exit_code, box.finished_at = "exited", exit_code, self.now + HOST_CLOCK
        if box.spec.restart == "always" or (box.spec.restart == "on-failure" and exit_code):
            box.state = "restarting"
            box.restart_count += 1

    def restart(self, container: str, *, wait: float = 0.1) -> None:
        """Docker starts a `restarting` container again."""
        self.now += wait
        self._run(self.box(container))

    def kill(self, container: str) -> None:
        """`docker kill` by hand: no restart policy helps."""
        box = self.box(container)
        box.state, box.exit_code, box.finished_at = "exited", 137, self.now + HOST_CLOCK

    def foreign(self, name: str, **labels: str) -> None:
        spec = ContainerSpec(name, "other:1", labels={LABEL_CLUSTER: CLUSTER, LABEL_POD_UID: UID, **labels})
        self.boxes[name] = Box(f"foreign-{name}", spec, name, None, state="running")

    def _image(self, step: EnsureImage) -> None:
        pinned = step.pinned or IMAGES.get(step.reference, f"{step.reference}@sha256:ff")
        seen = ImageSeen(f"sha256:{step.reference}", (step.reference,), (pinned,), user="1000")
        self.images |= {step.reference: seen, pinned: seen}

    def _create(self, step: CreateContainer) -> None:
        if step.spec.name in self.boxes:
            return
        spec = step.spec
        assert spec.image == PAUSE_IMAGE or spec.image in self.images or spec.image.startswith("sha256:"), spec.image
        if spec.network.startswith("container:"):
            assert spec.network.partition(":")[2] in self.boxes, spec.network
        else:
            assert spec.network in (*self.networks, "host"), spec.network
        for mount in spec.mounts:
            assert mount.is_host_path or mount.source in self.volumes, mount.source
        self.made += 1
        outcome = self.programs.get(spec.labels[LABEL_CONTAINER])
        self.boxes[spec.name] = Box(f"id-{self.made:04}", spec, spec.name, outcome, step.files)

    def _start(self, box: Box) -> None:
        if box.state == "running":
            return
        if box.state == "paused":
            box.state = "running"
            return
        if box.spec.network.startswith("container:"):
            assert self.boxes[box.spec.network.partition(":")[2]].state == "running"
        box.restart_count = 0
        self._run(box)

    def _run(self, box: Box) -> None:
        self.now += 0.01
        box.state, box.started_at, box.exit_code = "running", self.now + HOST_CLOCK, 0
        box.ip = f"10.0.0.{len(self.boxes)}"
        box.health = "starting" if box.spec.health else ""
        if box.outcome is not None:
            box.state, box.exit_code, box.finished_at = "exited", box.outcome, self.now + HOST_CLOCK + 0.001
            if box.spec.restart == "always" or (box.spec.restart == "on-failure" and box.outcome):
                box.state, box.restart_count = "restarting", box.restart_count + 1

    def _stop(self, name: str) -> None:
        box = self.boxes.get(name)
        if box is not None and box.state in ("running", "paused", "restarting"):
            box.state, box.exit_code, box.finished_at = "exited", 143, self.now + HOST_CLOCK


@dataclass
class Turn:
    """What a turn has come to. `desired` holds the status to go on with."""

    desired: PodDesired
    plan: PodPlan
    steps: list[Step]
    events: list[Event]


def plan(desired: PodDesired, host: Host, pulls: Mapping[str, PullFailure] | None = None) -> PodPlan:
    return plan_pod(
        desired, host.observe(), cluster_id=CLUSTER, pulls=pulls or {}, present_images=host.images, now=host.now
    )


def turn(
    desired: PodDesired, host: Host, *, pulls: Mapping[str, PullFailure] | None = None, kill_after: int = -1
) -> Turn:
    """What the converge loop does with a pod; `kill_after` steps the control plane dies, and nothing was stored."""
    steps: list[Step] = []
    events: list[Event] = []
    for _ in range(20):
        made = plan(desired, host, pulls)
        events.extend(made.events)
        if not made.steps:
            return Turn(replace(desired, previous=made.status), made, steps, events)
        status = made.status
        for step in made.steps:
            if len(steps) == kill_after:
                raise Killed
            steps.append(step)
            try:
                host.take(step)
            except Refusal as refusal:
                status = step_failed(desired, made, step, refusal.reason, "the engine said no", now=host.now)
                break
        desired = replace(desired, previous=status)
    raise AssertionError(f"no end of steps: {brief(made.steps)}")


def brief(steps: Iterable[Step]) -> str:
    """Steps in one line: `img:app:1 net create:web-0 start:web-0`; a trailing 0 attempt is left out."""
    return " ".join(map(_brief, steps))


def _brief(step: Step) -> str:
    def short(name: str) -> str:
        return re.sub("-0$", "", name.removeprefix("pierhead-shop-web-x-"))

    match step:
        case EnsureNetwork():
            return "net"
        case EnsureImage():
            return f"img:{step.reference}"
        case EnsurePauseImage():
            return "pauseimg"
        case EnsureVolume():
            return f"vol:{short(step.spec.name).removesuffix('-' + UID[:8])}"
        case CreateContainer():
            return f"create:{short(step.spec.name)}"
        case StartContainer():
            return f"start:{short(step.name)}"
        case RunHook():
            return f"hook:{short(step.container)}"
        case StopContainer():
            return f"stop:{short(step.name)}/{step.grace_seconds}"
        case RemoveContainer():
            return f"rm:{short(step.name)}"
        case RemoveVolume():
            return f"rmvol:{short(step.name).removesuffix('-' + UID[:8])}"
