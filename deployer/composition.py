"""Where things are put together: the loops, the store behind them, the engines, Git and the clock.

One `Composition` per process, made on first use. Engines are kept open per node and opened anew when a node's address
or credentials change; each node has small thread pools of its own, so that one sick host never slows the others.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connections

from control import hints
from control.alarms import Alarms
from control.models import Node
from control.store import (
    addresses,
    adoption,
    analyses,
    clock,
    collection,
    commit_statuses,
    draining,
    identities,
    image_policies,
    incidents,
    measurements,
    nodes,
    notices,
    pins,
    routing,
    taints,
    usage,
    work,
)
from control.store import repositories as repository_store
from control.store import resync as resync_store
from control.store import scheduling as scheduling_store
from control.store import sync as sync_store
from control.store import workloads as workload_store
from deployer.adapters import authority, git_host
from deployer.adapters.apprise_notifier import AppriseNotifier
from deployer.adapters.clock import WallClock
from deployer.adapters.docker import open_engine
from deployer.adapters.docker_address import EngineAddress
from deployer.adapters.git import GitSource
from deployer.adapters.host_names import HostNames
from deployer.adapters.prometheus import PrometheusProvider
from deployer.adapters.registry import OciRegistry
from deployer.adapters.rendering import ToolRenderer
from deployer.adapters.repository_source import RepositorySource
from deployer.adapters.router_line import open_line
from deployer.adapters.simulated import SimulatedEngine
from deployer.adapters.simulated_router import open_simulated_line
from deployer.brief import brief, briefly
from deployer.core.clock_jump import Moment, jump_seconds
from deployer.core.container import ImageSeen
from deployer.core.network.mesh import command_line_name
from deployer.core.network.routing import Routed
from deployer.core.network.values import Identity
from deployer.core.node import AdoptedPod
from deployer.loops import (
    analyse,
    converge,
    drain,
    evict,
    image_updates,
    notify,
    poll,
    reconcile,
    resync,
    route,
    schedule,
    status,
    sync,
)
from deployer.loops import incidents as incident
from deployer.loops.images import NodeImages
from deployer.loops.router_access import RouterAccess
from deployer.loops.router_looks import WITHIN_SECONDS, RouterLooks
from deployer.ports import Engine, EngineError, RouterLine

NODE_TIMEOUT_SECONDS = 10.0
CONVERGING_NODES = 1024
"""Nodes that one worker converges at a time; each has a thread that mostly waits, made when it is needed. So many that
those whose hosts hang are never in the way of the others."""
ROUTED_NODES = 1024
"""Likewise, routers that one worker is at."""
POLLED_REPOSITORIES = 64
"""Likewise, repositories: a Git server that hangs is in the way of nobody else."""
ASKED_REGISTRIES = 16
"""Likewise, workloads whose images are looked for, and repositories that they are committed to."""
ANALYSED_RUNS = 256
"""Likewise, analyses of canaries: one that waits for a provider of metrics is in the way of no other."""
OUTSIDE = 4
"""Threads that wait for services of others, such as people's channels: slow ones keep only each other waiting."""
LINE_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Access:
    """A node as the two loops that reach for it see it: one engine, one memory of its images."""

    node: converge.NodeAccess
    router: RouterAccess

    def close(self) -> None:
        self.router.close()
        self.node.engine.close()


class Nodes:
    """The way to each node, opened once per process and kept."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[tuple[str, str], Access]] = {}
        self._away: set[str] = set()
        self._lock = threading.Lock()

    def access(self, uid: str) -> Access | None:
        found = self._access(uid)
        if found is not None and uid in self._away and Node.objects.filter(pk=uid, ready=True).exists():
            self._away.discard(uid)
            with contextlib.suppress(EngineError):
                found.node.engine.ping()  # it is back: what was held against it before does not count any more
        return found

    def _access(self, uid: str) -> Access | None:
        row = Node.objects.filter(pk=uid).first()
        if row is None:
            self.close(uid)
            return None
        if not row.ready:
            self._away.add(uid)
        stamp = (row.address, row.__dict__["credentials"])
        with self._lock:
            known = self._open.get(uid)
            if known and known[0] == stamp:
                return known[1]
        made = _access(row)
        with self._lock:
            now_known = self._open.get(uid)
            if now_known and now_known[0] == stamp:  # the other loop was faster: one engine is enough
                made, unused = now_known[1], made
            else:
                unused = None
                self._open[uid] = (stamp, made)
        if unused:
            unused.close()
        return made

    def close(self, uid: str) -> None:
        with self._lock:
            known = self._open.pop(uid, None)
        if known:
            known[1].close()


def engine_of(row: Node) -> Engine:
    """A new engine for a node's row. The caller closes it."""
    return open_engine(
        EngineAddress(url=row.address, **row.credentials.load()),
        settings.PIERHEAD.cluster_id,
        run_dir=settings.PIERHEAD.data_dir / "run",
        timeout_seconds=NODE_TIMEOUT_SECONDS,
        pause_image_fallback=settings.PIERHEAD.pause_image,
    )


