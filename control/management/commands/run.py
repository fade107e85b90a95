"""`manage.py run PROCESS`: one process of Pierhead in the foreground; `up` and docker-compose.yml start them so."""

from argparse import SUPPRESS, ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from control import processes
from control.management.listing import run


class Command(BaseCommand):
    help = "Runs one process of Pierhead in the foreground: web, worker, beat or watch."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("process", choices=processes.NAMES, nargs="?")
        parser.add_argument("--host", default="127.0.0.1", help="web: the address to listen on (%(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="web: the port to listen on (%(default)s)")
        parser.add_argument("--listener", type=int, metavar="FD", help="web: a socket that listens already")
        parser.add_argument("--threads", type=int, default=processes.WORKER_THREADS, help="worker: tasks at once")
        parser.add_argument("--beat", action="store_true", help="worker: also say when periodic tasks are due")
        parser.add_argument("--nursery", type=int, metavar="FD", help=SUPPRESS)  # of `up`: where it asks for forks
        parser.add_argument("--shared", type=int, nargs="*", default=[], metavar="FD", help=SUPPRESS)
        parser.add_argument("--lifeline", type=int, metavar="FD", help="end when the other end of this pipe is closed")

    def handle(self, **options: Any) -> None:
        if options["nursery"] is not None:
            run(processes.nursery(options["nursery"], options["lifeline"], options["shared"]))
            return
        if options["process"] is None:
            raise CommandError(f"which process? One of: {', '.join(processes.NAMES)}", returncode=2)
        processes.hold_lifeline(options["lifeline"])
        processes.identify(options["process"])
        processes.warn_of_open_redis(settings.REDIS_URL)
        match options["process"]:
            case "web":
                processes.web(options["host"], options["port"], options["listener"])
            case "worker":
                processes.worker(options["threads"], options["beat"])
            case "beat":
                processes.beat()
            case "watch":
                processes.watch()
