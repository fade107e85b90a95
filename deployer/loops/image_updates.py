"""images: asks registries for what is newer, by each workload's policies, and never sooner than they say.
imagecommit: writes the newer images into Git, all of a repository in one commit.

    workload's policies -> those that are due -> registry -> pin the digest, or want a commit
    repository's wanted images -> head -> the files at it -> the scalars replaced -> commit -> push -> poll

The commit comes back as any other does: by the poll, which is woken, and the sync. Nothing here changes what runs, but
for a pin. A push that lost a race is made again on what won it; whoever is killed after a push finds his images in Git
already, and notes that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from deployer.core.images import following
from deployer.core.images.edit import CannotEdit, edited
from deployer.core.images.following import Committed, Followed, Found, Update
from deployer.core.source import RepositoryAccess
from deployer.loops import single_flight
from deployer.ports import Clock, Registry, RegistryError, Source, SourceError, Work

LOOP, COMMIT_LOOP = "images", "imagecommit"
TRIES = 3
RETRY_SECONDS = 300.0
SUPERSEDED = "Superseded"


class ImageStore(Protocol):
    def followed(self, deployment: str, now: float) -> Sequence[Followed]: ...
    def looked(self, deployment: str, found: Sequence[Found], wake: Any, now: float) -> float | None: ...
    def wanted(self, repository: str) -> tuple[RepositoryAccess, Sequence[Update]] | None: ...
    def committed(self, repository: str, result: Committed, wake: Any, now: float) -> None: ...
    def not_committed(self, updates: Sequence[Update], sentence: str, now: float) -> None: ...


def run(uid: str, work: Work, store: ImageStore, registry: Registry, clock: Clock) -> None:
    """One workload. It comes due when the first of its policies does."""

    def one_pass(lease: Any) -> float | None:
        now = clock.now()
        due = [one for one in store.followed(uid, now) if one.due_at <= now]
        found = [_look(one, registry) for one in due]
        with work.fenced(lease):
            return store.looked(uid, found, work.wake, clock.now())

    single_flight.run(work, LOOP, uid, clock, one_pass, slow=True)


def commit(uid: str, work: Work, store: ImageStore, source: Source, clock: Clock) -> None:
    """One repository."""

    def one_pass(lease: Any) -> float | None:
        wanted = store.wanted(uid)
        if wanted is None or not wanted[1]:
            return None
        access, updates = wanted
        try:
            result = _committed(access, updates, source, clock)
        except SourceError as error:
            with work.fenced(lease):
                store.not_committed(updates, error.sentence, clock.now())
            return clock.now() + RETRY_SECONDS
        with work.fenced(lease):
            store.committed(uid, result, work.wake, clock.now())
        return None

    single_flight.run(work, COMMIT_LOOP, uid, clock, one_pass, slow=True)


def _look(one: Followed, registry: Registry) -> Found:
    try:
        if one.policy.kind == "digest":
            return following.by_digest(one, registry.digest(one.current.at(one.current.effective_tag), one.auth))
        choice = following.by_tags(one, registry.tags(one.asked, one.auth))
        if not choice.newer:
            return Found(one.uid, choice.tag, why=choice.why)
        newest = one.asked.at(choice.tag)
        digest = registry.digest(newest, one.auth) if following.wants_digest(one) else ""
        return following.newer(one, choice.tag, digest)
    except RegistryError as error:
        return Found(one.uid, why=error.sentence, failed=True, retry_after_seconds=error.retry_after_seconds)


def _committed(access: RepositoryAccess, updates: Sequence[Update], source: Source, clock: Clock) -> Committed:
    for attempt in range(TRIES):
        head = source.head(access)
        source.fetch(access, head)
        files, done, refused = _edited(access, head, updates, source)
        uids = tuple(one.uid for one in done)
        if not files:
            return Committed(head, uids, refused, pushed=False)
        changed = [one for one in done if one.path in files]
        try:
            sha = source.commit(access, head, files, following.commit_message(changed), clock.now())
        except SourceError as error:
            if error.reason != SUPERSEDED or attempt == TRIES - 1:
                raise
            continue
        return Committed(sha, uids, refused, pushed=True)
    raise AssertionError("unreachable")


def _edited(
    access: RepositoryAccess, head: str, updates: Iterable[Update], source: Source
) -> tuple[dict[str, bytes], list[Update], dict[int, str]]:
    """(the files that change, what stands in them then, what cannot and why)."""
    before: dict[str, bytes] = {}
    after: dict[str, bytes] = {}
    done: list[Update] = []
    refused: dict[int, str] = {}
    for one in updates:
        try:
            if one.path not in before:
                before[one.path] = after[one.path] = _file(access, head, one.path, source)
            after[one.path] = edited(after[one.path], one.change, one.default_namespace)
            done.append(one)
        except CannotEdit as error:
            refused[one.uid] = f"{one.path}: {error}"
        except SourceError as error:
            if error.reason != "PathNotFound":
                raise
            refused[one.uid] = error.sentence
    return {path: data for path, data in after.items() if data != before[path]}, done, refused


def _file(access: RepositoryAccess, head: str, path: str, source: Source) -> bytes:
    tree = source.files(access, head, path)
    found = next((one.data for one in tree.files if one.path == path), None)
    if found is None:
        why = "; ".join(sentence for _, sentence in tree.refusals) or "is no manifest file"
        raise CannotEdit(why)
    return found
