"""Webhooks: make, rotate, retire the old secret, remove; deliver again what came before."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterable, Sequence
from ipaddress import ip_network

from django.db import transaction

from control.models import Delivery, Repository, Webhook
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.services.repositories import get_repository
from control.store import image_hints, objects
from deployer.composition import composition
from deployer.core.hooks.judgement import commit_of
from deployer.core.hooks.registries import REGISTRIES, SENDERS
from deployer.core.hooks.signatures import SEALED_PREFIX
from deployer.core.hooks.values import Push
from deployer.core.images.reference import parse_reference

SECRET_BYTES = 32
MOST_WEBHOOKS, MOST_NETWORKS = 20, 100


def make(repository: str, provider: str, actor: Actor, allowed: Iterable[str] = ()) -> tuple[Webhook, str]:
    """The webhook and its secret, which is shown once. `allowed`: networks that deliveries may come from."""
    row = get_repository(repository)
    if provider not in SENDERS:
        raise Refused(f"there is no provider {provider!r}: use one of {', '.join(SENDERS)}")
    if row.webhooks.count() >= MOST_WEBHOOKS:
        raise Refused(f"repository {repository} has {MOST_WEBHOOKS} webhooks already: remove one that is not used")
    made = Webhook(repository=row, provider=provider, allowed=networks(allowed))
    secret = _new_secret(provider)
    made.secrets.store({"current": secret})
    with transaction.atomic():
        made.save(force_insert=True)
        _say(actor, "webhook add", made, ", ".join(made.allowed) and f"from {', '.join(made.allowed)}")
    return made, secret


def rotate(uid: str, actor: Actor, of: str = "") -> tuple[Webhook, str]:
    """The new secret; the one before stays valid until it is retired, or the next rotation."""
    with transaction.atomic():
        row = get_webhook(uid, of, lock=True)
        secret = _new_secret(row.provider)
        row.secrets.store({"current": secret, "previous": row.secrets.load()["current"]})
        row.rotated_at = time.time()
        row.save(update_fields=["secrets", "rotated_at"])
        _say(actor, "webhook rotate", row, "the secret before stays valid until it is retired")
    return row, secret


def retire(uid: str, actor: Actor, of: str = "") -> Webhook:
    """From now on the current secret alone is valid."""
    with transaction.atomic():
        row = get_webhook(uid, of, lock=True)
        kept = row.secrets.load()
        if "previous" not in kept:
            raise Refused(f"{row} has one secret only: there is none to retire")
        row.secrets.store({"current": kept["current"]})
        row.save(update_fields=["secrets"])
        _say(actor, "webhook retire", row)
    return row


def remove(uid: str, actor: Actor, of: str = "") -> Webhook:
    with transaction.atomic():
        row = get_webhook(uid, of, lock=True)
        _say(actor, "webhook remove", row)
        row.delete()
    return row


def redeliver(number: int, actor: Actor) -> Delivery:
    """Do once more what a delivery asked for; it was proven when it came. Returns the new entry of the log."""
    old = Delivery.objects.select_related("webhook__repository").filter(pk=number).first()
    if old is None:
        raise Refused(f"there is no delivery {number} (any more); `webhook deliveries REPOSITORY` shows those kept")
    if not old.proven or not old.pushes:
        raise Refused(f"delivery {number} asked for nothing that could be done again: {old.message}")
    row = old.webhook
    pushes = [Push(ref, commit) for ref, commit in old.pushes]
    with transaction.atomic():
        made = Delivery.objects.create(
            webhook=row, event=old.event, pushes=old.pushes, commit=commit_of(pushes, row.repository.ref),
            source=actor.name[:64], size=old.size, status=202, proven=True, accepted=True, payload=old.payload,
            message=f"delivery {old.pk} once more, asked for by {actor.name}: it is looked at now",
        )  # fmt: skip
        _look_again(row, pushes)
        _say(actor, "webhook redeliver", row, f"delivery {old.pk}")
    return made


def _look_again(row: Webhook, pushes: Sequence[Push]) -> None:
    work = composition().work
    if row.provider in REGISTRIES:
        images = [(row.repository_id, parse_reference(one.ref).whole) for one in pushes]
        image_hints.hint(images, work.wake, time.time())
        return
    Repository.objects.filter(pk=row.repository_id).update(hinted_at=time.time())
    work.wake("poll", row.repository_id)


def get_webhook(uid: str, of: str = "", *, lock: bool = False) -> Webhook:
    """`of`: the name of the repository that it has to belong to; "" for any."""
    rows = Webhook.objects.select_related("repository")
    if of:
        rows = rows.filter(repository__name=of)
    row = (rows.select_for_update(of=("self",)) if lock else rows).filter(pk=uid).first()
    if row is None:
        raise Refused(f"there is no webhook {uid} (any more); `webhook list REPOSITORY` shows their ids")
    return row


def networks(given: Iterable[str]) -> list[str]:
    """Each in one spelling: 10.0.0.7 is 10.0.0.7/32. Refused when one is no network."""
    found: Sequence[str] = [one for one in given if one]
    if len(found) > MOST_NETWORKS:
        raise Refused(f"{len(found)} networks are too many: {MOST_NETWORKS} at most")
    try:
        return [str(ip_network(one)) for one in found]
    except ValueError as error:
        raise Refused(f"{error}: write a network such as 140.82.112.0/20, or one address") from error


def _new_secret(provider: str) -> str:
    if SENDERS[provider].sealed_secret:
        return SEALED_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    return secrets.token_urlsafe(SECRET_BYTES)


def _say(actor: Actor, action: str, row: Webhook, detail: str = "") -> None:
    record(actor, action, f"Webhook {row.repository.name}/{row.provider}", detail)
    objects.touch("Webhook", "", row.repository.name)
