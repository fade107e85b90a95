"""Notices on their way to a channel: what is due, what it says, and what came of it.

A notice is taken before it is sent (`begin` moves its `due_at` and counts the attempt, in a fenced transaction), so no
other worker sends it meanwhile, and what came of it is written only by whoever took it last. A worker that is killed
between sending and writing leaves a notice that is sent once more when its time has passed: told twice, never not.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from control.models import NEVER, Incident, Notice, NotificationChannel, ReplicaSet, Secret
from control.store import objects
from control.store.incidents import tell_normal
from deployer.core import announcements
from deployer.core.announcements import Announcement, Told
from deployer.ports import Wake

BATCH = 20
TAKEN_SECONDS = 120.0
"""Longer than any attempt lasts: until then a notice that was taken is nobody else's."""
FIRST_RETRY_SECONDS = 30.0
LONGEST_RETRY_SECONDS = 900.0
GIVE_UP_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Target:
    uid: str
    name: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """A notice as it is sent. `says_over`: that the incident has ended stands in it."""

    number: int
    attempt: int
    announcement: Announcement
    says_over: bool


def channel(uid: str) -> Target | None:
    row = NotificationChannel.objects.filter(pk=uid).first()
    return Target(row.uid, row.name, str(row.address.load().get("url", ""))) if row else None


def due(uid: str, now: float) -> list[int]:
    rows = Notice.objects.filter(channel=uid, sent_at=0, due_at__lte=now)
    return list(rows.order_by("due_at", "id").values_list("id", flat=True)[:BATCH])


def begin(number: int, now: float) -> Taken | None:
    """None when somebody else has taken it, or its channel is gone."""
    row = Notice.objects.select_related("incident", "channel").filter(pk=number).first()
    if row is None:
        return None
    taken = Notice.objects.filter(pk=number, attempts=row.attempts, sent_at=0, due_at__lte=now)
    if not taken.update(attempts=row.attempts + 1, due_at=now + TAKEN_SECONDS):
        return None
    url, incident = settings.PUBLIC_URL, row.incident
    if incident is None:
        return Taken(number, row.attempts + 1, announcements.trial(row.channel.name, url), says_over=False)
    write = announcements.normal if row.what == Notice.NORMAL else announcements.opened
    said = write(_told(incident, now), url, _secrets(incident))
    return Taken(number, row.attempts + 1, said, says_over=incident.closed_at > 0)


def sent(taken: Taken, wake: Wake, now: float) -> None:
    mine = Notice.objects.filter(pk=taken.number, attempts=taken.attempt, sent_at=0)
    if not mine.update(sent_at=now, due_at=NEVER, message=""):
        return
    row = Notice.objects.select_related("incident", "channel").get(pk=taken.number)
    NotificationChannel.objects.filter(pk=row.channel_id).update(failures=0, message="", told_at=now)
    incident = row.incident
    if row.what == Notice.OPENED and incident and incident.outcome == "normal" and not taken.says_over:
        tell_normal(incident, wake, now)  # it ended while this was on its way
    objects.touch("NotificationChannel", "", row.channel.name)


def failed(taken: Taken, sentence: str, now: float, *, retryable: bool) -> None:
    """It is tried again, later each time, for a day."""
    row = Notice.objects.select_related("channel").filter(pk=taken.number, attempts=taken.attempt, sent_at=0).first()
    if row is None:
        return
    wait = min(FIRST_RETRY_SECONDS * 2.0 ** min(taken.attempt - 1, 10), LONGEST_RETRY_SECONDS)
    again = retryable and row.what != Notice.TEST and now + wait - row.created_at < GIVE_UP_SECONDS
    Notice.objects.filter(pk=row.pk).update(due_at=now + wait if again else NEVER, message=sentence)
    NotificationChannel.objects.filter(pk=row.channel_id).update(failures=row.channel.failures + 1, message=sentence)
    objects.touch("NotificationChannel", "", row.channel.name)


def next_due(uid: str) -> float | None:
    rows = Notice.objects.filter(channel=uid, sent_at=0, due_at__lt=NEVER).order_by("due_at")
    return rows.values_list("due_at", flat=True).first()


def waiting_channels(now: float) -> list[str]:
    """For the safety net."""
    rows = Notice.objects.filter(sent_at=0, due_at__lte=now).order_by("channel")
    return list(rows.values_list("channel", flat=True).distinct())


def _told(row: Incident, now: float) -> Told:
    kind: Any = row.kind
    minutes = int(((row.closed_at or now) - row.seen_at) // 60)
    return Told(
        kind, row.namespace, row.name, row.title, row.why, row.commit, row.commit_message.partition("\n")[0],
        row.log_tail, row.flaps, row.closed_at, minutes,
    )  # fmt: skip


def _secrets(row: Incident) -> set[str]:
    """Every value that a Secret of its namespace holds, or held when one of its revisions was made."""
    if not (row.log_tail or row.why) or not row.namespace:
        return set()
    packed: list[str] = []
    for secret in Secret.objects.filter(namespace=row.namespace):
        packed += map(str, secret.sealed.load().values())
    for revision in ReplicaSet.objects.filter(deployment=row.subject):
        for name, values in revision.config.load().items():
            packed += map(str, values.values()) if name.startswith("Secret/") else ()
    return announcements.parts_of(_unpacked(packed))


def _unpacked(packed: Iterable[str]) -> Iterable[str]:
    for value in packed:
        try:
            yield base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError):
            continue
