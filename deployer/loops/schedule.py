"""schedule: pods without a node get one, all in one pass by one worker, so that nothing is ever promised twice."""

from __future__ import annotations

from typing import Any, Protocol

from deployer.core.scheduling.placement import place
from deployer.loops import single_flight
from deployer.ports import Clock, Work

LOOP = "schedule"
KEY = "cluster"
HOLD_SECONDS = 0.2


class SchedulingStore(Protocol):
    def load(self, now: float) -> Any: ...
    def is_evicting(self, now: float) -> bool: ...
    def bind(self, bound: Any, waiting: Any, wake: Any, now: float) -> None: ...


def run(work: Work, store: SchedulingStore, clock: Clock) -> None:
    """A pod that fits nowhere waits; whatever makes room (a node, a pod that ended) wakes this key again."""

    def one_pass(lease: Any) -> float | None:
        with work.fenced(lease):
            now = clock.now()
            pending, nodes, placed, namespaces = store.load(now)
            if pending:
                placement = place(pending, nodes, placed, namespaces)
                if placement.waiting and store.is_evicting(now):
                    return now + HOLD_SECONDS  # not everybody fits, and the most needed may be still to come
                store.bind(placement.bound, placement.waiting, work.wake, now)
        return None

    single_flight.run(work, LOOP, KEY, clock, one_pass)
