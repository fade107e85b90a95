"""incident: what is known of one thing (a Deployment, an application, a node, a repository) opens or ends an incident.

Keyed by the thing, so that what fails a thousand times over wakes its own key and nobody else's. Whoever writes what
a fact follows from wakes it in the same transaction.
"""

from __future__ import annotations

from typing import Any, Protocol

from deployer.core.incidents import decide
from deployer.loops import single_flight
from deployer.ports import Clock, Work

LOOP = "incident"


class IncidentStore(Protocol):
    def load(self, uid: str) -> Any: ...
    def save(self, loaded: Any, decision: Any, wake: Any, now: float) -> None: ...
    def tell_pages(self, loaded: Any, decision: Any) -> None: ...


def run(uid: str, work: Work, store: IncidentStore, clock: Clock) -> None:
    def one_pass(lease: Any) -> float | None:
        with work.fenced(lease):
            now, loaded = clock.now(), store.load(uid)
            if loaded is None:
                return None
            decision = decide(loaded.story.kind, loaded.story.fact, loaded.record, loaded.past, now)
            store.save(loaded, decision, work.wake, now)
        store.tell_pages(loaded, decision)
        return decision.wake_at

    single_flight.run(work, LOOP, uid, clock, one_pass)
