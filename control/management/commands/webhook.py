"""`manage.py webhook add|list|rotate|retire|remove|deliveries|redeliver`: who may tell that a repository moved."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from control.management.failure import Command as PierheadCommand
from control.management.failure import actor, verbs
from control.management.output import clean, table
from control.selectors.hooks import address, delivery_lines, hook_lines
from deployer.core.hooks.registries import SENDERS

UNKNOWN_BASE = "http://ADDRESS-OF-PIERHEAD"


class Command(PierheadCommand):
    help = "Webhooks of Git repositories: add, list, rotate, retire, remove, deliveries, redeliver."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(parser, "add", "list", "rotate", "retire", "remove", "deliveries", "redeliver")
        add = make.add_parser("add", help="make an address and a secret, which is shown once, and say what to do there")
        add.add_argument("repository", metavar="REPOSITORY")
        add.add_argument("--provider", required=True, choices=tuple(SENDERS), help="who hosts the repository")
        add.add_argument(
            "--allow", action="append", default=[], metavar="NETWORK",
            help="take deliveries from this network only, such as 140.82.112.0/20; may be repeated",
        )  # fmt: skip
        make.add_parser("list", help="the webhooks of a repository").add_argument("repository", metavar="REPOSITORY")
        for verb, words in (
            ("rotate", "a new secret; the one before stays valid until it is retired"),
            ("retire", "from now on the new secret alone is valid"),
            ("remove", "the address and its secrets stop working"),
        ):
            make.add_parser(verb, help=words).add_argument("webhook", metavar="ID", help="as `webhook list` prints it")
        seen = make.add_parser("deliveries", help="the newest deliveries, and what came of each")
        seen.add_argument("repository", metavar="REPOSITORY")
        again = make.add_parser("redeliver", help="do once more what a delivery asked for")
        again.add_argument("delivery", metavar="NUMBER", type=int)

    def handle(self, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _add(self, options: dict[str, Any]) -> None:
        from control.services import webhooks

        row, secret = webhooks.make(options["repository"], options["provider"], actor(), options["allow"])
        provider = SENDERS[row.provider]
        for number, step in enumerate(provider.steps, start=1):
            self.stdout.write(f"{number}. {step.format(title=provider.title)}")
        self.stdout.write(f"Address: {address(row.uid, UNKNOWN_BASE)}")
        self.stdout.write(f"Secret:  {secret}")
        self.stdout.write(f"webhook/{row.uid} added; the secret is not shown again")
        if not settings.PUBLIC_URL:
            self.stderr.write("PIERHEAD_PUBLIC_URL is not set: put the address of this Pierhead in where it is missing")

    def _list(self, options: dict[str, Any]) -> None:
        from control.services.repositories import get_repository

        lines = hook_lines(get_repository(options["repository"]).uid, UNKNOWN_BASE, time.time())
        if not lines:
            self.stderr.write(f"No webhooks; add one: webhook add {options['repository']} --provider github")
            return
        rows = [
            [one.uid, one.provider, one.last.age if one.last else "never", "2" if one.has_old_secret else "1",
             ",".join(one.allowed) or "anywhere", one.address]
            for one in lines
        ]  # fmt: skip
        heads = ("ID", "PROVIDER", "LAST DELIVERY", "SECRETS", "FROM", "ADDRESS")
        self.stdout.write(table(heads, rows), ending="")

    def _rotate(self, options: dict[str, Any]) -> None:
        from control.services import webhooks

        row, secret = webhooks.rotate(options["webhook"], actor())
        self.stdout.write(f"Secret:  {secret}")
        self.stdout.write(
            f"webhook/{row.uid} rotated: put it in at {SENDERS[row.provider].title}, then `webhook retire {row.uid}`"
        )

    def _retire(self, options: dict[str, Any]) -> None:
        from control.services import webhooks

        self.stdout.write(f"webhook/{webhooks.retire(options['webhook'], actor()).uid}: one secret is valid")

    def _remove(self, options: dict[str, Any]) -> None:
        from control.services import webhooks

        webhooks.remove(options["webhook"], actor())
        self.stdout.write(f"webhook/{options['webhook']} removed")

    def _deliveries(self, options: dict[str, Any]) -> None:
        from control.services.repositories import get_repository

        lines, _ = delivery_lines(get_repository(options["repository"]).uid, None, time.time())
        if not lines:
            self.stderr.write(f"No deliveries to webhooks of repository {options['repository']} yet")
            return
        rows = [
            [str(one.number), one.at.age, str(one.status), one.provider, one.event, one.commit or "-",
             clean(one.message)]
            for one in lines
        ]  # fmt: skip
        heads = ("NUMBER", "AGE", "STATUS", "PROVIDER", "EVENT", "COMMIT", "WHAT CAME OF IT")
        self.stdout.write(table(heads, rows), ending="")

    def _redeliver(self, options: dict[str, Any]) -> None:
        from control.services import webhooks

        made = webhooks.redeliver(options["delivery"], actor())
        self.stdout.write(f"delivery {made.pk}: {made.message}")