def line_of(
    uid: str, engine: Engine, line_host: str, port: int, control: Identity,
    timeout_seconds: float = LINE_TIMEOUT_SECONDS,
) -> RouterLine:  # fmt: skip
    """A new line to a node's router. Nothing is sent. Raises RouterUnreachable when nobody knows where it is."""
    if isinstance(engine, SimulatedEngine):
        return open_simulated_line(engine)
    if not line_host:
        raise EngineError("RouterUnreachable", "the host of its router is not known: set the node's mesh address")
    name = command_line_name(uid)
    return open_line(
        line_host, port, name, control.certificate, control.key, control.authority, timeout_seconds
    )  # fmt: skip


@briefly
def watched_line(uid: str, engine: Engine, timeout_seconds: float = LINE_TIMEOUT_SECONDS) -> RouterLine:
    """The same, for a process that has nothing but the node's uid: it asks the records once per line."""
    row = Node.objects.get(pk=uid)
    found = identities.identities(uid, authority, WallClock().now())
    if found is None:
        raise EngineError("RouterUnreachable", f"node {uid} is not on record any more")
    return line_of(uid, engine, routing.line_host(row), settings.PIERHEAD.mesh_port, found.control, timeout_seconds)


def _access(row: Node) -> Access:
    engine, uid = engine_of(row), row.uid

    @briefly
    def pulled(reference: str, seen: ImageSeen) -> None:
        pins.image_pulled(uid, reference, seen.id)

    def line(routed: Routed) -> RouterLine:
        return line_of(uid, engine, routed.line_host, routed.cluster.mesh_port, routed.control)

    images = NodeImages(engine, WallClock(), pulled, converge.rest)
    router = RouterAccess(
        uid=uid, name=row.name, engine=engine, images=images, open_line=line, rest=converge.rest,
        pool=ThreadPoolExecutor(1, f"route-{row.name}", initializer=_fresh_connections),
    )  # fmt: skip
    node = converge.NodeAccess(
        uid=uid, name=row.name, engine=engine, images=images,
        starters=ThreadPoolExecutor(converge.STARTERS, f"start-{row.name}", initializer=_fresh_connections),
        stoppers=ThreadPoolExecutor(converge.STOPPERS, f"stop-{row.name}", initializer=_fresh_connections),
    )  # fmt: skip
    return Access(node, router)


def _fresh_connections() -> None:
    """A pool's thread starts without anybody else's database connection."""
    connections.close_all()


class NodeRows:
    """The converge loop's store: rows of one node."""

    placed = staticmethod(nodes.placed)
    orphans = staticmethod(nodes.orphans)
    desired = staticmethod(nodes.desired)
    pull_failures = staticmethod(nodes.pull_failures)
    save = staticmethod(nodes.save)
    broken_off = staticmethod(nodes.broken_off)
    saw = staticmethod(nodes.saw)
    pin_image = staticmethod(pins.pin_image)
    registry_auth = staticmethod(pins.registry_auth)
    needed = staticmethod(collection.needed)
    pulled = staticmethod(collection.pulled)
    collected = staticmethod(collection.collected)
    adopt_networks = staticmethod(addresses.adopt_networks)

    @staticmethod
    def adopt(node: str, found: Iterable[AdoptedPod], wake: Any, now: float) -> int:
        return adoption.adopt(Node.objects.get(pk=node), list(found), wake, now)


class Routes(routing.RouteRows):
    """The route loop's store. Names of other nodes' hosts are looked up here, outside of any transaction."""

    def __init__(self) -> None:
        super().__init__(authority)
        self._names = HostNames()

    def load(self, node: str, now: float) -> Routed | None:
        found = super().load(node, now)
        if found is None:
            return None
        nodes = tuple(replace(one, mesh_address=self._names.address(one.mesh_address)) for one in found.cluster.nodes)
        return replace(found, cluster=replace(found.cluster, nodes=nodes))


