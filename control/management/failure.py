"""How a command ends: 0 done, 1 refused or failed (one sentence on stderr, no traceback), 2 wrong usage.

Every command of Pierhead derives from `Command` here. argparse itself answers wrong usage with 2.
"""

from __future__ import annotations

import logging
import os
import pwd
import sys
from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser, handle_default_options
from django.db import DatabaseError, connections

from control.management.output import clean

if TYPE_CHECKING:
    from control.services.audit import Actor

BASE_OPTIONS = (
    "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color",
    "--skip-checks",
)  # fmt: skip
REFUSALS = ("Refused", "EngineError", "EngineUnreachable", "SourceError", "NotFound", "SealError")
"""Exceptions that carry a sentence for people, by name: importing their modules would load Docker and Git."""


class Failure(CommandError):
    """A command that was refused or failed. The sentence says what, why, and what to do next."""


class Command(BaseCommand):
    """Refusals and failures become one sentence on stderr and exit code 1."""

    requires_system_checks = ()
    suppressed_base_arguments = set(BASE_OPTIONS)  # noqa: RUF012  (the base class declares it so)

    def run_from_argv(self, argv: list[str]) -> None:
        self._called_from_command_line = True
        parser = self.create_parser(argv[0], argv[1])
        options = parser.parse_args(argv[2:])
        handle_default_options(options)
        # A hint that reached no broker costs a second, no more: the wake-up is a row. Nothing to tell a person.
        logging.getLogger("pierhead").setLevel(logging.ERROR)
        arguments = {name: value for name, value in vars(options).items() if name != "args"}
        try:
            self.execute(**arguments)
        except CommandError as failure:
            self._end(1, f"error: {clean(str(failure))}\n")
        except KeyboardInterrupt:
            self._end(130)
        except BrokenPipeError:
            # Whoever read the output has seen enough: `get pods | head -1`.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._end(0)
        finally:
            connections.close_all()

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            raise Failure(database_sentence(error)) from error
        except Exception as error:
            if any(known.__name__ in REFUSALS for known in type(error).__mro__):
                raise Failure(getattr(error, "sentence", "") or str(error)) from error
            raise

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, allow_abbrev=False, **kwargs)

    def _end(self, code: int, message: str = "") -> NoReturn:
        if message:
            sys.stderr.write(message)
        sys.exit(code)


class ExactParser(CommandParser):
    """No abbreviations: `--token SECRET` must not be taken for `--token-file` and its value printed as a path."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})


def verbs(parser: ArgumentParser, *names: str) -> Any:
    """Subparsers for `COMMAND VERB ...`; the verb is `options["verb"]`."""
    return parser.add_subparsers(dest="verb", required=True, metavar="|".join(names), parser_class=ExactParser)


def database_sentence(error: DatabaseError) -> str:
    reason = " ".join(str(error).split())
    if "no such table" in reason or "does not exist" in reason:
        return "the database has no tables yet: start `manage.py up` (or `manage.py prepare`) on this data folder first"
    return f"the database does not answer: {reason}; check DATABASE_URL, or the data folder (--data)"


def actor() -> Actor:
    """The person at this terminal, as the operating system knows them."""
    from control.services.audit import Actor

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    return Actor(name)
