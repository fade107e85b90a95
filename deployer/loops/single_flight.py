"""How every loop runs: hold the key's lease, do one pass, look again while the key was woken meanwhile.

A pass that finds its lease lost has written nothing and ends quietly. A pass that fails gives the key back with a
delay, so that one broken object neither spins nor stops its loop. A `slow` pass, which waits for somebody else's
server, keeps its lease for as long as it takes: no second worker comes to wait beside it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from deployer.ports import Clock, LeaseLost, Work

ROUNDS = 25
"""Passes in a row before the key goes back to the queue, so that a busy key lets others have the thread."""
RETRY_SECONDS = 5.0
KEEP_SECONDS = 4.0
"""How often a slow pass prolongs its lease; well below what a lease lasts."""


def run(
    work: Work, loop: str, key: str, clock: Clock, one_pass: Callable[[Any], float | None], *, slow: bool = False
) -> None:
    """`one_pass` gets the lease and returns when to look again: 0 at once, None when an event will tell."""
    for _ in range(ROUNDS):
        lease = work.claim(loop, key, clock.now())
        if lease is None:
            return
        kept = Kept(work, lease, clock)
        try:
            with kept.prolonged() if slow else contextlib.nullcontext():
                wake_at = one_pass(lease)
        except LeaseLost:
            return
        except BaseException:
            work.release(kept.lease, clock.now() + RETRY_SECONDS)
            raise
        woken = work.release(kept.lease, 0.0 if kept.woken else wake_at) or kept.woken
        if not woken and (wake_at is None or wake_at > clock.now()):
            return
    work.wake(loop, key)


def run_many(
    work: Work, loop: str, keys: Sequence[str], clock: Clock,
    one_pass: Callable[[list[Any]], Mapping[str, float | None]],
) -> None:  # fmt: skip
    """The same for many keys at once. `one_pass` gets their leases and returns when to look at each again; what it
    leaves out is due at once. Raises what the pass raises, with all of its keys due: one by one, the others get on."""
    for _ in range(ROUNDS):
        leases = work.claim_many(loop, keys, clock.now())
        if not leases:
            return
        try:
            wake_at = one_pass(leases)
        except BaseException:
            work.release_many([(lease, 0.0) for lease in leases])
            raise
        woken = work.release_many([(lease, wake_at.get(lease.key, 0.0)) for lease in leases])
        now = clock.now()
        due = (key for key in (one.key for one in leases) if (at := wake_at.get(key, 0.0)) is not None and at <= now)
        keys = list(dict.fromkeys([*woken, *due]))
        if not keys:
            return
    work.wake(loop, keys)


class Kept:
    """A lease that a thread prolongs until the block ends. `woken`: the key was woken meanwhile."""

    def __init__(self, work: Work, lease: Any, clock: Clock) -> None:
        self.lease, self.woken = lease, False
        self._work, self._clock = work, clock
        self._ended = threading.Event()

    @contextlib.contextmanager
    def prolonged(self) -> Iterator[None]:
        keeper = threading.Thread(target=self._keep, name="keep", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            self._ended.set()
            keeper.join()

    def _keep(self) -> None:
        while not self._ended.wait(KEEP_SECONDS):
            try:
                self.lease, woken = self._work.renew(self.lease, self._clock.now())
            except LeaseLost:
                return  # the pass finds out when it comes to write
            self.woken = self.woken or woken
