"""`manage.py test`: all tests. manage.py runs it without Django; this is its page in `manage.py help`."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from control import data


class Command(BaseCommand):
    help = "Runs pytest with the given arguments, from the folder of manage.py; without any, all tests."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("arguments", nargs="*", metavar="PYTEST ARGUMENT")

    def handle(self, **options: Any) -> None:
        manage = str(data.HOME / "manage.py")
        os.execv(sys.executable, [sys.executable, manage, "test", *options["arguments"]])  # noqa: S606
