"""`manage.py restore FILE`: from an empty machine to the state of a backup."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from control.management.failure import Command as PierheadCommand


class Command(PierheadCommand):
    help = "Restores a backup into an empty data folder or database; then start `up` again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="what `manage.py backup` has written")
        parser.add_argument("--force", action="store_true", help="replace what the database holds")

    def handle(self, **options: Any) -> None:
        from control.services import restoring

        content = restoring.restore(options["file"].absolute(), replace=options["force"])
        self.stdout.write(f"restored: {content}; start `manage.py up`: hosts are read before anything is changed there")
