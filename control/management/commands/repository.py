"""`manage.py repository add|list|remove|age-key`: the Git repositories that applications follow, and their keys."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from control.management.commands.get import kind_table
from control.management.commands.node import read_text
from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure, actor, verbs
from control.management.output import duration
from control.selectors.age_keys import SOPS_COMMAND, sops_rules
from control.selectors.kinds import BY_NAME
from control.selectors.objects import find

TOKEN_VARIABLE = "PIERHEAD_TOKEN"  # noqa: S105  (its name, not its value)


class Command(PierheadCommand):
    help = "Git repositories: add, list, remove; the keys that open what is encrypted in them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(parser, "add", "list", "remove", "age-key")
        add = make.add_parser("add", help="register a repository; the server is asked for the ref at once")
        add.add_argument("name", metavar="NAME")
        add.add_argument("url", metavar="URL", help="https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH")
        add.add_argument("--ref", default="main", help="branch or tag (%(default)s)")
        add.add_argument("--poll", type=duration, default=30.0, help="how often the ref is looked at (30s)")
        add.add_argument("--allow-local", action="store_true", help="admit file://, plain paths and this machine")
        add.add_argument("--username", default="", help="for HTTPS, where the token's server wants one")
        add.add_argument(
            "--token-file", metavar="FILE", help=f"holds the token; - reads it from stdin; else ${TOKEN_VARIABLE}"
        )
        add.add_argument("--ssh-key", type=Path, metavar="FILE", help="the private key, without a passphrase")
        add.add_argument("--known-hosts", type=Path, metavar="FILE", help="the host's key, as ssh-keyscan prints it")
        make.add_parser("list", help="all repositories").add_argument("-o", "--output", choices=("wide",))
        make.add_parser("remove", help="take it off the record").add_argument("name", metavar="NAME")
        key = make.add_parser("age-key", help="for whom sops encrypts Secrets in it; what to write into .sops.yaml")
        key.add_argument("name", metavar="NAME")
        change = key.add_mutually_exclusive_group()
        change.add_argument("--new", action="store_true", help="make another key; those before it stay valid")
        change.add_argument("--remove", metavar="RECIPIENT", help="what only this key opens is refused from then on")

    def handle(self, **options: Any) -> None:
        match options["verb"]:
            case "add":
                self._add(options)
            case "list":
                self._list(wide=options["output"] == "wide")
            case "remove":
                from control.services import repositories

                repositories.remove_repository(options["name"], actor())
                self.stdout.write(f"repository/{options['name']} removed")
            case "age-key":
                self._age_key(options)

    def _add(self, options: dict[str, Any]) -> None:
        from control.services import repositories
        from deployer.core.source import GitCredentials

        credentials = GitCredentials(
            username=options["username"],
            token=token(options["token_file"], options["url"]),
            ssh_key=read_text(options["ssh_key"]) if options["ssh_key"] else "",
            known_hosts=read_text(options["known_hosts"]) if options["known_hosts"] else "",
        )
        row = repositories.add_repository(
            options["name"], options["url"], actor(), ref=options["ref"], poll_seconds=options["poll"],
            allow_local=options["allow_local"], credentials=credentials,
        )  # fmt: skip
        self.stdout.write(f"repository/{row.name} added: {row.ref} is at {row.head[:7]}")

    def _age_key(self, options: dict[str, Any]) -> None:
        from control.services import repository_keys

        name = options["name"]
        if options["remove"]:
            repository_keys.remove_age_key(name, options["remove"], actor())
            self.stdout.write(f"repository/{name}: age key {options['remove']} removed")
            return
        if options["new"]:
            repository_keys.new_age_key(name, actor())
        for recipient in repository_keys.recipients(name, actor()):
            self.stdout.write(recipient)
        self.stderr.write(f"# .sops.yaml, at the root of the repository; then: {SOPS_COMMAND}")
        self.stderr.write(sops_rules(repository_keys.recipients(name, actor())), ending="")

    def _list(self, *, wide: bool) -> None:
        kind = BY_NAME["Repository"]
        rows = find(kind)
        if not rows:
            self.stderr.write("No repositories; add one: repository add NAME URL")
            return
        self.stdout.write(kind_table(kind, rows, "", wide=wide), ending="")


def token(file: str | None, url: str) -> str:
    """From a file, stdin or the environment: never from an argument, which other users of the machine can see.

    The environment's one is taken for https alone, so that it is not stored where it has no use.
    """
    if file == "-":
        return sys.stdin.readline().strip()
    if file:
        found = read_text(Path(file)).strip()
        if not found:
            raise Failure(f"{file} is empty: it should hold the token")
        return found
    return os.environ.get(TOKEN_VARIABLE, "").strip() if url.startswith("https://") else ""
