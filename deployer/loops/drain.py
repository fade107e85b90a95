"""drain: the bare pods of a node that is drained end, as far as PodDisruptionBudgets allow it.

Those of Deployments go by their own reconcile. Whoever asked for the drain may have gone home: this goes on until the
node is empty or uncordoned.
"""

from __future__ import annotations

from typing import Any, Protocol

from deployer.core.workloads.eviction import LOOK_AGAIN_SECONDS
from deployer.loops import single_flight
from deployer.ports import Clock, Work

LOOP = "drain"


class DrainStore(Protocol):
    def evict_bare(self, node: str, wake: Any, now: float) -> bool: ...


def run(node: str, work: Work, store: DrainStore, clock: Clock) -> None:
    """Budgets are read and spent in one transaction."""

    def one_pass(lease: Any) -> float | None:
        with work.fenced(lease):
            is_held = store.evict_bare(node, work.wake, clock.now())
        return clock.now() + LOOK_AGAIN_SECONDS if is_held else None

    single_flight.run(work, LOOP, node, clock, one_pass)
