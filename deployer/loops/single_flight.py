"""How every loop runs: hold the key's lease, do one pass, look again while the key was woken meanwhile.

A pass that finds its lease lost has written nothing and ends quietly. A pass that fails gives the key back with a
delay, so that one broken object neither spins nor stops its loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deployer.ports import Clock, LeaseLost, Work

ROUNDS = 25
"""Passes in a row before the key goes back to the queue, so that a busy key lets others have the thread."""
RETRY_SECONDS = 5.0


def run(work: Work, loop: str, key: str, clock: Clock, one_pass: Callable[[Any], float | None]) -> None:
    """`one_pass` gets the lease and returns when to look again: 0 at once, None when an event will tell."""
    for _ in range(ROUNDS):
        lease = work.claim(loop, key, clock.now())
        if lease is None:
            return
        try:
            wake_at = one_pass(lease)
        except LeaseLost:
            return
        except BaseException:
            work.release(lease, clock.now() + RETRY_SECONDS)
            raise
        woken = work.release(lease, wake_at)
        if not woken and (wake_at is None or wake_at > clock.now()):
            return
    work.wake(loop, key)
