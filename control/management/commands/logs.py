"""`manage.py logs POD`: what a pod's container printed, read from its host."""

from __future__ import annotations

import codecs
import contextlib
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from control.management.failure import Command as PierheadCommand
from control.management.output import duration, plain
from control.selectors.kinds import BY_NAME
from control.selectors.objects import get

MOST_LINES = 1_000_000


class Command(PierheadCommand):
    help = "Prints the log of a pod's container."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pod", metavar="POD")
        parser.add_argument("-n", "--namespace", default="default", help="the namespace (%(default)s)")
        parser.add_argument("-c", "--container", default="", metavar="NAME", help="which one; default: the first")
        parser.add_argument("-f", "--follow", action="store_true", help="go on as more is printed")
        parser.add_argument("--tail", type=count, metavar="N", help="the last N lines only")
        parser.add_argument("--since", type=duration, metavar="10m", help="not older than this")
        parser.add_argument("--previous", action="store_true", help="the last lines of the run that ended")
        parser.add_argument("--timestamps", action="store_true", help="each line with its time")

    def handle(self, **options: Any) -> None:
        name = options["pod"].removeprefix("pods/").removeprefix("pod/")
        row = get(BY_NAME["Pod"], name, options["namespace"])
        from control.services import logs

        if options["previous"]:
            self._show(logs.previous(row, options["container"]))
            return
        asked = logs.Asked(
            options["container"], options["tail"], options["since"], options["follow"], options["timestamps"]
        )
        with contextlib.closing(logs.Reading(row, asked)) as reading:
            decode = codecs.getincrementaldecoder("utf-8")("replace").decode
            for piece in reading.pieces():
                self._show(decode(piece))

    def _show(self, text: str) -> None:
        """Raw into a file or pipe; on a terminal nothing that it would obey, but colours."""
        if not text:
            return
        self.stdout.write(plain(text, colours=True) if sys.stdout.isatty() else text, ending="")
        self.stdout.flush()


def count(text: str) -> int | None:
    """A number of lines; -1 is all of them, as in kubectl."""
    if text == "-1":
        return None
    if not text.isascii() or not text.isdigit() or int(text) > MOST_LINES:
        raise ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)
