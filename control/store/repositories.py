"""Repositories as the poll loop sees them."""

from __future__ import annotations

from collections.abc import Callable

from control.models import AgeKey, Repository
from control.store import incidents, objects
from deployer.core.signatures import SignaturePolicy
from deployer.core.source import GitCredentials, RepositoryAccess


def repository(uid: str) -> RepositoryAccess | None:
    row = Repository.objects.filter(pk=uid).first()
    return access(row) if row else None


def access(row: Repository) -> RepositoryAccess:
    return RepositoryAccess(
        uid=row.uid, name=row.name, url=row.url, ref=row.ref, allow_local=row.allow_local,
        poll_seconds=row.poll_seconds, credentials=GitCredentials(**row.credentials.load()),
        signatures=SignaturePolicy(row.signatures, row.ssh_signers, row.gpg_signers), provider=row.provider,
        api_url=row.api_url,
    )  # fmt: skip


def age_identities(uid: str) -> list[str]:
    """What decrypts the repository's files, the newest first."""
    return [str(row.sealed.load()["identity"]) for row in AgeKey.objects.filter(repository=uid)]


def polled(uid: str, head: str, failure: str, wake: Callable[[str, str], None], now: float) -> int:
    """Record a poll. A new head wakes the applications that follow it. Returns the failures in a row."""
    row = Repository.objects.get(pk=uid)
    if (failure, head or row.head) != (row.message, row.head):
        objects.touch("Repository", "", row.name)
    if failure or row.failures:
        wake(incidents.LOOP, uid)
    row.failures = row.failures + 1 if failure else 0
    row.failing_since = (row.failing_since or now) if failure else 0
    hinted = row.hinted_at > row.polled_at
    row.message, row.polled_at = failure, now
    if head and head != row.head:
        row.head, row.head_seen_at, row.head_by = head, now, "webhook" if hinted else "poll"
        for application in row.applications.filter(deleted_at=None).values_list("uid", flat=True):
            wake("sync", application)
    row.save(
        update_fields=["failures", "failing_since", "message", "polled_at", "head", "head_seen_at", "head_by"]
    )
    return row.failures
