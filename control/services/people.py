"""People: who may sign in, and with which roles. Every change is in the audit trail.

There is always an active administrator: whatever would take the last one away is refused. Administrators are
superusers, and whoever has the role `admin` for all namespaces.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from control.models import ADMIN, ROLES, RoleBinding
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.services.tokens import revoke_all

PASSWORD_BYTES = 15
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,149}")
_NAMESPACE = re.compile(r"([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?")


def get(name: str) -> Any:
    row = get_user_model().objects.filter(username=name).first()
    if row is None:
        known = ", ".join(get_user_model().objects.order_by("username").values_list("username", flat=True)) or "none"
        raise Refused(f"user {name} does not exist; there are: {known}")
    return row


def add(name: str, actor: Actor, *, superuser: bool = False, role: str = "", namespace: str = "") -> str:
    """The password, which is generated and shown once."""
    if not _NAME.fullmatch(name):
        raise Refused(f"user name {name!r} is not valid: letters, digits and . _ @ + -, at most 150")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    try:
        with transaction.atomic():
            get_user_model().objects.create_user(username=name, password=password, is_superuser=superuser)
            record(actor, "user add", _object(name), "administrator" if superuser else "")
            if role:
                give(name, role, namespace, actor)
    except IntegrityError as error:
        raise Refused(f"user {name} exists already; `user password {name}` gives a new password") from error
    return password


def new_password(name: str, actor: Actor) -> str:
    """It, generated. Sessions that are open end with the old one."""
    row, password = get(name), secrets.token_urlsafe(PASSWORD_BYTES)
    row.set_password(password)
    with transaction.atomic():
        row.save(update_fields=["password"])
        end_sessions(row)
        record(actor, "user password", _object(name))
    return password


def change_password(person: Any, password: str, actor: Actor) -> None:
    """Their own, chosen by themselves. Their other sessions end, since sessions are tied to the hash."""
    person.set_password(password)
    with transaction.atomic():
        person.save(update_fields=["password"])
        record(actor, "user password", _object(person.get_username()), "by themselves")


def remove(name: str, actor: Actor) -> None:
    with _administered(name) as row:
        end_sessions(row)
        row.delete()
        record(actor, "user remove", _object(name))


def disable(name: str, actor: Actor) -> None:
    """They can sign in no more; sessions and tokens end at once, and do not come back with `enable`."""
    with _administered(name) as row:
        row.is_active = False
        row.save(update_fields=["is_active"])
        end_sessions(row)
        count = revoke_all(row)
        record(actor, "user disable", _object(name), f"{count} tokens revoked")


def enable(name: str, actor: Actor) -> None:
    row = get(name)
    row.is_active = True
    with transaction.atomic():
        row.save(update_fields=["is_active"])
        record(actor, "user enable", _object(name))


def give(name: str, role: str, namespace: str, actor: Actor) -> None:
    """In place of the role that they had in that namespace. "" is all namespaces."""
    if role not in ROLES:
        raise Refused(f"there is no role {role!r}: use {', '.join(ROLES)}")
    if not _NAMESPACE.fullmatch(namespace):
        raise Refused(f"{namespace!r} is no name of a namespace: small letters, digits and -, at most 63")
    with _administered(name) as row:
        RoleBinding.objects.update_or_create(subject=row, namespace=namespace, defaults={"role": role})
        record(actor, "role give", _object(name), f"{role} in {_place(namespace)}")


def take(name: str, role: str, namespace: str, actor: Actor) -> None:
    """`admin` for all namespaces takes it from a superuser too."""
    with _administered(name) as row:
        taken, _ = RoleBinding.objects.filter(subject=row, role=role, namespace=namespace).delete()
        was_superuser = bool(row.is_superuser) and (role, namespace) == (ADMIN, "")
        if not taken and not was_superuser:
            raise Refused(f"{name} is not {role} in {_place(namespace)}; roles are listed by `user list`")
        if was_superuser:
            row.is_superuser = False
            row.save(update_fields=["is_superuser"])
        record(actor, "role take", _object(name), f"{role} in {_place(namespace)}")


def forget_second_factor(name: str, actor: Actor) -> None:
    """For somebody who lost their phone and their recovery codes."""
    from allauth.mfa.models import Authenticator

    row = get(name)
    with transaction.atomic():
        count, _ = Authenticator.objects.filter(user=row).delete()
        if not count:
            raise Refused(f"{name} has no second factor")
        record(actor, "user second factor off", _object(name))


def end_sessions(person: Any, *, keep: str = "") -> int:
    """All that are open, but for `keep`; how many. A session says only inside whose it is, so each is opened."""
    count = 0
    for row in Session.objects.filter(expire_date__gt=timezone.now()).exclude(session_key=keep).iterator():
        if row.get_decoded().get("_auth_user_id") == str(person.pk):
            row.delete()
            count += 1
    return count


@contextmanager
def _administered(name: str) -> Iterator[Any]:
    """A change of this person. Refused, and undone, when no administrator would be left.

    The rows of all administrators are locked first, so that two who demote each other at the same time cannot both.
    """
    with transaction.atomic():
        users = get_user_model().objects
        before = list(users.select_for_update().filter(pk__in=_administrators()).order_by("pk"))
        yield get(name)
        if before and not _administrators().exists():
            raise Refused(f"{name} is the only administrator; make another one first: user role give NAME admin")


def _administrators() -> Any:
    """Primary keys of those who may do everything, and can sign in."""
    bound = RoleBinding.objects.filter(role=ADMIN, namespace="").values("subject_id")
    return get_user_model().objects.filter(Q(is_superuser=True) | Q(pk__in=bound), is_active=True).values("pk")


def _object(name: str) -> str:
    return f"User {name}"


def _place(namespace: str) -> str:
    return f"namespace {namespace}" if namespace else "all namespaces"
