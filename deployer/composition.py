"""Where things are put together: the loops, the store behind them, the engines, Git and the clock.

One `Composition` per process, made on first use. Engines are kept open per node and opened anew when a node's address
or credentials change; each node has small thread pools of its own, so that one sick host never slows the others.
"""

from __future__ import annotations

import functools
import os
import random
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from django.conf import settings
from django.db import close_old_connections, connection, connections

from control import hints
from control.models import Node
from control.store import adoption, collection, nodes, pins, work
from control.store import repositories as repository_store
from control.store import resync as resync_store
from control.store import scheduling as scheduling_store
from control.store import sync as sync_store
from control.store import workloads as workload_store
from deployer.adapters.clock import WallClock
from deployer.adapters.docker import open_engine
from deployer.adapters.docker_address import EngineAddress
from deployer.adapters.git import GitSource
from deployer.core.container import ImageSeen
from deployer.core.node import AdoptedPod
from deployer.core.repository import SourceTree
from deployer.core.source import CommitInfo, RepositoryAccess
from deployer.loops import converge, poll, reconcile, resync, schedule, sync
from deployer.loops.images import NodeImages
from deployer.ports import Engine

NODE_TIMEOUT_SECONDS = 10.0
CONVERGING_NODES = 64
"""Nodes that one worker converges at a time; each has a thread that mostly waits."""
S = TypeVar("S")


class Brief:
    """A store whose every call, outside of a transaction, gives the thread's database connection back at its end."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return briefly(getattr(self._store, name))


def brief(store: S) -> S:
    """For threads that live long and mostly wait: there are more of them than connections in the pool."""
    return cast(S, Brief(store))


def briefly(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def bounded(*arguments: Any, **options: Any) -> Any:
        try:
            return call(*arguments, **options)
        finally:
            if not connection.in_atomic_block:  # Django would close it all the same, and so undo the transaction
                close_old_connections()

    return bounded


class Nodes:
    """The way to each node, opened once per process and kept."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[tuple[str, str], converge.NodeAccess]] = {}
        self._lock = threading.Lock()

    def access(self, uid: str) -> converge.NodeAccess | None:
        row = Node.objects.filter(pk=uid).first()
        if row is None:
            self.close(uid)
            return None
        stamp = (row.address, row.__dict__["credentials"])
        with self._lock:
            known = self._open.get(uid)
            if known and known[0] == stamp:
                return known[1]
        made = _access(row)
        with self._lock:
            self._open[uid] = (stamp, made)
        return made

    def close(self, uid: str) -> None:
        with self._lock:
            known = self._open.pop(uid, None)
        if known:
            known[1].engine.close()


def engine_of(row: Node) -> Engine:
    """A new engine for a node's row. The caller closes it."""
    return open_engine(
        EngineAddress(url=row.address, **row.credentials.load()),
        settings.PIERHEAD.cluster_id,
        run_dir=settings.PIERHEAD.data_dir / "run",
        timeout_seconds=NODE_TIMEOUT_SECONDS,
        pause_image_fallback=settings.PIERHEAD.pause_image,
    )


def _access(row: Node) -> converge.NodeAccess:
    engine, uid = engine_of(row), row.uid

    @briefly
    def pulled(reference: str, seen: ImageSeen) -> None:
        pins.image_pulled(uid, reference, seen.id)

    return converge.NodeAccess(
        uid=uid, name=row.name, engine=engine, images=NodeImages(engine, WallClock(), pulled, converge.rest),
        starters=ThreadPoolExecutor(converge.STARTERS, f"start-{row.name}", initializer=_fresh_connections),
        stoppers=ThreadPoolExecutor(converge.STOPPERS, f"stop-{row.name}", initializer=_fresh_connections),
    )  # fmt: skip


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

    @staticmethod
    def adopt(node: str, found: Iterable[AdoptedPod], wake: Any, now: float) -> int:
        return adoption.adopt(Node.objects.get(pk=node), list(found), wake, now)


class RepositorySource:
    """Git behind the loops' port: a repository's access is spelled out for the adapter."""

    def __init__(self, git: GitSource) -> None:
        self._git = git

    def head(self, repository: RepositoryAccess) -> str:
        return self._git.head(repository.url, repository.ref, repository.credentials, repository.allow_local)

    def fetch(self, repository: RepositoryAccess, sha: str) -> CommitInfo:
        known = self._git.commit(repository.uid, sha)
        return known or self._git.fetch(
            repository.uid, repository.url, repository.ref, sha, repository.credentials, repository.allow_local
        )

    def files(self, repository: RepositoryAccess, sha: str, path: str) -> SourceTree:
        return self._git.files(repository.uid, sha, path)

    def tree_id(self, repository: RepositoryAccess, sha: str, path: str) -> str:
        return self._git.tree_id(repository.uid, sha, path)


class Composition:
    """Everything that a process of the deployer holds."""

    def __init__(self) -> None:
        owner = f"{socket.gethostname()}-{os.getpid()}-{random.getrandbits(32):08x}"
        self.clock = WallClock()
        self.work = work.WorkRows(owner, hints.send)
        self.nodes = Nodes()
        self.source = RepositorySource(GitSource(settings.PIERHEAD.data_dir / "git"))
        self._convergers = ThreadPoolExecutor(CONVERGING_NODES, "converge", initializer=_fresh_connections)

    def run(self, loop: str, key: str) -> None:
        """One key of one loop, now, if it is due and nobody else is at it."""
        match loop:
            case reconcile.LOOP:
                reconcile.run(key, self.work, workload_store, self.clock)
            case schedule.LOOP:
                schedule.run(self.work, scheduling_store, self.clock)
            case converge.LOOP:
                self._convergers.submit(self._converge, key)
            case sync.LOOP:
                sync.run(key, self.work, sync_store, self.source, self.clock)
            case poll.LOOP:
                poll.run(key, self.work, repository_store, self.source, self.clock, random.random())  # noqa: S311 - spreads polls, guards nothing

    def resync(self) -> None:
        resync.run(self.work, resync_store, self.clock)

    def forget_the_past(self) -> None:
        collection.forget_the_past(self.clock.now(), settings.PIERHEAD.event_retention_days)

    def _converge(self, uid: str) -> None:
        """In a thread of its own: a node's turn may last as long as a grace period."""
        close_old_connections()
        try:
            access = self.nodes.access(uid)
            if access is not None:
                converge.run(access, settings.PIERHEAD.cluster_id, brief(self.work), brief(NodeRows()), self.clock)
            else:
                self.work.forget(converge.LOOP, uid)
        except Exception:  # noqa: BLE001
            hints.log.exception("converge of node %s failed; it is tried again in %s s", uid, converge.RETRY_SECONDS)
        finally:
            close_old_connections()


@functools.cache
def composition() -> Composition:
    return Composition()
