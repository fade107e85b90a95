"""One person of each kind, as the tests of access ask for them."""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from control.models import RoleBinding
from control.services import tokens
from control.services.audit import Actor

PASSWORD = "a long harbour wall"
KINDS: dict[str, dict[str, str]] = {
    "no role": {},
    "viewer elsewhere": {"other": "viewer"},
    "admin elsewhere": {"other": "admin"},
    "viewer": {"shop": "viewer"},
    "operator": {"shop": "operator"},
    "admin": {"shop": "admin"},
    "viewer of all": {"": "viewer"},
    "operator of all": {"": "operator"},
    "admin of all": {"": "admin"},
    "superuser": {"": "superuser"},
}


def person(name: str, roles: dict[str, str] | None = None, **fields: Any) -> User:
    given = roles or {}
    row: User = User.objects.create_user(name, password=PASSWORD, is_superuser="superuser" in given.values(), **fields)
    for namespace, role in given.items():
        if role != "superuser":
            RoleBinding.objects.create(subject=row, namespace=namespace, role=role)
    return row


def signed_in(who: User | None, **options: Any) -> Client:
    client = Client(**options)
    if who is not None:
        client.force_login(who)
    return client


def bearing(owner: User, *, role: str = "admin", namespace: str = "", name: str = "ci", **options: Any) -> Client:
    """A client that bears a token of `owner`, and no session."""
    made = tokens.make(owner, name, Actor("test"), time.time(), role=role, namespace=namespace)
    return Client(headers={"Authorization": f"Bearer {made}"}, enforce_csrf_checks=True, **options)
