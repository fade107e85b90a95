"""`manage.py repository add|set|list|host|remove|age-key`: the Git repositories that are followed, and their keys."""

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
from control.selectors.git_hosts import host_line
from control.selectors.kinds import BY_NAME
from control.selectors.objects import find
from control.selectors.repository_credentials import key_places
from deployer.core.git_hosts import PROVIDERS

TOKEN_VARIABLE = "PIERHEAD_TOKEN"  # noqa: S105  (its name, not its value)


class Command(PierheadCommand):
    help = "Git repositories: add, set, list, host, remove; age-key: for whom Secrets in them are encrypted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(parser, "add", "set", "list", "host", "remove", "age-key")
        add = make.add_parser("add", help="register a repository; the server is asked for the ref at once")
        add.add_argument("name", metavar="NAME")
        add.add_argument("url", metavar="URL", help="https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH")
        add.add_argument("--ref", default="main", help="branch or tag (%(default)s)")
        add.add_argument("--poll", type=duration, default=30.0, help="how often the ref is looked at (30s)")
        add.add_argument("--allow-local", action="store_true", help="admit file://, plain paths and this machine")
        _add_credential_options(add)
        change = make.add_parser("set", help="replace what it is opened with, tried at once; whose commits are taken")
        change.add_argument("name", metavar="NAME")
        _add_credential_options(change)
        signed = change.add_argument_group("whose commits are taken", "what was applied before can be gone back to")
        signed.add_argument(
            "--signatures", choices=("none", "head", "tag"),
            help="head: the commit must be signed by an allowed signer; tag: --ref must be a signed tag",
        )  # fmt: skip
        signed.add_argument("--ssh-signers", type=Path, metavar="FILE", help="lines of OpenSSH's allowed_signers")
        signed.add_argument("--gpg-keys", type=Path, metavar="FILE", help="from gpg --armor --export")
        make.add_parser("list", help="all repositories").add_argument("-o", "--output", choices=("wide",))
        host = make.add_parser("host", help="where its Git host's API is, and whether commits' statuses are told there")
        host.add_argument("name", metavar="NAME")
        host.add_argument("--provider", choices=("", *PROVIDERS), help="the kind of host; '' for what the URL says")
        host.add_argument("--api-url", metavar="URL", help="of a host whose API is elsewhere; '' for the usual place")
        host.add_argument("--statuses", choices=("on", "off"), help="tell how commits fare; on, where there is a token")
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
            case "set":
                self._set(options)
            case "list":
                self._list(wide=options["output"] == "wide")
            case "host":
                self._host(options)
            case "remove":
                from control.services import repositories

                repositories.remove_repository(options["name"], actor())
                self.stdout.write(f"repository/{options['name']} removed")
            case "age-key":
                self._age_key(options)

    def _add(self, options: dict[str, Any]) -> None:
        from control.services import repositories

        row = repositories.add_repository(
            options["name"], options["url"], actor(), ref=options["ref"], poll_seconds=options["poll"],
            allow_local=options["allow_local"], credentials=_credentials(options, options["url"]),
            make_ssh_key=options["make_ssh_key"], host_key=options["confirm_host_key"],
        )  # fmt: skip
        at = f"{row.ref} is at {row.head[:7]}" if row.head else "it is looked at once its key is there"
        self.stdout.write(f"repository/{row.name} added: {at}")
        self._show_key(row, made=options["make_ssh_key"])

    def _set(self, options: dict[str, Any]) -> None:
        from control.services.repository_credentials import NOTHING, Wanted, set_credentials
        from control.services.repository_keys import get_repository

        url = get_repository(options["name"]).url
        wanted = Wanted(_credentials(options, url), options["make_ssh_key"], options["confirm_host_key"])
        signed = _set_signatures(options)
        if wanted == Wanted(NOTHING):
            if not signed:
                raise Failure("nothing was given that could be set: see `repository set --help`")
            self.stdout.write(f"repository/{options['name']} set")
            return
        row = set_credentials(options["name"], wanted, actor())
        self.stdout.write(f"repository/{row.name} set")
        self._show_key(row, made=options["make_ssh_key"])

    def _show_key(self, row: Any, *, made: bool) -> None:
        """The public half on stdout, what to do with it on stderr."""
        if made:
            self.stdout.write(row.ssh_public_key)
            self.stderr.write(f"# paste it: {'; or '.join(place for _, place in key_places(row.url))}")

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

    def _host(self, options: dict[str, Any]) -> None:
        from control.services import repositories

        statuses = options["statuses"]
        row = repositories.set_host(
            options["name"], actor(), provider=options["provider"], api_url=options["api_url"],
            tells_status=None if statuses is None else statuses == "on",
        )  # fmt: skip
        line = host_line(row)
        self.stdout.write(f"repository/{row.name}: {line.host}; {line.word}")
        if line.trouble:
            self.stderr.write(line.trouble)

    def _list(self, *, wide: bool) -> None:
        kind = BY_NAME["Repository"]
        rows = find(kind)
        if not rows:
            self.stderr.write("No repositories; add one: repository add NAME URL")
            return
        self.stdout.write(kind_table(kind, rows, "", wide=wide), ending="")


def _set_signatures(options: dict[str, Any]) -> bool:
    """Whether anything was asked for. What is not named stays."""
    from control.services.repository_signatures import set_signatures

    files = [read_text(options[name]) if options[name] else None for name in ("ssh_signers", "gpg_keys")]
    if options["signatures"] is None and files == [None, None]:
        return False
    set_signatures(options["name"], actor(), what=options["signatures"], ssh_signers=files[0], gpg_keys=files[1])
    return True


def _add_credential_options(parser: ArgumentParser) -> None:
    parser.add_argument("--username", default="", help="for HTTPS, where the token's server wants one")
    parser.add_argument(
        "--token-file", metavar="FILE", help=f"holds the token; - reads it from stdin; else ${TOKEN_VARIABLE}"
    )
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument("--ssh-key", type=Path, metavar="FILE", help="the private key, without a passphrase")
    keys.add_argument("--make-ssh-key", action="store_true", help="make a key here and print its public half")
    hosts = parser.add_mutually_exclusive_group()
    hosts.add_argument("--known-hosts", type=Path, metavar="FILE", help="the host's key, as ssh-keyscan prints it")
    hosts.add_argument(
        "--confirm-host-key", default="", metavar="SHA256:...",
        help="the host's fingerprint, compared by you; not needed for the big Git hosts",
    )  # fmt: skip
    parser.add_argument("--github-app", default="", metavar="ID", help="a GitHub App's id, for HTTPS")
    parser.add_argument("--installation", default="", metavar="ID", help="the number of that App's installation")
    parser.add_argument("--app-key", type=Path, metavar="FILE", help="that App's private key (.pem)")
    parser.add_argument(
        "--github-api", default="", metavar="URL", help="for GitHub Enterprise, such as https://git.example.com/api/v3"
    )


def _credentials(options: dict[str, Any], url: str) -> Any:
    from deployer.core.source import GitCredentials

    files = {name: read_text(options[name]) if options[name] else "" for name in ("ssh_key", "known_hosts", "app_key")}
    app = options["github_app"]
    environment_for = url if options["verb"] == "add" else ""  # what is set is named, or it is not meant
    if bool(app) != bool(options["installation"]) or bool(app) != bool(files["app_key"]):
        raise Failure("a GitHub App takes all three: --github-app, --installation and --app-key")
    return GitCredentials(
        username=options["username"], token="" if app else token(options["token_file"], environment_for), app_id=app,
        installation_id=options["installation"], api_url=options["github_api"].rstrip("/"), **files,
    )  # fmt: skip


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
