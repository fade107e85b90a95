"""notify: what is due for one channel is sent, one message after the other.

Keyed by the channel: one that hangs keeps nobody else waiting. Each message is taken in a fenced transaction, sent
outside of any, and what came of it is written by whoever took it. What could not be sent is due again, later each time.
"""

from __future__ import annotations

from typing import Any, Protocol

from deployer.loops import single_flight
from deployer.ports import Clock, Notifier, NotifyError, Work

LOOP = "notify"
RETRY_SECONDS = 30.0


class NoticeStore(Protocol):
    def channel(self, uid: str) -> Any: ...
    def due(self, uid: str, now: float) -> list[int]: ...
    def begin(self, number: int, now: float) -> Any: ...
    def sent(self, taken: Any, wake: Any, now: float) -> None: ...
    def failed(self, taken: Any, sentence: str, now: float, *, retryable: bool) -> None: ...
    def next_due(self, uid: str) -> float | None: ...


def run(uid: str, work: Work, store: NoticeStore, notifier: Notifier, clock: Clock) -> None:
    def one_pass(lease: Any) -> float | None:
        target = store.channel(uid)
        if target is None:
            return None
        for number in store.due(uid, clock.now()):
            lease, _ = work.renew(lease, clock.now())
            with work.fenced(lease):
                taken = store.begin(number, clock.now())
            if taken is not None and not _sent(target, taken, work, store, notifier, clock):
                break  # what is wrong with the channel is wrong for the others too
        else:
            return store.next_due(uid)
        return clock.now() + RETRY_SECONDS

    single_flight.run(work, LOOP, uid, clock, one_pass)


def _sent(target: Any, taken: Any, work: Work, store: NoticeStore, notifier: Notifier, clock: Clock) -> bool:
    try:
        notifier.send(target.url, taken.announcement)
    except NotifyError as error:
        store.failed(taken, error.sentence, clock.now(), retryable=error.retryable)
        return False
    store.sent(taken, work.wake, clock.now())
    return True
