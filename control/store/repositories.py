"""Repositories as the poll loop sees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Case, F, Value, When

from control.models import AgeKey, Application, Repository
from control.store import incidents, objects
from deployer.core.followers import Follower, calls
from deployer.core.signatures import SignaturePolicy
from deployer.core.source import GitCredentials, Look, Origin, RepositoryAccess
from deployer.ports import Wake

POLLED = ("failures", "failing_since", "message", "polled_at", "head", "head_seen_at", "head_by", "told_head")
_FOLLOWER = ("uid", "path", "values", "commit", "tree", "request", "pin")
_PLAIN: dict[str, Any] = {"values": [], "request": {}, "pin": {}}


def repository(uid: str) -> RepositoryAccess | None:
    row = Repository.objects.filter(pk=uid).first()
    return access(row) if row else None


def access(row: Repository) -> RepositoryAccess:
    return RepositoryAccess(
        uid=row.uid, name=row.name, url=row.url, ref=row.ref, allow_local=row.allow_local,
        poll_seconds=row.poll_seconds, credentials=GitCredentials(**row.credentials.load()),
        signatures=SignaturePolicy(row.signatures, row.ssh_signers, row.gpg_signers), provider=row.provider,
        api_url=row.api_url, told=row.told_head,
    )  # fmt: skip


def age_identities(uid: str) -> list[str]:
    """What decrypts the repository's files, the newest first."""
    return [str(row.sealed.load()["identity"]) for row in AgeKey.objects.filter(repository=uid)]


def origins(uid: str) -> list[Origin]:
    """Of all that its applications are made from."""
    rows = Application.objects.filter(repository=uid, deleted_at=None)
    plain = {Origin(path) for path in rows.filter(values=[]).values_list("path", flat=True)}
    return [
        *plain,
        *{Origin(path, tuple(values)) for path, values in rows.exclude(values=[]).values_list("path", "values")},
    ]


def polled(uid: str, look: Look, wake: Wake, now: float) -> int:
    """Record a poll, and tell the applications what is new. Returns the failures in a row."""
    if not look.failure and look.contents is None:
        same = Repository.objects.filter(pk=uid, head=look.head, told_head=look.head, failures=0, message="")
        if same.update(polled_at=now):
            return 0  # as nearly always: one write, and nobody is told
    row = Repository.objects.get(pk=uid)
    is_news = bool(look.failure or row.failures or look.contents is not None or look.head not in ("", row.head))
    if look.failure or row.failures:
        wake(incidents.LOOP, uid)
    if row.failures and not look.failure:  # those that could not read it look whether they are where they should be
        unread = Application.objects.filter(repository=row, deleted_at=None, sync_status=Application.UNREAD)
        if uids := sorted(unread.values_list("uid", flat=True)):
            wake("sync", uids)
    row.failures = row.failures + 1 if look.failure else 0
    row.failing_since = (row.failing_since or now) if look.failure else 0
    hinted = row.hinted_at > row.polled_at
    row.message, row.polled_at = look.failure, now
    if look.head and look.head != row.head:
        row.head, row.head_seen_at, row.head_by = look.head, look.seen_at, "webhook" if hinted else "poll"
    if look.contents is not None:
        _tell(row, look.contents, wake)
        row.told_head = look.head
    row.save(update_fields=POLLED)
    if is_news:
        objects.touch("Repository", "", row.name)
    return row.failures


def _tell(row: Repository, contents: Mapping[Origin, str], wake: Wake) -> None:
    """Wake whom the head concerns; note of the others that they are at it, all at once."""
    followers = _followers(row.uid)
    found = calls(followers, row.head, contents)
    for uid in sorted(found.wake):
        wake("sync", uid)
    at: dict[str, list[str]] = defaultdict(list)
    for one in followers:
        if one.uid in found.note:
            at[one.commit].append(one.uid)
    for commit, uids in sorted(at.items()):
        _note(row, commit, uids, wake)
    late = Application.objects.filter(repository=row, deleted_at=None, pin={}).exclude(commit=row.head)
    for uid in sorted(set(late.values_list("uid", flat=True)) - found.wake):
        wake("sync", uid)  # another commit of it was applied at this very moment


def _note(row: Repository, commit: str, uids: Sequence[str], wake: Wake) -> None:
    """Guarded by the commit that they were at, so that nobody who applies another one just now is overruled."""
    same = Application.objects.filter(pk__among=uids, commit=commit)
    for uid in same.exclude(sync_status="Synced").order_by("uid").values_list("uid", flat=True):
        wake(incidents.LOOP, uid)  # a commit that was refused before it may be gone
    same.update(
        commit=row.head, sync_status=Case(When(drift="", then=Value("Synced")), default=F("sync_status"))
    )  # what was changed live is so still


def _followers(uid: str) -> list[Follower]:
    """JSON is read of those alone that have any: of thousands it costs more than all the rest."""
    rows = Application.objects.filter(repository=uid, deleted_at=None)
    found = [
        Follower(one, Origin(path), commit, tree)
        for one, path, commit, tree in rows.filter(**_PLAIN).values_list("uid", "path", "commit", "tree")
    ]
    for one, path, values, commit, tree, request, pin in rows.exclude(**_PLAIN).values_list(*_FOLLOWER):
        origin, skipped = Origin(path, tuple(values)), str(pin.get("skipped_tree", ""))
        found.append(Follower(one, origin, commit, tree, bool(request), bool(pin), skipped))
    return found
