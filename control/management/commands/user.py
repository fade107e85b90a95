"""`manage.py user ...`: who may sign in, with which roles, and the tokens that act for them.

Passwords and tokens are generated, and shown once.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from control.management.failure import Command as PierheadCommand
from control.management.failure import actor, verbs
from control.management.output import table
from control.models import ROLES, VIEWER
from control.selectors import people as read
from control.selectors.words import Moment
from control.services import people, tokens

_NAMESPACE = "the namespace in which it counts; without it: all"


class Command(PierheadCommand):
    help = "People: add, password, list, remove; role, disable, enable, second-factor-off; token for the API."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(
            parser, "add", "password", "list", "remove", "role", "disable", "enable", "second-factor-off", "token"
        )
        add = make.add_parser("add", help="a new user, with a generated password")
        add.add_argument("name", metavar="NAME")
        add.add_argument("--admin", action="store_true", help="may do everything")
        add.add_argument("--role", choices=ROLES, help="what they may do; without it: nothing yet")
        add.add_argument("-n", "--namespace", default="", help=_NAMESPACE)
        for verb, said in (
            ("password", "a new password, generated; open sessions end"),
            ("remove", "they can sign in no more, and are forgotten"),
            ("disable", "they can sign in no more; sessions and tokens end at once"),
            ("enable", "they can sign in again"),
            ("second-factor-off", "for somebody who lost their phone and their recovery codes"),
        ):
            make.add_parser(verb, help=said).add_argument("name", metavar="NAME")
        make.add_parser("list", help="all users")
        _add_role(make.add_parser("role", help="give or take a role"))
        _add_token(make.add_parser("token", help="make, list or revoke API tokens"))

    def handle(self, **options: Any) -> None:
        getattr(self, f"_{options['verb'].replace('-', '_')}")(options)

    def _add(self, options: dict[str, Any]) -> None:
        made = people.add(
            options["name"], actor(), superuser=options["admin"], role=options["role"] or "",
            namespace=options["namespace"],
        )  # fmt: skip
        self._show_password(options["name"], made)
        if not options["admin"] and not options["role"]:
            self.stderr.write(f"They may do nothing yet: user role give {options['name']} {VIEWER} [-n NAMESPACE]")

    def _password(self, options: dict[str, Any]) -> None:
        self._show_password(options["name"], people.new_password(options["name"], actor()))

    def _list(self, _options: dict[str, Any]) -> None:
        rows = [
            (line.name, line.state.word, ", ".join(map(str, line.roles)), line.ways, line.tokens, _moment(line.last))
            for line in read.person_lines(time.time())
        ]
        header = ("NAME", "STATE", "ROLES", "SIGNS-IN-WITH", "TOKENS", "LAST-SIGN-IN")
        self.stdout.write(table(header, rows), ending="")

    def _remove(self, options: dict[str, Any]) -> None:
        people.remove(options["name"], actor())
        self.stdout.write(f"user/{options['name']} removed")

    def _disable(self, options: dict[str, Any]) -> None:
        people.disable(options["name"], actor())
        self.stdout.write(f"user/{options['name']} disabled; sessions and tokens have ended")

    def _enable(self, options: dict[str, Any]) -> None:
        people.enable(options["name"], actor())
        self.stdout.write(f"user/{options['name']} enabled")

    def _second_factor_off(self, options: dict[str, Any]) -> None:
        people.forget_second_factor(options["name"], actor())
        self.stdout.write(f"user/{options['name']} signs in without a code now")

    def _role(self, options: dict[str, Any]) -> None:
        name, role, namespace = options["name"], options["role"], options["namespace"]
        change, word = (people.give, "is") if options["what"] == "give" else (people.take, "is no more")
        change(name, role, namespace, actor())
        self.stdout.write(f"user/{name} {word} {read.RoleLine(role, namespace)}")

    def _token(self, options: dict[str, Any]) -> None:
        owner, name = people.get(options["name"]), options.get("token", "")
        match options["what"]:
            case "make":
                made = tokens.make(
                    owner, name, actor(), time.time(), role=options["role"], namespace=options["namespace"],
                    days=options["days"],
                )  # fmt: skip
                self.stdout.write(f"{made}   (shown this once; only its hash is kept)")
            case "list":
                self._list_tokens(owner)
            case "revoke":
                tokens.revoke(owner, name, actor())
                self.stdout.write(f"token/{name} of {owner} revoked")

    def _list_tokens(self, owner: Any) -> None:
        rows = [
            (line.name, f"{line.hint}...", line.role, _moment(line.used), "ended" if line.expired else line.expires)
            for line in read.token_lines(owner, time.time())
        ]
        if rows:
            self.stdout.write(table(("NAME", "TOKEN", "MAY", "LAST-USED", "ENDS"), rows), ending="")
        else:
            self.stderr.write(f"No tokens of {owner}.")

    def _show_password(self, name: str, password: str) -> None:
        self.stdout.write(f"{name} signs in with the password {password}   (shown this once; only its hash is kept)")


def _moment(at: Moment) -> str:
    return at.iso if at else "never"


def _add_role(parser: ArgumentParser) -> None:
    make = parser.add_subparsers(dest="what", required=True, metavar="give|take", parser_class=type(parser))
    for what, said in (("give", "in place of the role that they have there"), ("take", "they have it no more")):
        one = make.add_parser(what, help=said)
        one.add_argument("name", metavar="NAME")
        one.add_argument("role", metavar="ROLE", choices=ROLES, help=", ".join(ROLES))
        one.add_argument("-n", "--namespace", default="", help=_NAMESPACE)


def _add_token(parser: ArgumentParser) -> None:
    make = parser.add_subparsers(dest="what", required=True, metavar="make|list|revoke", parser_class=type(parser))
    for what, said in (("make", "shown once"), ("list", "what there is, when it was used"), ("revoke", "ends at once")):
        one = make.add_parser(what, help=said)
        one.add_argument("name", metavar="NAME", help="whose")
        if what != "list":
            one.add_argument("token", metavar="TOKEN", help="what it is called")
        if what == "make":
            one.add_argument("--role", choices=ROLES, default=VIEWER, help="at most (%(default)s)")
            one.add_argument("-n", "--namespace", default="", help=_NAMESPACE)
            one.add_argument("--days", type=int, default=tokens.USUAL_DAYS, help="how long it lasts (%(default)s)")
