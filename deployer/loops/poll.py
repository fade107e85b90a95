"""poll: asks a repository's server which commit its ref names, and wakes the applications that follow it."""

from __future__ import annotations

from typing import Any, Protocol

from deployer.core.repository import next_poll_at
from deployer.loops import single_flight
from deployer.ports import Clock, Source, SourceError, Work

LOOP = "poll"


class RepositoryStore(Protocol):
    def repository(self, uid: str) -> Any: ...
    def polled(self, uid: str, head: str, failure: str, wake: Any, now: float) -> int: ...


def run(uid: str, work: Work, store: RepositoryStore, source: Source, clock: Clock, jitter: float) -> None:
    """`jitter` in [0, 1) spreads the polls of many repositories; failures back off."""

    def one_pass(lease: Any) -> float | None:
        repository = store.repository(uid)
        if repository is None:
            return None
        head, failure = "", ""
        try:
            head = source.head(repository)
        except SourceError as error:
            failure = error.sentence
        with work.fenced(lease):
            failures = store.polled(uid, head, failure, work.wake, clock.now())
        return next_poll_at(clock.now(), repository.poll_seconds, failures, jitter)

    single_flight.run(work, LOOP, uid, clock, one_pass)
