"""A whole cluster in one thread: real rows, real loops, simulated hosts, a clock that moves when told to.

world = World(tmp_path)
world.add_node("a")
world.push(web(replicas=3))
world.settle()
assert world.ready("web") == 3
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, Self

from control.models import NEVER, Application, Deployment, Node, Pod, Repository, Work
from control.store import adoption, analyses, draining, heartbeats, image_policies, taints
from control.store import commit_statuses as status_store
from control.store import drift as drift_store
from control.store import incidents as incident_store
from control.store import notices as notice_store
from control.store import repositories as repository_store
from control.store import resync as resync_store
from control.store import routing as routing_store
from control.store import scheduling as scheduling_store
from control.store import sync as sync_store
from control.store import work as work_store
from control.store import workloads as workload_store
from deployer.adapters import authority
from deployer.adapters.rendering import ToolRenderer
from deployer.adapters.simulated import SimulatedEngine
from deployer.adapters.simulated_router import open_simulated_line
from deployer.composition import NodeRows
from deployer.core.container import LABEL_COMPONENT, LABEL_REVISION, ContainerSeen
from deployer.core.network.endpoints import node_label
from deployer.loops import (
    analyse,
    converge,
    drain,
    drift,
    evict,
    image_updates,
    incidents,
    notify,
    poll,
    reconcile,
    resync,
    route,
    schedule,
    status,
    sync,
)
from deployer.loops.heartbeat import Beating, Heartbeats
from deployer.loops.images import NodeImages
from deployer.loops.probe_watch import ProbeLook
from deployer.loops.router_access import RouterAccess
from deployer.loops.router_looks import RouterLooks
from deployer.ports import RouterLine
from tests.scenarios.fakes import FakeHost, FakeNotifier, FakeProvider, FakeRegistry, FakeSource

CLUSTER = "0123456789ab"
BEGIN = 1_750_000_000.0
STEPS = 2_000


class FakeClock:
    def __init__(self) -> None:
        self.at = BEGIN

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


class Inline(Executor):
    """Runs what is submitted at once, in the caller's thread: the order of a story is its own."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - handed on, as a pool does
            future.set_exception(error)
        return future


