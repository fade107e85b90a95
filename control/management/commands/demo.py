"""`manage.py demo`: all of Pierhead on simulated hosts, with something to see on every page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from control import data
from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure

MARK = "demonstration"


class Command(PierheadCommand):
    help = "Starts Pierhead on simulated hosts, with applications, rollouts and failures to look at."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="the address to serve pages on (%(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="the port to serve pages on (%(default)s)")

    def handle(self, **options: Any) -> None:
        folder = data.folder(os.environ)
        _claim(folder)
        self._run(folder, options)

    def _run(self, folder: Path, options: dict[str, Any]) -> None:
        command = [sys.executable, str(data.HOME / "manage.py"), "up", "--host", options["host"]]
        up = subprocess.Popen(
            [*command, "--port", str(options["port"]), "--data", str(folder)], stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: up.send_signal(signal.SIGTERM))
        story = threading.Thread(target=self._tell, args=(folder, ended), daemon=True)
        assert up.stdout is not None
        for line in up.stdout:
            self._say(line.rstrip("\n"))
            if line.startswith("Pierhead is ready"):
                story.start()
        ended.set()
        if up.wait():
            raise Failure("Pierhead did not start; the reason is above")

    def _tell(self, folder: Path, ended: threading.Event) -> None:
        from control.services.demo import STEP_SECONDS, Demonstration

        for sentence in Demonstration(folder).steps():
            if sentence:
                self._say(f"demo: {sentence}")
            if ended.wait(STEP_SECONDS):
                return

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def _claim(folder: Path) -> None:
    """A folder with somebody's real cluster in it is no place for a demonstration."""
    mark = folder / MARK
    if (folder / "db.sqlite3").exists() and not mark.exists():
        raise Failure(f"{folder} holds a control plane that is no demonstration: choose another folder with --data")
    data.private_folder(folder)
    mark.write_text("made by `manage.py demo`; may be removed\n", encoding="utf-8")
