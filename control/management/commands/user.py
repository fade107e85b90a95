"""`manage.py user add|password|list|remove`: who may sign in. Passwords are generated, and shown once."""

from __future__ import annotations

import re
import secrets
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure, actor, verbs
from control.management.output import table

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,149}")


class Command(PierheadCommand):
    help = "People: add, new password, list, remove."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(parser, "add", "password", "list", "remove")
        add = make.add_parser("add", help="a new user, with a generated password")
        add.add_argument("name", metavar="NAME")
        add.add_argument("--admin", action="store_true", help="may do everything")
        make.add_parser("password", help="a new password, generated").add_argument("name", metavar="NAME")
        make.add_parser("list", help="all users")
        make.add_parser("remove", help="they can sign in no more").add_argument("name", metavar="NAME")

    def handle(self, **options: Any) -> None:
        match options["verb"]:
            case "add":
                self._shown(add(options["name"], admin=options["admin"]), options["name"])
            case "password":
                self._shown(new_password(options["name"]), options["name"])
            case "list":
                rows = get_user_model().objects.order_by("username")
                lines = [(row.username, "yes" if row.is_superuser else "no", row.last_login or "never") for row in rows]
                self.stdout.write(table(("NAME", "ADMIN", "LAST-SIGN-IN"), lines), ending="")
            case "remove":
                remove(options["name"])
                self.stdout.write(f"user/{options['name']} removed")

    def _shown(self, password: str, name: str) -> None:
        self.stdout.write(f"{name} signs in with the password {password}   (shown this once; only its hash is kept)")


def add(name: str, *, admin: bool) -> str:
    """Returns the password."""
    if not NAME.fullmatch(name):
        raise Failure(f"user name {name!r} is not valid: letters, digits and . _ @ + -, at most 150")
    password = secrets.token_urlsafe(15)
    users = get_user_model().objects
    try:
        with transaction.atomic():
            make = users.create_superuser if admin else users.create_user
            make(username=name, password=password)
            _record("user add", name, "administrator" if admin else "")
    except IntegrityError as error:
        raise Failure(f"user {name} exists already; `user password {name}` gives a new password") from error
    return password


def new_password(name: str) -> str:
    """Returns it. Sessions that are open end with it."""
    row = _get(name)
    password = secrets.token_urlsafe(15)
    row.set_password(password)
    with transaction.atomic():
        row.save(update_fields=["password"])
        _record("user password", name)
    return password


def remove(name: str) -> None:
    row = _get(name)
    admins = get_user_model().objects.filter(is_superuser=True)
    if row.is_superuser and admins.count() == 1:
        raise Failure(f"{name} is the only administrator; add another one first: user add NAME --admin")
    with transaction.atomic():
        row.delete()
        _record("user remove", name)


def _get(name: str) -> Any:
    row = get_user_model().objects.filter(username=name).first()
    if row is None:
        known = ", ".join(get_user_model().objects.order_by("username").values_list("username", flat=True)) or "none"
        raise Failure(f"user {name} does not exist; there are: {known}")
    return row


def _record(action: str, name: str, detail: str = "") -> None:
    from control.services.audit import record

    record(actor(), action, f"User {name}", detail)
