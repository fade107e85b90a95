"""status: the Git host is told how an application's commits fare, wherever that differs from what it was told last.

Level-triggered, and keyed by the application. A host that does not answer is asked again, later each time or when it
said; one that says no for good is left alone until the settings change.
"""

from __future__ import annotations

from typing import Any, Protocol

from deployer.loops import single_flight
from deployer.ports import Clock, Host, Work

LOOP = "status"


class StatusStore(Protocol):
    def load(self, uid: str, now: float) -> Any: ...
    def begin(self, telling: Any, now: float) -> None: ...
    def told(self, telling: Any, now: float) -> None: ...
    def failed(self, telling: Any, verdict: Any, wait_seconds: float, now: float) -> float | None: ...


def run(uid: str, work: Work, store: StatusStore, host: Host, clock: Clock) -> None:
    def one_pass(lease: Any) -> float | None:
        plan = store.load(uid, clock.now())
        if plan is None:
            return None
        times = [plan.wake_at]
        for telling in plan.due:
            lease, _ = work.renew(lease, clock.now())
            with work.fenced(lease):
                store.begin(telling, clock.now())
            verdict, wait = host.tell_status(plan.repository, telling.status, clock.now())
            if verdict.done:
                store.told(telling, clock.now())
                times.append(0.0)  # it may be another one by now
            else:
                times.append(store.failed(telling, verdict, wait, clock.now()))
        return min((at for at in times if at is not None), default=None)

    single_flight.run(work, LOOP, uid, clock, one_pass)
