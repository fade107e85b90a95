"""`manage.py notification add|list|test|remove`: who is told when something fails, and that it is over."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from control.management.commands.node import read_text
from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure, actor, verbs
from control.management.following import NO_WORKER, NO_WORKER_SECONDS, Patience
from control.management.output import duration, table
from control.selectors.notifications import ChannelLine, channel_lines
from deployer.core.incidents import KINDS


class Command(PierheadCommand):
    help = "Notification channels, apprise URLs that are told of incidents: add, list, test, remove."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(parser, "add", "list", "test", "remove")
        add = make.add_parser("add", help="tell one more; its address is read from stdin or a file, never an argument")
        add.add_argument("name", metavar="NAME")
        add.add_argument(
            "--url-file", metavar="FILE", default="-", help="holds the apprise URL; - reads it from stdin (%(default)s)"
        )
        add.add_argument("-n", "--namespace", default="", help="only what happens in this one; without it: all")
        add.add_argument(
            "--kind", action="append", default=[], choices=list(KINDS), help="of incidents, repeatable; without it: all"
        )
        make.add_parser("list", help="all channels, and how the last message to each fared")
        test = make.add_parser("test", help="send a test, and wait for what comes of it")
        test.add_argument("name", metavar="NAME")
        test.add_argument("--timeout", type=duration, default=60.0, help="how long it is waited for (60s)")
        make.add_parser("remove", help="tell nothing there any more").add_argument("name", metavar="NAME")

    def handle(self, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _add(self, options: dict[str, Any]) -> None:
        from control.services import notifications

        file = options["url_file"]
        url = sys.stdin.readline().strip() if file == "-" else read_text(Path(file)).strip()
        if not url:
            raise Failure(f"{'stdin' if file == '-' else file} is empty: it should hold the apprise URL")
        row = notifications.add_channel(
            options["name"], url, actor(), namespace=options["namespace"], kinds=options["kind"]
        )
        self.stdout.write(f"notification/{row.name} added: {row.shown}; `notification test {row.name}` tries it")

    def _list(self, _options: dict[str, Any]) -> None:
        lines = channel_lines(None, time.time())
        if not lines:
            self.stderr.write("No channels; add one: notification add NAME --url-file FILE")
            return
        rows = [
            (one.name, one.shown, one.namespace or "all", one.kinds, one.state.word, _last(one), one.trouble)
            for one in lines
        ]
        header = ("NAME", "ADDRESS", "NAMESPACES", "TELLS", "STATE", "LAST-TOLD", "TROUBLE")
        self.stdout.write(table(header, rows), ending="")

    def _test(self, options: dict[str, Any]) -> None:
        from control.services import notifications

        number = notifications.try_channel(options["name"], actor())
        patience, warned = Patience(options["timeout"]), False
        for _ in patience.looks():
            notice = notifications.outcome(number)
            if notice is not None and notice.sent_at:
                self.stdout.write(f"notification/{options['name']} was told")
                return
            if notice is not None:
                raise Failure(f"channel {options['name']}: {notice.message}")
            if patience.waited_seconds > NO_WORKER_SECONDS and not warned:
                warned = True
                self.stderr.write(NO_WORKER.format(seconds=patience.waited_seconds))
        raise Failure(f"channel {options['name']}: nothing came of the test within {options['timeout']:g} s")

    def _remove(self, options: dict[str, Any]) -> None:
        from control.services import notifications

        notifications.remove_channel(options["name"], actor())
        self.stdout.write(f"notification/{options['name']} removed")


def _last(line: ChannelLine) -> str:
    return line.told.iso if line.told else "never"
