"""reconcile: a Deployment's replica sets and pods are brought one move nearer to what it asks for."""

from __future__ import annotations

from typing import Any, Protocol

from deployer.core.workloads.deployment import reconcile
from deployer.loops import single_flight
from deployer.ports import Clock, Work

LOOP = "reconcile"


class WorkloadStore(Protocol):
    def load(self, uid: str, now: float) -> Any: ...
    def tear_down(self, loaded: Any, wake: Any) -> None: ...
    def apply(self, loaded: Any, plan: Any, wake: Any) -> None: ...


def run(uid: str, work: Work, store: WorkloadStore, clock: Clock) -> None:
    """Reading, deciding and writing are one short transaction: there is no I/O between them."""

    def one_pass(lease: Any) -> float | None:
        with work.fenced(lease):
            loaded = store.load(uid, clock.now())
            if loaded is None:
                return None
            if loaded.wait_until > clock.now():
                return float(loaded.wait_until)
            if loaded.terminating:
                store.tear_down(loaded, work.wake)
                return None
            plan = reconcile(loaded.snapshot)
            store.apply(loaded, plan, work.wake)
        return 0.0 if plan.moves else plan.wake_at

    single_flight.run(work, LOOP, uid, clock, one_pass)
