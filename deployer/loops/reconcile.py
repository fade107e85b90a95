"""reconcile: Deployments' replica sets and pods are brought one move nearer to what these ask for.

Many are done in one go: a host that dies takes a pod of each of a thousand, and what is asked and written for each of
them by itself would cost more than everything that is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from deployer.core.workloads.deployment import reconcile
from deployer.loops import single_flight
from deployer.ports import Clock, Work

LOOP = "reconcile"


class WorkloadStore(Protocol):
    def load(self, uids: Sequence[str], now: float) -> Iterable[Any]:
        """Those that there are. Each has its `uid` and `snapshot`, and says whether it `shares` a budget with others:
        such a one is written before the next one is read."""

    def tear_down(self, loaded: Any, wake: Any) -> None: ...
    def apply(self, decided: Sequence[tuple[Any, Any]], wake: Any) -> None: ...


def run(uids: Sequence[str], work: Work, store: WorkloadStore, clock: Clock) -> None:
    """Reading, deciding and writing are one short transaction: there is no I/O between them.

    Where one of many fails, nothing of any of them is written, and each is done by itself.
    """

    def one_pass(leases: Sequence[Any]) -> dict[str, float | None]:
        with work.fenced_many(leases) as held:
            uids = [lease.key for lease in held]
            next_looks: dict[str, float | None] = dict.fromkeys(uids)
            found = list(store.load(uids, clock.now()))
            next_looks |= _turn([one for one in found if not one.shares], work, store, clock)
            for uid in (one.uid for one in found if one.shares):
                next_looks |= _turn(store.load([uid], clock.now()), work, store, clock)
        return next_looks

    if len(uids) > 1 and _all_at_once(uids, work, clock, one_pass):
        return
    failures = []
    for uid in uids:
        try:
            single_flight.run(work, LOOP, uid, clock, lambda lease: one_pass([lease]).get(lease.key))
        except Exception as error:  # noqa: BLE001 - raised when the others are done
            failures.append(error)
    if len(failures) > 1:
        raise ExceptionGroup("several workloads", failures)
    if failures:
        raise failures[0]


def _all_at_once(uids: Sequence[str], work: Work, clock: Clock, one_pass: Any) -> bool:
    """False when a pass failed. What failed is raised once more when its turn comes by itself."""
    try:
        single_flight.run_many(work, LOOP, uids, clock, one_pass)
    except Exception:  # noqa: BLE001
        return False
    return True


def _turn(found: Iterable[Any], work: Work, store: WorkloadStore, clock: Clock) -> dict[str, float | None]:
    """When to look at each again."""
    next_looks: dict[str, float | None] = {}
    decided = []
    for loaded in found:
        next_looks[loaded.uid] = None
        if loaded.wait_until > clock.now():
            next_looks[loaded.uid] = loaded.wait_until
        elif loaded.terminating:
            store.tear_down(loaded, work.wake)
        else:
            plan = reconcile(loaded.snapshot)
            decided.append((loaded, plan))
            next_looks[loaded.uid] = 0.0 if plan.moves else plan.wake_at
    if decided:
        store.apply(decided, work.wake)
    return next_looks
