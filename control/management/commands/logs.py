"""`manage.py logs POD|KIND/NAME`: what a pod's container printed, read from its host."""

from __future__ import annotations

import codecs
import contextlib
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure
from control.management.output import duration, plain
from control.models import Pod
from control.selectors.kinds import BY_NAME, find_kind
from control.selectors.objects import get

MOST_LINES = 1_000_000
OWNERS = {
    "Deployment": "replica_set__deployment", "Rollout": "replica_set__deployment", "ReplicaSet": "replica_set",
}  # fmt: skip
"""Kind -> how its pods are found."""


class Command(PierheadCommand):
    help = "Prints the log of a pod's container."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pod", metavar="POD", help="a pod, or deployment/web for one of its pods")
        parser.add_argument("-n", "--namespace", default="default", help="the namespace (%(default)s)")
        parser.add_argument("-c", "--container", default="", metavar="NAME", help="which one; default: the first")
        parser.add_argument("-f", "--follow", action="store_true", help="go on as more is printed")
        parser.add_argument("--tail", type=count, metavar="N", help="the last N lines only")
        parser.add_argument("--since", type=duration, metavar="10m", help="not older than this")
        parser.add_argument("--previous", action="store_true", help="the last lines of the run that ended")
        parser.add_argument("--timestamps", action="store_true", help="each line with its time")

    def handle(self, **options: Any) -> None:
        row = self._pod(options["pod"], options["namespace"])
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

    def _pod(self, words: str, namespace: str) -> Pod:
        """The pod that is meant. Of a workload's, as kubectl does, one that is ready before others, and says which."""
        kind, slash, name = words.rpartition("/")
        if not slash or find_kind(kind).name == "Pod":
            found: Pod = get(BY_NAME["Pod"], name, namespace)
            return found
        row = get(find_kind(kind), name, namespace)
        if row.kind not in OWNERS:
            raise Failure(f"a {row.kind} prints nothing: name a pod, or a workload such as deployment/web")
        theirs = Pod.objects.filter(deleted_at=None, **{OWNERS[row.kind]: row})
        pods = list(theirs.order_by("-ready", "-replica_set__revision", "name"))
        if not pods:
            raise Failure(f"{row.kind.lower()} {namespace}/{name} has no pods: `describe {kind} {name}` tells why")
        if len(pods) > 1:
            self.stderr.write(f"Found {len(pods)} pods, using pod/{pods[0].name}")
        return pods[0]

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
