"""Attempts to sign in, counted in the audit trail: one limit for all web processes, kept over restarts.

An attempt is written down before the password is looked at, so that many at once cannot slip past the count, and
counts as failed until whoever it is has come in: with the second factor, if they have one. In fifteen minutes there
may be as many failures as these, for
  - a name from an address, since it last came in from there: 5
  - an address, whatever the names: 30
  - a name from addresses that it never signed in from: 30. Guessing from many places stops there, and whoever is
    at their usual desk is not locked out by it.
A name is stored as a digest, and shown only when somebody has it: people type passwords into the wrong field.
"""

from __future__ import annotations

import time

from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from control.models import AuditEntry

WINDOW_SECONDS = 900.0
FAILURES_OF_PAIR, FAILURES_OF_ADDRESS, FAILURES_OF_NAME = 5, 30, 30
FAILED, SIGNED_IN, WRONG_CODE = "sign-in failed", "sign-in", "sign-in code wrong"
LONGEST_NAME = 150
WAIT = f"Too many attempts. Wait {WINDOW_SECONDS / 60:.0f} minutes, then try again."
_KEPT = "sign-in attempt"


class TooManyAttempts(Exception):
    """This attempt is not looked at; a later one may be."""


def begin(name: str, address: str, now: float) -> AuditEntry:
    """Write an attempt down, as failed. Raises TooManyAttempts, and then nothing is kept of it."""
    known = get_user_model().objects.filter(username=name).exists()
    row = AuditEntry.objects.create(
        at=now, actor=name[:LONGEST_NAME] if known else "unknown", action=FAILED, object=_subject(name), source=address
    )
    if _too_many(row, now - WINDOW_SECONDS):
        row.delete()
        raise TooManyAttempts
    return row


def keep(request: HttpRequest, attempt: AuditEntry) -> None:
    """The password was right; a second factor may be asked for before the attempt has succeeded."""
    request.session[_KEPT] = attempt.pk


def succeeded(request: HttpRequest, name: str, address: str) -> None:
    """Somebody has come in: with the attempt that was kept, or vouched for by an identity provider."""
    kept = request.session.pop(_KEPT, None)
    if not AuditEntry.objects.filter(pk=kept, action=FAILED, object=_subject(name)).update(action=SIGNED_IN):
        AuditEntry.objects.create(
            at=time.time(), actor=name, action=SIGNED_IN, object=_subject(name), source=address, detail="OpenID Connect"
        )


def wrong_code(name: str, address: str) -> None:
    """The second factor was not right. How often that may be is limited by allauth, for each person."""
    AuditEntry.objects.create(actor=name, action=WRONG_CODE, object=_subject(name), source=address)


def _too_many(row: AuditEntry, since: float) -> bool:
    """The attempt itself is among the failures counted."""
    failures = AuditEntry.objects.filter(action=FAILED, at__gt=since, pk__lte=row.pk)
    welcome = AuditEntry.objects.filter(action=SIGNED_IN, object=row.object, source=row.source)
    last = welcome.values_list("pk", flat=True).first()
    pair = failures.filter(object=row.object, source=row.source, pk__gt=last or 0)
    return (
        pair.count() > FAILURES_OF_PAIR
        or failures.filter(source=row.source).count() > FAILURES_OF_ADDRESS
        or (last is None and failures.filter(object=row.object).count() > FAILURES_OF_NAME)
    )


def _subject(name: str) -> str:
    return "name " + salted_hmac("pierhead.sign-in", name, algorithm="sha256").hexdigest()[:16]
