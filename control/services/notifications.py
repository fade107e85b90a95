"""Notification channels: add, remove, try out. What is told, and when, the loops decide."""

from __future__ import annotations

import time
from collections.abc import Iterable

from django.conf import settings
from django.db import IntegrityError, transaction

from control.models import Notice, NotificationChannel
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.services.repositories import check_name
from control.store import objects
from deployer.composition import composition
from deployer.core.incidents import KINDS
from deployer.core.notification_address import AddressRefused, admit

LOOP = "notify"


def add_channel(
    name: str, url: str, actor: Actor, *, namespace: str = "", kinds: Iterable[str] = ()
) -> NotificationChannel:
    """`namespace` "": all, with what belongs to none. `kinds`: of incidents, none for all. The address is sealed."""
    check_name("channel", name)
    if namespace:
        check_name("namespace", namespace)
    wanted = list(dict.fromkeys(kinds))
    for kind in wanted:
        if kind not in KINDS:
            raise Refused(f"{kind} is no kind of incident; there are: {', '.join(KINDS)}")
    try:
        address = admit(url.strip(), allow_local=settings.PIERHEAD.allow_local_notifications)
    except AddressRefused as refused:
        raise Refused(f"channel {name}: {refused.sentence}") from None
    row = NotificationChannel(name=name, namespace=namespace, kinds=wanted, shown=address.shown[:255])
    row.address.store({"url": address.url})
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            record(actor, "notification add", str(row), f"{row.shown}, {namespace or 'all namespaces'}")
            objects.touch("NotificationChannel", "", name)
    except IntegrityError as error:
        raise Refused(f"channel {name} exists already; remove it first, or use another name") from error
    return row


def remove_channel(name: str, actor: Actor) -> None:
    """What waits to be told there is told nowhere any more."""
    row = get_channel(name)
    with transaction.atomic():
        composition().work.forget(LOOP, row.uid)
        row.delete()
        record(actor, "notification remove", f"Notification channel {name}")
        objects.touch("NotificationChannel", "", name)


def try_channel(name: str, actor: Actor) -> int:
    """Ask for a test message. Returns the number of its notice, where a worker notes what came of it."""
    row, now = get_channel(name), time.time()
    with transaction.atomic():
        notice = Notice.objects.create(channel=row, what=Notice.TEST, created_at=now, due_at=now)
        composition().work.wake(LOOP, row.uid)
        record(actor, "notification test", str(row))
        objects.touch("NotificationChannel", "", name)
    return notice.pk


def outcome(number: int) -> Notice | None:
    """The notice, once it is known what came of it; None until then. Refused when its channel was removed."""
    row = Notice.objects.filter(pk=number).first()
    if row is None:
        raise Refused("the channel was removed meanwhile")
    return None if row.is_waiting else row


def get_channel(name: str) -> NotificationChannel:
    row = NotificationChannel.objects.filter(name=name).first()
    if row is None:
        known = ", ".join(NotificationChannel.objects.values_list("name", flat=True)) or "none"
        raise Refused(f"channel {name} does not exist; there are: {known}")
    return row
