"""`manage.py logs POD`: what a pod's container printed, read from its host."""

from __future__ import annotations

import codecs
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from typing import Any

from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure
from control.management.output import duration, plain
from control.models import Pod
from control.selectors.kinds import BY_NAME
from control.selectors.objects import get
from control.selectors.pods import container_statuses

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
        if options["previous"]:
            self._show(previous(row, options["container"]))
            return
        container = container_id(row, options["container"])
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        for piece in pieces(row, container, options):
            self._show(decode(piece))

    def _show(self, text: str) -> None:
        """Raw into a file or pipe; on a terminal nothing that it would obey, but colours."""
        if not text:
            return
        self.stdout.write(plain(text, colours=True) if sys.stdout.isatty() else text, ending="")
        self.stdout.flush()


def pieces(row: Pod, container: str, options: dict[str, Any]) -> Iterator[bytes]:
    from deployer.composition import engine_of

    assert row.node is not None
    engine = engine_of(row.node)
    try:
        since = engine.host_time() - options["since"] if options["since"] is not None else None
        yield from engine.logs(
            container, tail=options["tail"], since=since, follow=options["follow"], timestamps=options["timestamps"]
        )
    finally:
        engine.close()


def container_id(row: Pod, wanted: str) -> str:
    """Docker's id of the container's present run."""
    if row.node is None:
        raise Failure(f"pod {row.namespace}/{row.name} is on no node yet: {row.message or 'it waits to be placed'}")
    found = chosen(row, wanted)
    identity = str((found or {}).get("containerID", "")).removeprefix("docker://")
    if not identity:
        why = row.message or row.waiting or "its node has not told of it yet"
        raise Failure(f"pod {row.namespace}/{row.name} has no container to read a log from yet: {why}")
    return identity


def chosen(row: Pod, wanted: str) -> dict[str, Any] | None:
    """The status of the container that is meant; None when nothing is known of any."""
    statuses = container_statuses(row)
    if not wanted:
        return next(iter(row.status.get("containerStatuses") or ()), None)
    found = next((one for one in statuses if one["name"] == wanted), None)
    if statuses and found is None:
        known = ", ".join(one["name"] for one in statuses)
        raise Failure(f"pod {row.namespace}/{row.name} has no container {wanted}; it has: {known}")
    return found


def previous(row: Pod, wanted: str) -> str:
    """The kept last lines of the run before this one."""
    found = chosen(row, wanted) or {}
    ended = (found.get("lastState") or {}).get("terminated") or (found.get("state") or {}).get("terminated") or {}
    text = str(ended.get("message") or "") or (row.log_tail if not wanted or not row.status else "")
    if not text:
        raise Failure(f"pod {row.namespace}/{row.name}: no run of the container has ended, or it printed nothing")
    return text if text.endswith("\n") else text + "\n"


def count(text: str) -> int | None:
    """A number of lines; -1 is all of them, as in kubectl."""
    if text == "-1":
        return None
    if not text.isascii() or not text.isdigit() or int(text) > MOST_LINES:
        raise ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)
