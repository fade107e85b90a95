"""`manage.py backup FILE`: state and keys in one file, while everything runs."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from control.management.failure import Command as PierheadCommand
from control.management.failure import actor


class Command(PierheadCommand):
    help = "Writes state and keys to one file, while everything runs; keep it as safe as a password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="where to; made with mode 0600")
        parser.add_argument("--force", action="store_true", help="replace the file if it exists")

    def handle(self, **options: Any) -> None:
        from control.services import backups
        from control.services.audit import record

        content = backups.make(options["file"].absolute(), replace=options["force"])
        record(actor(), "backup", str(options["file"]), str(content))
        warning = "it holds the keys as well, so whoever reads it reads all secrets"
        self.stdout.write(f"{options['file']}: {content}; {warning}")
