"""sync: an application's objects are made equal to its manifests at a commit, all of them or none.

    which commit -> fetch -> who signed it -> decrypt, render -> read and validate -> compare with what is stored
        -> write in one transaction

An application that is at its commit already compares its objects when some of them were written live (`drift.py`).

Everything before the write may be slow and changes nothing. A commit that is refused leaves a record with file, line
and field; the objects stay as they are, and the next good commit goes through.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from deployer.core import drift
from deployer.core.manifests import ManifestError, ReadResult
from deployer.core.rendering.kept import Kept
from deployer.core.repository import SourceTree
from deployer.core.signatures import TAG
from deployer.core.source import Assignment, CommitInfo, Origin
from deployer.core.sync import decide
from deployer.loops import incidents, single_flight, status
from deployer.loops.content import content
from deployer.loops.rendering import read_tree
from deployer.ports import Clock, Renderer, Source, SourceError, Work

LOOP = "sync"
RETRY_SECONDS = 30.0
MAX_ERRORS = 100
CACHED_FILES = 20_000
_cache: dict[Any, Any] = {}
"""What was read from each blob: a commit that changes one file of a thousand reads one. Nothing that was decrypted is
in it: that is read anew each time, and gone with the pass."""


class SyncStore(Protocol):
    def assignment(self, uid: str) -> Assignment | None: ...
    def policies(self) -> Any: ...
    def known(self, application: str, *, prunes: bool) -> Any: ...
    def age_identities(self, repository: str) -> list[str]: ...
    def stored(self, application: str, manifests: Any) -> Any: ...
    def begin(
        self, assignment: Assignment, commit: CommitInfo, kept: Kept, warnings: list[dict[str, Any]], now: float
    ) -> Any: ...
    def failed(self, attempt: Any, message: str, errors: list[dict[str, Any]], now: float) -> None: ...
    def unreachable(self, assignment: Assignment, message: str, now: float) -> None: ...
    def resume(self, assignment: Assignment, head: str, now: float) -> None: ...
    def apply(self, attempt: Any, plan: Any, tree: str, wake: Any, now: float) -> None: ...
    def up_to_date(self, assignment: Assignment, commit: str, tree: str) -> bool: ...
    def read_again(self, assignment: Assignment, commit: str, now: float) -> None: ...
    def compared(self, assignment: Assignment) -> None: ...
    def differs(self, assignment: Assignment, sentences: tuple[str, ...], now: float) -> None: ...
    def healed(self, assignment: Assignment, sentences: tuple[str, ...], now: float) -> None: ...
    def uncompared(self, assignment: Assignment, refusal: str, now: float) -> None: ...


def run(uid: str, work: Work, store: SyncStore, source: Source, renderer: Renderer, clock: Clock) -> None:
    def one_pass(lease: Any) -> float | None:
        assignment = store.assignment(uid)
        if assignment is None:
            return None
        try:
            return _sync(assignment, lease, work, store, source, renderer, clock)
        except SourceError as error:
            with work.fenced(lease):
                store.unreachable(assignment, error.sentence, clock.now())
                work.wake(incidents.LOOP, uid)
            return clock.now() + RETRY_SECONDS

    single_flight.run(work, LOOP, uid, clock, one_pass, slow=True)


def _sync(
    assignment: Assignment, lease: Any, work: Work, store: SyncStore, source: Source, renderer: Renderer, clock: Clock
) -> float | None:
    """One attempt. An application that is at its commit already, unasked, costs one query."""
    repository = assignment.repository
    head = _head(assignment, source)
    commit = assignment.pinned_commit or head
    if not commit:
        return None
    info = source.fetch(repository, commit)
    origin = Origin(assignment.path, assignment.values)
    tree = content(source, repository, commit, origin)
    if assignment.pinned_commit and head and head != assignment.skipped_commit:
        source.fetch(repository, head)
        if content(source, repository, head, origin) != assignment.skipped_tree:
            refusal = source.signature_refusal(repository, head)
            if not refusal:
                with work.fenced(lease):
                    store.resume(assignment, head, clock.now())
                return 0.0
            # The pin stays, and what it names is applied.
            _refuse(assignment, source.fetch(repository, head), refusal, lease, work, store, clock)
    # What was applied before was judged then.
    applied = (assignment.applied_commit, assignment.applied_tree)
    judged = commit == assignment.pinned_commit or (commit, tree) == applied
    if refusal := "" if judged else source.signature_refusal(repository, commit):
        return _refuse(assignment, info, refusal, lease, work, store, clock)
    if store.up_to_date(assignment, commit, tree):
        if assignment.suspected:
            _compare(assignment, info, tree, lease, work, store, source, renderer, clock)
        _settle(assignment, commit, lease, work, store, clock)
        return None
    if assignment.compares_only:
        return None
    files = source.files(repository, commit, assignment.path, assignment.values)
    read, kept = _read(files, assignment, store, renderer)
    with work.fenced(lease):
        attempt = store.begin(assignment, info, kept, rows_of(read.warnings), clock.now())
        plan = decide(
            read.manifests, store.stored(assignment.uid, read.manifests), application=assignment.name,
            prune=assignment.prune, confirmed=assignment.prune_confirmed,
        )  # fmt: skip
        if read.errors:
            store.failed(attempt, refusal_of(read.errors, commit), rows_of(read.errors), clock.now())
        elif plan.refusal:
            store.failed(attempt, plan.refusal, [], clock.now())
        else:
            store.apply(attempt, plan, tree, work.wake, clock.now())
            store.compared(assignment)
        work.wake(incidents.LOOP, assignment.uid)
        work.wake(status.LOOP, assignment.uid)
    return None


def _settle(assignment: Assignment, commit: str, lease: Any, work: Work, store: SyncStore, clock: Clock) -> None:
    """It is where Git is: what was refused before, or could not be read, may be told as over."""
    if assignment.unread:
        with work.fenced(lease):
            store.read_again(assignment, commit, clock.now())
    if assignment.unread or commit != assignment.applied_commit:
        work.wake(incidents.LOOP, assignment.uid)


def _compare(
    assignment: Assignment, info: CommitInfo, tree: str, lease: Any, work: Work, store: SyncStore, source: Source,
    renderer: Renderer, clock: Clock,
) -> None:  # fmt: skip
    """Objects were written live: those that differ from the commit that was applied are put back, or told."""
    files = source.files(assignment.repository, info.sha, assignment.path, assignment.values)
    read, kept = _read(files, assignment, store, renderer)
    with work.fenced(lease):
        observed, now = store.stored(assignment.uid, read.manifests), clock.now()
        plan = decide(read.manifests, observed, application=assignment.name, prune=assignment.prune, confirmed=False)
        found = drift.narrowed(plan, observed, assignment.name)
        sentences = drift.told(found, observed)
        refusal = refusal_of(read.errors, info.sha) if read.errors else plan.refusal
        if refusal and not assignment.self_heals:  # nobody attempted anything
            store.uncompared(assignment, refusal, now)
        elif not refusal and drift.verdict(found, self_heals=assignment.self_heals) != "heal":
            store.differs(assignment, sentences, now)
        else:
            asked = replace(assignment, trigger=drift.SELF_HEAL)
            attempt = store.begin(asked, info, kept, rows_of(read.warnings), now)
            if refusal:
                store.failed(attempt, refusal, rows_of(read.errors), now)
            else:
                store.healed(assignment, sentences, now)
                store.apply(attempt, found, tree, work.wake, now)
            work.wake(incidents.LOOP, assignment.uid)
            work.wake(status.LOOP, assignment.uid)
        store.compared(assignment)


def _refuse(
    assignment: Assignment, info: CommitInfo, why: str, lease: Any, work: Work, store: SyncStore, clock: Clock
) -> float | None:
    """A commit never gets another signature, and is looked at once; a tag may be signed later without moving."""
    with work.fenced(lease):
        attempt = store.begin(assignment, info, Kept(""), [], clock.now())
        store.failed(attempt, f"nothing was changed: {why}", [], clock.now())
        work.wake(incidents.LOOP, assignment.uid)
        work.wake(status.LOOP, assignment.uid)
    return clock.now() + RETRY_SECONDS if assignment.repository.signatures.what == TAG else None


def _head(assignment: Assignment, source: Source) -> str:
    if not assignment.ask_server:
        return assignment.head
    try:
        return source.head(assignment.repository)
    except SourceError:
        if not (assignment.pinned_commit and assignment.head):
            raise
        return assignment.head  # Git is away: going back to a commit that the mirror holds must work all the same


def _read(tree: SourceTree, assignment: Assignment, store: SyncStore, renderer: Renderer) -> tuple[ReadResult, Kept]:
    if len(_cache) > CACHED_FILES:
        _cache.clear()
    return read_tree(
        renderer, tree, lambda: store.age_identities(assignment.repository.uid), path=assignment.path,
        application=assignment.name, namespace=assignment.namespace, values=assignment.values,
        policies=store.policies(), cache=_cache, known=store.known(assignment.uid, prunes=assignment.prune),
    )  # fmt: skip


def refusal_of(errors: tuple[ManifestError, ...], commit: str) -> str:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"commit {commit[:7]} was refused, nothing was changed: {errors[0]}{more}"


def rows_of(errors: tuple[ManifestError, ...]) -> list[dict[str, Any]]:
    return [
        {
            "file": one.file, "line": one.line, "field": one.field, "object": one.object, "message": one.message,
            "remedy": one.remedy,
        }
        for one in errors[:MAX_ERRORS]
    ]  # fmt: skip
