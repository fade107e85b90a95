"""evict: pods of a node whose taints (NoExecute) they do not tolerate, or not any longer, end at their time.

The next one's time is when the node is looked at again. It is kept with the key, and can be worked out anew from the
taints: whoever is killed here, or does it twice, evicts nobody early and nobody twice.
"""

from __future__ import annotations

from typing import Any, Protocol

from deployer.loops import single_flight
from deployer.ports import Clock, Work

LOOP = "evict"


class TaintStore(Protocol):
    def evict(self, node: str, wake: Any, now: float) -> float | None: ...


def run(node: str, work: Work, store: TaintStore, clock: Clock) -> None:
    def one_pass(lease: Any) -> float | None:
        with work.fenced(lease):
            return store.evict(node, work.wake, clock.now())

    single_flight.run(work, LOOP, node, clock, one_pass)