class World:
    """`settle` runs whatever is due until nothing is; `pass_time` moves the clock and settles along the way."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.source = folder, FakeClock(), FakeSource()
        self.registry = FakeRegistry()
        self.renderer = ToolRenderer()
        self.engines: dict[str, SimulatedEngine] = {}
        self.access: dict[str, converge.NodeAccess] = {}
        self.routers: dict[str, RouterAccess] = {}
        self.looks: dict[str, ProbeLook] = {}
        looks = RouterLooks(lambda uid: self.line(self.access[uid].name), Inline())
        self.provider = FakeProvider()
        self.eyes = analyse.Eyes(looks, self.provider, Inline())
        self.notifier = FakeNotifier()
        self.host = FakeHost()
        self.routes = routing_store.RouteRows(authority)
        self._workers = itertools.count(1)
        self.work = self.new_worker()
        self.heart = Heartbeats(Inline(), self.work, heartbeats, self.clock)

    def new_worker(self) -> work_store.WorkRows:
        """Another worker on the same database; the one before it is as good as dead."""
        self.work = work_store.WorkRows(f"worker-{next(self._workers)}", lambda loop, keys: None)
        return self.work

    # What people do

    def add_node(self, name: str, **columns: Any) -> SimulatedEngine:
        engine = self._engine(name)
        info = engine.info()
        row = Node(
            name=name, address=f"sim://{name}", engine_id=info.engine_id, cpu_millicores=info.cpu_millicores,
            memory_bytes=info.memory_bytes, ready=True, observed_at=self.clock.now(), **columns,
        )  # fmt: skip
        row.save(force_insert=True)
        adoption.adopt(row, converge.adopted(engine.containers()), self.work.wake, self.clock.now())
        self._reach(row, engine)
        self.work.wake("converge", row.uid)
        routing_store.wake_all(self.work.wake)
        self.work.wake("schedule", "cluster")
        return engine

    def twin(self, folder: Path) -> Self:
        """The same cluster at this moment, over a copy of its hosts; its processes remember of hosts and routers what
        these do, and their lines are open. Rows are shared: roll them back."""
        twin = type(self)(folder)
        twin.clock.at, twin.source.commits = self.clock.at, list(self.source.commits)
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.engines:
            file = f"sim-{name}.sqlite3"
            with contextlib.closing(sqlite3.connect(self.folder / file)) as source, \
                    contextlib.closing(sqlite3.connect(folder / file)) as target:  # fmt: skip
                source.backup(target)
            row = Node.objects.get(name=name)
            twin._reach(row, twin._engine(name))
            twin.routers[row.uid].memory = copy.deepcopy(self.routers[row.uid].memory)
            if line := self.routers[row.uid]._line:
                twin.routers[row.uid]._line = (line[0], twin.line(name))
            mine, theirs = self.access[row.uid].images, twin.access[row.uid].images
            for kept in ("networks_told", "present", "_seen_at"):
                setattr(theirs, kept, copy.copy(getattr(mine, kept)))
        return twin

    def _engine(self, name: str) -> SimulatedEngine:
        return SimulatedEngine(name, CLUSTER, run_dir=self.folder, clock=self.clock, sleep=self.clock.sleep)

    def _reach(self, row: Node, engine: SimulatedEngine) -> None:
        """What the processes keep of a node."""
        name = row.name
        self.engines[name] = engine
        images = NodeImages(engine, self.clock, lambda reference, seen: None, self.clock.sleep)
        self.access[row.uid] = converge.NodeAccess(row.uid, name, engine, images, Inline(), Inline())
        self.routers[row.uid] = self.router_access(row.uid)
        self.looks[row.uid] = ProbeLook(row.uid, lambda: self.line(name), self.work, peers=self.heard)
        self.heart.beating[row.uid] = Beating(engine)

    def router_access(self, uid: str) -> RouterAccess:
        """As a process has it that knows nothing of the router yet."""
        node = self.access[uid]
        return RouterAccess(
            uid, node.name, node.engine, node.images, lambda routed: self.line(node.name), self.clock.sleep, Inline()
        )

    def line(self, name: str) -> RouterLine:
        return open_simulated_line(self.engines[name])

    def follow(self, name: str = "shop") -> Application:
        repository, _ = Repository.objects.get_or_create(name=name, defaults={"url": "fake", "poll_seconds": 30})
        row = Application.objects.create(name=name, repository=repository, path=".", namespace="shop")
        self.work.wake("poll", repository.uid)
        return row

    def push(self, *documents: str, message: str = "a change") -> str:
        """One commit that holds these documents, and the poll that finds it."""
        sha = self.source.push(
            {f"{number}.yaml": text for number, text in enumerate(documents)}, message, self.clock.now()
        )
        if not Application.objects.exists():
            self.follow()
        for uid in Repository.objects.values_list("uid", flat=True):
            self.work.wake("poll", uid)
        return sha

    # What the processes do

    def settle(self) -> int:
        """Run due keys until none is due. Returns how many turns it took; more than STEPS means that it spins."""
        for step in range(STEPS):
            due = self.work.due(self.clock.now())
            if not due:
                return step
            self.run(*due[0])
        raise AssertionError(f"still busy after {STEPS} turns: {self.work.due(self.clock.now())}")

    def run_all(self, loop: str, keys: Sequence[str]) -> None:
        """What a worker does that gets many keys in one message."""
        if loop == "reconcile":
            reconcile.run(keys, self.work, workload_store, self.clock)
            return
        for key in keys:
            self.run(loop, key)

    def run(self, loop: str, key: str) -> None:
        match loop:
            case "reconcile":
                reconcile.run([key], self.work, workload_store, self.clock)
            case "drain":
                drain.run(key, self.work, draining, self.clock)
            case "evict":
                evict.run(key, self.work, taints, self.clock)
            case "schedule":
                schedule.run(self.work, scheduling_store, self.clock)
            case "sync":
                sync.run(key, self.work, sync_store, self.source, self.renderer, self.clock)
            case "poll":
                poll.run(key, self.work, repository_store, self.source, self.clock, 0.0)
            case "converge":
                converge.run(self.access[key], CLUSTER, self.work, NodeRows(), self.clock)
            case "route":
                route.run(self.routers[key], self.work, self.routes, self.clock)
            case _:
                self._run_outside(loop, key)

    def _run_outside(self, loop: str, key: str) -> None:
        """What others are asked for, and told."""
        match loop:
            case "analyse":
                analyse.run(key, self.work, analyses, self.eyes, self.clock)
            case "images":
                image_updates.run(key, self.work, image_policies, self.registry, self.clock)
            case "imagecommit":
                image_updates.commit(key, self.work, image_policies, self.source, self.clock)
            case "incident":
                incidents.run(key, self.work, incident_store, self.clock)
            case "status":
                status.run(key, self.work, status_store, self.host, self.clock)
            case "notify":
                notify.run(key, self.work, notice_store, self.notifier, self.clock)

    def pass_time(self, seconds: float) -> None:
        """Everything that comes due within the next `seconds` happens at its time."""
        until = self.clock.now() + seconds
        self.settle()
        while (at := self._next_due()) <= until:
            self.clock.at = max(self.clock.at, at)
            self.settle()
        self.clock.at = until

    def pass_time_watched(self, seconds: int) -> None:
        """The same with an event stream: whatever does not simply run is named as changed, every second."""
        for _ in range(seconds):
            self.pass_time(1)
            self.poll_probes()
            for name, engine in self.engines.items():
                for one in pods_of(engine):
                    if one.state != "running" or (one.uptime_seconds or 0) < 2:
                        self.event(name, one.id)
        self.settle()

    def event(self, name: str, container: str = "") -> None:
        """What the watch process does when something happened on a node."""
        uid = Node.objects.get(name=name).uid
        self.work.wake("converge", uid, dirty=[container] if container else ())

    def poll_probes(self) -> None:
        """What the watch process does every second."""
        for look in self.looks.values():
            look.work = self.work
            look.look(self.clock.now())

    def heard(self, uid: str, at: float, views: Mapping[str, bool | None]) -> None:
        """What a router sees of its peers, handed on as the watch process does."""
        uids = {node_label(one): one for one in self.access}
        self.heart.heard(uid, at, {uids[label]: word for label, word in views.items()})

    def watch(self, seconds: float) -> None:
        """The whole watch process, once a second: probes and peers are looked at, all hosts are pinged."""
        self.settle()
        until = self.clock.now() + seconds
        while self.clock.now() < until:
            self.heart.work = self.work
            for look in self.looks.values():
                look.next_at = 0.0
            self.poll_probes()
            self.heart.tick([heartbeats.host(row) for row in Node.objects.order_by("name")])
            self.pass_time(1)

    def node(self, name: str) -> Node:
        return Node.objects.get(name=name)

    def resync(self) -> int:
        return resync.run(self.work, resync_store, self.clock)

    def look(self) -> int:
        """What is done every ten seconds; and the applications that have to compare do."""
        woken = drift.run(self.work, drift_store)
        self.settle()
        return woken

    def _next_due(self) -> float:
        """A key that was woken while a dead worker's lease runs is due when that ends, not before."""
        rows = Work.objects.values_list("due_at", "leased_until")
        at = min((max(due, leased) for due, leased in rows), default=NEVER)
        return max(at, self.clock.now() + 0.001)

    # What a person sees

    def deployment(self, name: str = "web") -> Deployment:
        return Deployment.objects.get(name=name)

    def pods(self, name: str = "web") -> list[Pod]:
        return list(Pod.objects.filter(owner=f"Deployment/{name}", deleted_at=None).order_by("name"))

    def ready(self, name: str = "web") -> int:
        return sum(pod.ready for pod in self.pods(name))

    def running(self) -> dict[str, list[str]]:
        """Node -> names of the containers that run there, but for those of its router."""
        return {
            name: sorted(one.name for one in pods_of(engine) if one.state == "running")
            for name, engine in self.engines.items()
        }

    def revisions(self) -> set[int]:
        """The revisions whose containers are on the hosts, in any state."""
        return {int(one.labels[LABEL_REVISION]) for engine in self.engines.values() for one in pods_of(engine)}

    def condition(self, kind: str, name: str = "web") -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.deployment(name).status["conditions"] if one["type"] == kind)
        return found


def pods_of(engine: SimulatedEngine) -> list[ContainerSeen]:
    """The containers of a host, without those of its router."""
    return [one for one in engine.containers() if LABEL_COMPONENT not in one.labels]


def web(
    name: str = "web", *, replicas: int = 3, image: str = "shop/web:1", command: str = "", annotations: str = "",
    spec: str = "", container: str = "", pod: str = "",
) -> str:  # fmt: skip
    """A Deployment. `spec`, `pod` and `container` are YAML lines (flow style) that are added at their level."""
    lines = [
        "apiVersion: apps/v1", "kind: Deployment", "metadata:", f"  name: {name}",
        *([f"  annotations: {annotations}"] if annotations else []), "spec:", f"  replicas: {replicas}",
        *(f"  {line}" for line in spec.splitlines()), f"  selector: {{matchLabels: {{app: {name}}}}}", "  template:",
        f"    metadata: {{labels: {{app: {name}}}}}", "    spec:", *(f"      {line}" for line in pod.splitlines()),
        "      containers:", f"        - name: {name}", f"          image: {image}",
        *([f"          command: [{command}]"] if command else []),
        *(f"          {line}" for line in container.splitlines()),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