class Composition:
    """Everything that a process of the deployer holds."""

    def __init__(self) -> None:
        owner = f"{socket.gethostname()}-{os.getpid()}-{random.getrandbits(32):08x}"
        self.clock = WallClock()
        self.alarms = Alarms(lambda loop, key: hints.send(loop, [key]), self.clock.now)
        self.work = work.WorkRows(owner, hints.send, self.alarms.set)
        self.nodes = Nodes()
        self._routes = Routes()
        self._moment: Moment | None = None
        self.source = RepositorySource(GitSource(settings.PIERHEAD.data_dir / "git"))
        self.renderer = ToolRenderer()
        self._routers = ThreadPoolExecutor(ROUTED_NODES, "router", initializer=_fresh_connections)
        self.registry = OciRegistry(allow_local=settings.PIERHEAD.allow_local_registries)
        self.notifier = AppriseNotifier(allow_local=settings.PIERHEAD.allow_local_notifications)
        self._pollers = ThreadPoolExecutor(POLLED_REPOSITORIES, "poll", initializer=_fresh_connections)
        self._askers = ThreadPoolExecutor(ASKED_REGISTRIES, "images", initializer=_fresh_connections)
        self._outside = ThreadPoolExecutor(OUTSIDE, "outside", initializer=_fresh_connections)
        self._convergers = ThreadPoolExecutor(CONVERGING_NODES, "converge", initializer=_fresh_connections)
        self._analysers = ThreadPoolExecutor(ANALYSED_RUNS, "analyse", initializer=_fresh_connections)
        looks = RouterLooks(
            briefly(self._look_line), ThreadPoolExecutor(ROUTED_NODES, "look", initializer=_fresh_connections)
        )
        self._eyes = analyse.Eyes(
            looks, PrometheusProvider(allow_local=settings.PIERHEAD.allow_local_providers),
            ThreadPoolExecutor(ANALYSED_RUNS, "provider", initializer=_fresh_connections),
        )  # fmt: skip

    def run(self, loop: str, keys: Sequence[str]) -> None:
        """Keys of one loop, now, those that are due and that nobody else is at."""
        if loop == reconcile.LOOP:
            reconcile.run(keys, self.work, workload_store, self.clock)
            return
        for key in keys:
            self._run(loop, key)

    def _run(self, loop: str, key: str) -> None:
        match loop:
            case schedule.LOOP:
                schedule.run(self.work, scheduling_store, self.clock)
            case drain.LOOP:
                drain.run(key, self.work, draining, self.clock)
            case evict.LOOP:
                evict.run(key, self.work, taints, self.clock)
            case converge.LOOP:
                self._convergers.submit(self._at_node, converge.LOOP, key)
            case route.LOOP:
                self._routers.submit(self._at_node, route.LOOP, key)
            case sync.LOOP:
                sync.run(key, self.work, sync_store, self.source, self.renderer, self.clock)
            case poll.LOOP:
                self._pollers.submit(self._apart, loop, key)
            case analyse.LOOP:
                self._analysers.submit(self._apart, loop, key)
            case image_updates.LOOP | image_updates.COMMIT_LOOP:
                self._askers.submit(self._apart, loop, key)
            case incident.LOOP:
                incident.run(key, self.work, incidents, self.clock)
            case notify.LOOP | status.LOOP:
                self._outside.submit(self._apart, loop, key)

    def look_at_the_clock(self) -> None:
        """Every second: one that was set leaves no lease and no wait behind."""
        before, self._moment = self._moment, Moment(self.clock.now(), time.monotonic())
        if jump := jump_seconds(before, self._moment):
            hints.log.warning("the clock was set by %.0f s; everything is looked at again", jump)
            clock.set_right(jump, self._moment.wall)

    def resync(self) -> None:
        resync.run(self.work, resync_store, self.clock)
        self._eyes.routers.keep_only(Node.objects.values_list("uid", flat=True))

    def forget_the_past(self) -> None:
        collection.forget_the_past(self.clock.now(), settings.PIERHEAD.event_retention_days)
        measurements.roll_up(self.clock.now())
        usage.roll_up(self.clock.now())

    def _look_line(self, uid: str) -> RouterLine:
        """For looks that are short or have not been."""
        access = self.nodes.access(uid)
        if access is None:
            raise EngineError("RouterUnreachable", "the node is not on record any more")
        line: RouterLine = watched_line(uid, access.node.engine, WITHIN_SECONDS)
        return line

    def _at_node(self, loop: str, uid: str) -> None:
        """In a thread of its own: a node's turn may last as long as a grace period, or as a pull."""
        close_old_connections()
        try:
            access = self.nodes.access(uid)
            if access is None:
                self.work.forget(loop, uid)
            elif loop == route.LOOP:
                route.run(access.router, brief(self.work), brief(self._routes), self.clock)
            else:
                cluster = settings.PIERHEAD.cluster_id
                converge.run(access.node, cluster, brief(self.work), brief(NodeRows()), self.clock)
        except Exception:  # noqa: BLE001
            hints.log.exception("%s of node %s failed; it is tried again in %s s", loop, uid, converge.RETRY_SECONDS)
        finally:
            close_old_connections()

    def _apart(self, loop: str, key: str) -> None:
        """In a thread of its own: somebody else's server may take its time, or say nothing for a minute."""
        work = brief(self.work)
        try:
            match loop:
                case poll.LOOP:
                    jitter = random.random()  # noqa: S311 - spreads polls, guards nothing
                    poll.run(key, work, brief(repository_store), self.source, self.clock, jitter)
                case analyse.LOOP:
                    analyse.run(key, work, brief(analyses), self._eyes, self.clock)
                case image_updates.LOOP:
                    image_updates.run(key, work, brief(image_policies), self.registry, self.clock)
                case image_updates.COMMIT_LOOP:
                    image_updates.commit(key, work, brief(image_policies), self.source, self.clock)
                case notify.LOOP:
                    notify.run(key, work, brief(notices), self.notifier, self.clock)
                case status.LOOP:
                    status.run(key, work, brief(commit_statuses), git_host, self.clock)
        except Exception:  # noqa: BLE001
            hints.log.exception("%s of %s failed; it is tried again", loop, key)
        finally:
            close_old_connections()


@functools.cache
def composition() -> Composition:
    return Composition()
