"""poll: asks a repository's server which commit its ref names, and wakes the applications that it concerns.

    which commit -> fetch it, once for all -> what it holds at each application's path -> wake those that differ

`told` is the commit whose news every application has had. What is fetched and compared is written in one transaction
with it, so a poll that was killed anywhere, or could not fetch, is simply done again. A repository that cannot be read
is said to be so, since when and why; what its applications are made of stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from deployer.core.repository import next_poll_at
from deployer.core.source import Look, Origin, RepositoryAccess
from deployer.loops import single_flight
from deployer.loops.content import contents
from deployer.ports import Clock, Source, SourceError, Work

LOOP = "poll"


class RepositoryStore(Protocol):
    def repository(self, uid: str) -> RepositoryAccess | None: ...
    def origins(self, uid: str) -> Sequence[Origin]: ...
    def polled(self, uid: str, look: Look, wake: Any, now: float) -> int: ...


def run(uid: str, work: Work, store: RepositoryStore, source: Source, clock: Clock, jitter: float) -> None:
    """`jitter` in [0, 1) spreads the polls of many repositories; failures back off."""

    def one_pass(lease: Any) -> float | None:
        repository = store.repository(uid)
        if repository is None:
            return None
        look = _look(repository, store, source, clock)
        with work.fenced(lease):
            failures = store.polled(uid, look, work.wake, clock.now())
        return next_poll_at(clock.now(), repository.poll_seconds, failures, jitter)

    single_flight.run(work, LOOP, uid, clock, one_pass, slow=True)


def _look(repository: RepositoryAccess, store: RepositoryStore, source: Source, clock: Clock) -> Look:
    """As far as it comes."""
    look = Look()
    try:
        look = Look(source.head(repository), clock.now())
        if look.head == repository.told:
            return look
        source.fetch(repository, look.head)
        if source.signature_refusal(repository, look.head):
            return replace(look, contents={})  # each application looks at it for itself, and refuses it
        return replace(look, contents=contents(source, repository, look.head, store.origins(repository.uid)))
    except SourceError as error:
        return replace(look, failure=error.sentence)
