"""`manage.py up`: everything, on one machine. manage.py runs it without Django; this is its help page."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from control import data, supervisor


class Command(BaseCommand):
    help = supervisor.DESCRIPTION
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        supervisor.add_arguments(parser)

    def handle(self, **options: Any) -> None:
        arguments = ["--host", options["host"], "--port", str(options["port"]), "--simulate", str(options["simulate"])]
        arguments += ["--verbose"] if options["verbose"] else []
        os.execv(sys.executable, [sys.executable, str(data.HOME / "manage.py"), "up", *arguments])  # noqa: S606
