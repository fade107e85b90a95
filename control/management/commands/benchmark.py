"""`manage.py benchmark`: what Pierhead measures of itself. manage.py runs it without Django; this is its help."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from control import data


class Command(BaseCommand):
    help = "Runs benchmarks by name, or all of them, with their peers in the same run: one table."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("arguments", nargs="*", metavar="NAME", help="see `benchmark --list`")

    def handle(self, **options: Any) -> None:
        manage = str(data.HOME / "manage.py")
        os.execv(sys.executable, [sys.executable, manage, "benchmark", *options["arguments"]])  # noqa: S606
