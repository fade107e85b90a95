"""converge: what runs on a node is made equal to what is placed there.

    list -> which pods need a look -> a turn for each, in threads -> save what came of it -> list again if woken

A node has one turn at a time (its lease), and within it many pods have theirs side by side. The lease is renewed as
long as work is in flight; a worker that lost it stops writing. Containers of pods that are not on record are adopted,
never removed.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from deployer.core.container import LABEL_COMPONENT, LABEL_POD_UID, ContainerSeen
from deployer.core.node import AdoptedPod, Attention, PodDesired, PodPlaced, PullFailure, adopt, attention
from deployer.core.pod_outcome import PodOutcome
from deployer.loops import collect, networks
from deployer.loops.forgotten import ForgottenTurn
from deployer.loops.images import NodeImages
from deployer.loops.pod_turn import PodTurn, StepStore
from deployer.loops.watch import EVERYTHING
from deployer.ports import Clock, Engine, EngineError, LeaseLost, Work

LOOP = "converge"
STARTERS = 4
"""Pods that start at a time on one node: Docker is quickest so (20 by `docker run`: 7.0 s, by four at a time 4.2 s)."""
STOPPERS = 32
"""Pods that stop at a time: they mostly wait for their grace period."""
RELIST_SECONDS = 0.2
"""Between two listings while pods are in flight: their own turns tell what becomes of them."""
RENEW_SECONDS = 3.0
LOOK_SECONDS = 0.1
RETRY_SECONDS = 5.0
RESYNC_SECONDS = 60.0
"""A node is read at least so often, whether anything woke it or not."""
NEVER = float("inf")


class NodeStore(StepStore, collect.CollectionStore, networks.NetworkStore, Protocol):
    def placed(self, node: str) -> Any: ...
    def orphans(self, node: str) -> set[str]: ...
    def desired(self, node: str, uids: Iterable[str]) -> dict[str, PodDesired | None]: ...
    def pull_failures(self, uids: Iterable[str]) -> dict[str, dict[str, PullFailure]]: ...
    def save(self, node: str, outcomes: Iterable[PodOutcome], wake: Any, now: float) -> None: ...
    def broken_off(self, node: str, pods: Mapping[str, EngineError], now: float) -> None: ...
    def adopt(self, node: str, found: Any, wake: Any, now: float) -> int: ...
    def saw(self, node: str, now: float) -> None: ...


@dataclass(frozen=True, slots=True)
class NodeAccess:
    """A node and the way to it, as the composition hands them out. `close` is called in each thread at its end."""

    uid: str
    name: str
    engine: Engine
    images: NodeImages
    starters: ThreadPoolExecutor
    stoppers: ThreadPoolExecutor


def run(node: NodeAccess, cluster_id: str, work: Work, store: NodeStore, clock: Clock) -> None:
    lease = work.claim(LOOP, node.uid, clock.now())
    if lease is None:
        return
    turn = Turn(node, cluster_id, work, store, clock, lease)
    wake_at, is_done = clock.now() + RETRY_SECONDS, False
    try:
        wake_at = min(turn.run(), clock.now() + RESYNC_SECONDS)
        turn.collect()
        is_done = True
    except LeaseLost:
        return
    finally:
        if work.release(turn.lease, wake_at) and is_done:
            work.wake(LOOP, node.uid)  # whoever woke it after the last look hinted at a key that was held


@dataclass
class Turn:
    """One holding of a node's lease."""

    node: NodeAccess
    cluster_id: str
    work: Work
    store: NodeStore
    clock: Clock
    lease: Any
    in_flight: dict[Future[PodOutcome], str] = field(default_factory=dict)
    wake_ats: dict[str, float] = field(default_factory=dict)
    observed: dict[str, list[ContainerSeen]] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    exits: dict[str, int] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    missed: set[str] = field(default_factory=set)
    listed_at: float = 0
    renewed_at: float = 0

    def run(self) -> float:
        """Until nothing is in flight and nobody woke the node. Returns when the next look is due."""
        self.renewed_at = self.clock.now()
        self.dirty = set(self.lease.dirty)
        woken = True
        while True:
            answered = not woken or self._look()
            if not self.in_flight:
                retry = NEVER if answered else self.clock.now() + RETRY_SECONDS
                return min(retry, *self.wake_ats.values(), NEVER)
            again = self._collect()
            woken = self._renew() or again

    def collect(self) -> None:
        """Now and then, while nothing else happens on the node, what nobody needs is removed."""
        if self.clock.now() - self.node.images.collected_at < collect.EVERY_SECONDS or not self.listed_at:
            return
        try:
            if collect.run(self.node.uid, self.node.engine, self.store):
                self.node.images.doubt()
        except EngineError:
            return
        self.node.images.collected_at = self.clock.now()

    def _look(self) -> bool:
        """Start a turn for each pod that needs one. False: the engine does not answer."""
        now = self.clock.now()
        if not self.in_flight or now - self.listed_at > RELIST_SECONDS:
            try:
                self._list(now)
            except EngineError:
                return False
        dirty, self.dirty = (frozenset(self.dirty), set()) if self.listed_at == now else (frozenset(), self.dirty)
        self.exits |= {one.partition("=")[0]: int(code) for one in dirty if (code := one.partition("=")[2])}
        placed = list(self.store.placed(self.node.uid))
        named = frozenset(one.partition("=")[0] for one in dirty)
        if EVERYTHING in named:
            named |= {pod.uid for pod in placed}
        found = attention(placed, (one for pod in self.observed.values() for one in pod), named, now)
        self._adopt(found, now)
        busy = set(self.in_flight.values())
        self.skipped |= found.pods & busy
        self.missed |= {uid for uid in busy if self._is_named(uid, named)}
        by_uid = {pod.uid: pod for pod in placed}
        due = [uid for uid in found.pods - busy if not self._rests(by_uid[uid], named, now)]
        self._submit(sorted(due), by_uid)
        return True

    def _rests(self, pod: PodPlaced, named: frozenset[str], now: float) -> bool:
        """A pod that had its turn and waits for its time is left alone until then, unless something happened to it."""
        return not (pod.deleting or self._is_named(pod.uid, named) or self.wake_ats.get(pod.uid, 0) <= now)

    def _is_named(self, uid: str, named: frozenset[str]) -> bool:
        return uid in named or any(one.id in named for one in self.observed.get(uid, ()))

    def _list(self, now: float) -> None:
        self.observed = {}
        networks.tell(self.node.uid, self.node.engine, self.node.images, self.store)
        for one in self.node.engine.containers():
            if LABEL_COMPONENT not in one.labels:
                self.observed.setdefault(one.labels.get(LABEL_POD_UID, ""), []).append(one)
        self.listed_at = now
        self.store.saw(self.node.uid, now)

    def _adopt(self, found: Attention, now: float) -> None:
        orphans = self.store.orphans(self.node.uid) if found.unknown else set()
        pods = adopted(one for one in found.unknown if one.labels.get(LABEL_POD_UID) not in orphans)
        if pods:
            with self.work.fenced(self.lease):
                self.store.adopt(self.node.uid, pods, self.work.wake, now)

    def _submit(self, uids: list[str], placed: dict[str, PodPlaced]) -> None:
        if not uids:
            return
        failures = self.store.pull_failures(uids)
        for uid, desired in self.store.desired(self.node.uid, uids).items():
            take = self._take(placed[uid], desired, failures.get(uid, {}))
            pool = self.node.stoppers if placed[uid].deleting else self.node.starters
            self.in_flight[pool.submit(take)] = uid
            self.wake_ats.pop(uid, None)

    def _take(
        self, pod: PodPlaced, desired: PodDesired | None, failures: dict[str, PullFailure]
    ) -> Callable[[], PodOutcome]:
        node, observed = self.node, self.observed.get(pod.uid, [])
        if desired is None:
            return ForgottenTurn(pod.uid, pod.deleting, observed, node.engine, self.clock).take
        desired = replace(desired, exits={one.id: self.exits[one.id] for one in observed if one.id in self.exits})
        turn = PodTurn(desired, observed, node.engine, node.images, self.store, self.cluster_id, self.clock, failures)
        return turn.take

    def _collect(self) -> bool:
        """Save whatever is done, all in one transaction. True: a pod was passed over while it was in flight.

        A turn that an engine broke off is told on its pod and taken again later; any other error is a defect.
        """
        done, _ = concurrent.futures.wait(
            self.in_flight, timeout=LOOK_SECONDS, return_when=concurrent.futures.FIRST_COMPLETED
        )
        again = False
        outcomes: list[PodOutcome] = []
        broken: dict[str, EngineError] = {}
        defects: list[BaseException] = []
        for future in done:
            uid = self.in_flight.pop(future)
            again |= uid in self.skipped
            self.skipped.discard(uid)
            if uid in self.missed:  # it was told of something that its turn, begun before, cannot have known
                self.missed.discard(uid)
                self.dirty.add(uid)
                again = True
            error = future.exception()
            if error is None:
                outcomes.append(future.result())
                self._note(future.result())
            else:
                self.wake_ats[uid] = self.clock.now() + RETRY_SECONDS
                if isinstance(error, EngineError):
                    broken[uid] = error
                else:
                    defects.append(error)
        if outcomes or broken:
            with self.work.fenced(self.lease):
                self.store.save(self.node.name, outcomes, self.work.wake, self.clock.now())
                self.store.broken_off(self.node.name, broken, self.clock.now())
        for defect in defects:
            raise defect
        return again

    def _note(self, outcome: PodOutcome) -> None:
        self.observed[outcome.uid] = list(outcome.observed)
        if outcome.wake_at is not None and not outcome.gone:
            self.wake_ats[outcome.uid] = outcome.wake_at

    def _renew(self) -> bool:
        """Whether the node was woken since it was last looked at. The lease is prolonged in good time."""
        woken = self.work.woken(self.lease)
        if woken or self.clock.now() - self.renewed_at > RENEW_SECONDS:
            self.lease, woken = self.work.renew(self.lease, self.clock.now())
            self.renewed_at = self.clock.now()
            self.dirty |= self.lease.dirty
        now = self.clock.now()
        due = any(at <= now for at in self.wake_ats.values())
        return woken or due or (bool(self.dirty) and now - self.listed_at > RELIST_SECONDS)


def adopted(strangers: Iterable[ContainerSeen]) -> list[AdoptedPod]:
    """The pods that these containers of ours belong to, by their labels."""
    by_pod: dict[str, list[ContainerSeen]] = {}
    for one in strangers:
        by_pod.setdefault(one.labels.get(LABEL_POD_UID, ""), []).append(one)
    return [pod for group in by_pod.values() if (pod := adopt(group)) is not None]


def rest(seconds: float) -> None:
    """Waiting is doing, too: a preStop sleep. Bounded by the pod's grace period."""
    time.sleep(seconds)
