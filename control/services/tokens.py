"""API tokens: make, use, revoke. A token is shown once; its SHA-256 is kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from control.models import ROLES, ApiToken
from control.selectors.rights import rights_of
from control.services.audit import Actor, record
from control.services.refusal import Refused

PREFIX, SECRET_BYTES, HINT_CHARACTERS = "ph_", 32, 8
DAY_SECONDS = 86400.0
USUAL_DAYS, MOST_DAYS, MOST_TOKENS = 90, 366, 50
USE_NOTED_SECONDS = 60.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SECRET = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


def make(
    owner: Any, name: str, actor: Actor, now: float, *, role: str, namespace: str = "", days: int = USUAL_DAYS
) -> str:
    """The secret, which nobody can show again. Refused when it would do more than its owner may."""
    _check(owner, name, role, namespace, days)
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    row = ApiToken(owner=owner, name=name, digest=_digest(secret), hint=secret[:HINT_CHARACTERS], role=role)
    row.namespace, row.created_at, row.expires_at = namespace, now, now + days * DAY_SECONDS
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            record(actor, "token make", _object(row), f"{role} in {namespace or 'all namespaces'}, {days} days")
    except IntegrityError as error:
        raise Refused(f"{owner} has a token {name} already: revoke it first, or use another name") from error
    return secret


def use(secret: str, now: float) -> ApiToken | None:
    """The token of this secret, unless it has expired, was revoked, or its owner is disabled."""
    if not _SECRET.fullmatch(secret):
        return None
    row = ApiToken.objects.select_related("owner").filter(digest=_digest(secret), expires_at__gt=now).first()
    if row is None or not row.owner.is_active:
        return None
    noted = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED_SECONDS)
    ApiToken.objects.filter(noted, pk=row.pk).update(last_used_at=now)
    return row


def revoke(owner: Any, name: str, actor: Actor) -> None:
    row = ApiToken.objects.filter(owner=owner, name=name).first()
    if row is None:
        raise Refused(f"{owner} has no token {name} (any more)")
    with transaction.atomic():
        row.delete()
        record(actor, "token revoke", _object(row))


def revoke_all(owner: Any) -> int:
    """How many there were."""
    count, _ = ApiToken.objects.filter(owner=owner).delete()
    return count


def _check(owner: Any, name: str, role: str, namespace: str, days: int) -> None:
    if not _NAME.fullmatch(name):
        raise Refused(f"token name {name!r} is not valid: letters, digits and . _ -, at most 63")
    if role not in ROLES:
        raise Refused(f"there is no role {role!r}: use {', '.join(ROLES)}")
    if not 1 <= days <= MOST_DAYS:
        raise Refused(f"a token lasts 1 to {MOST_DAYS} days, not {days}")
    if not rights_of(owner).may(role, namespace):
        raise Refused(f"{owner} is not {role} {f'in namespace {namespace}' if namespace else 'for all namespaces'}")
    if ApiToken.objects.filter(owner=owner).count() >= MOST_TOKENS:
        raise Refused(f"{owner} has {MOST_TOKENS} tokens already: revoke one that is not used")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _object(row: ApiToken) -> str:
    return f"Token {row.owner}/{row.name}"
