"""route: one node's router is made equal to what services, endpoints, policies and ingresses ask for.

    less for a canary, at once -> load -> a pass (`router_turn.py`) in a thread -> save, in one fenced transaction

A pass that is killed, or that lost its lease, is simply made again; a pass that fails is told on the node and made
again with a back-off. Nothing of it is on the way of traffic: a router goes on with what it has.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from deployer.core.network.routing import Routed, RouterOutcome
from deployer.loops import networks, single_flight
from deployer.loops.router_access import RouterAccess
from deployer.loops.router_maps import ease
from deployer.loops.router_turn import RouterTurn
from deployer.ports import Clock, EngineError, Work

LOOP = "route"
RENEW_SECONDS = 3.0
LOOK_AGAIN_SECONDS = 60.0
RETRY_SECONDS = single_flight.RETRY_SECONDS


class RouteStore(networks.NetworkStore, Protocol):
    def first(self) -> Mapping[str, Mapping[str, str]]:
        """The maps that somebody waits for: see `core.network.maps.FIRST`."""

    def load(self, node: str, now: float) -> Routed | None:
        """May write (indexes, addresses, certificates) in a short transaction of its own. None: leave it alone."""

    def save(self, node: str, outcome: RouterOutcome, wake: Any, now: float) -> None:
        """In the caller's fenced transaction."""


def run(node: RouterAccess, work: Work, store: RouteStore, clock: Clock) -> None:
    def one_pass(lease: Any) -> float | None:
        began_at = clock.now()
        if node.has_line:
            ease(node, node.ask_kept, store.first())
        try:
            networks.tell(node.uid, node.engine, node.images, store)
        except EngineError:
            return clock.now() + RETRY_SECONDS
        routed = store.load(node.uid, clock.now())
        if routed is None:
            return clock.now() + LOOK_AGAIN_SECONDS
        taken = node.pool.submit(RouterTurn(node, routed, clock, lease.epoch, began_at).take)
        woken = _wait(taken, lease, work, clock)
        outcome, wake_at = taken.result()
        with work.fenced(lease):
            store.save(node.uid, outcome, work.wake, clock.now())
        return 0.0 if woken else wake_at

    single_flight.run(work, LOOP, node.uid, clock, one_pass)


def _wait(taken: Future[Any], lease: Any, work: Work, clock: Clock) -> bool:
    """Until the pass is done. Returns whether the node was woken meanwhile: renewing takes that off the record."""
    woken = False
    while not concurrent.futures.wait([taken], timeout=RENEW_SECONDS).done:
        lease, again = work.renew(lease, clock.now())
        woken |= again
    return woken
