"""resync: the safety net under every wake-up. Looks at all workloads at once; wakes those that want something.

It reads in bulk and writes next to nothing itself, so a cluster with nothing to do costs a few queries and the core's
time.
Nodes need no such pass: each comes due by itself once a minute.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from deployer.core.workloads.deployment import reconcile
from deployer.ports import Clock, Work


class ResyncStore(Protocol):
    def load_all(self, now: float) -> Iterable[Any]: ...
    def settled(self, loaded: Any, plan: Any) -> bool: ...
    def keys_without_work(self) -> Iterable[tuple[str, str]]: ...
    def overdue(self, wake: Any, now: float) -> None: ...
    def untold(self, now: float) -> Iterable[tuple[str, str]]: ...
    def has_pending_pods(self) -> bool: ...


def run(work: Work, store: ResyncStore, clock: Clock) -> int:
    """Returns how many keys were woken."""
    woken = [*store.keys_without_work(), *store.untold(clock.now())]
    for loaded in store.load_all(clock.now()):
        if loaded.terminating or not store.settled(loaded, reconcile(loaded.snapshot)):
            woken.append(("reconcile", loaded.row.uid))
    store.overdue(work.wake, clock.now())
    if store.has_pending_pods():
        woken.append(("schedule", "cluster"))
    for loop in sorted({loop for loop, _ in woken}):
        work.wake(loop, {key for one, key in woken if one == loop})
    return len(woken)
