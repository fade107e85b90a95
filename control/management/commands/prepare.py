"""`manage.py prepare`: what has to be there before the processes start; may be repeated at any time."""

import os
import secrets
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection, transaction

from control import data, prepared, processes
from control.services.refusal import Refused

ADMIN = "admin"


class Command(BaseCommand):
    help = "Migrates the database, makes the first user, registers the local Docker engine."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--simulate", type=int, default=0, metavar="N", help="register N simulated hosts as well")
        parser.add_argument("--lifeline", type=int, metavar="FD", help="end when the other end of this pipe is closed")

    def handle(self, **options: Any) -> None:
        processes.hold_lifeline(options["lifeline"])
        self._migrate()
        if sentence := first_user():
            self.stdout.write(sentence)
        for sentence in register_hosts(options["simulate"]):
            self.stdout.write(sentence)
        note(options["simulate"])

    def _migrate(self) -> None:
        """A new version first keeps a copy of what the one before has left; a database of a newer one is refused."""
        from control.services import backups

        try:
            if sentence := backups.before_migration():
                self.stdout.write(sentence)
            call_command("migrate", verbosity=0, interactive=False)
        except Refused as refusal:
            raise CommandError(refusal.sentence) from refusal
        except OperationalError as error:
            reason = " ".join(str(error).split())
            raise CommandError(
                f"The database {connection.settings_dict['NAME']} cannot be used: {reason}. "
                "Check DATABASE_URL, or the data folder."
            ) from error


def note(simulated: int) -> None:
    """The next start has nothing to do here, unless an engine of this machine could not be registered."""
    from control.services import nodes

    folder = settings.PIERHEAD.data_dir
    if nodes.is_local_settled():
        prepared.note(folder, prepared.mark(folder, os.environ, simulated))
    else:
        prepared.forget(folder)


def first_user() -> str | None:
    """Makes the user `admin` when there is no user yet; the sentence that shows the password, if it was generated."""
    given = data.secret(os.environ, "PIERHEAD_ADMIN_PASSWORD")
    password = given or secrets.token_urlsafe(15)
    users = get_user_model().objects
    with transaction.atomic():
        if users.exists():
            return None
        users.create_superuser(username=ADMIN, password=password)
    if given:
        return f"Sign in as {ADMIN} with the password that PIERHEAD_ADMIN_PASSWORD gave."
    return f"Sign in as {ADMIN} with the password {password}   (shown this once; only its hash is kept)"


def register_hosts(simulated: int) -> list[str]:
    """Registers this machine's Docker engine and `simulated` hosts; what there is to say about it."""
    from control.services import nodes

    sentences = [nodes.register_local() or "No Docker engine here. Add a host: python3 manage.py node add NAME ADDRESS"]
    if simulated:
        sentences.append(nodes.register_simulated(simulated))
    return sentences
