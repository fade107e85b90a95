"""`manage.py scale deployment/NAME --replicas N`: how many pods there should be, until Git asks for another number."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from control.management.commands.rollout import deployment_name, whole_name
from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure, actor


class Command(PierheadCommand):
    help = "Changes how many pods a Deployment has, until Git asks for another number."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("object", nargs="+", metavar="KIND/NAME", help="deployment/web, rollout/web")
        parser.add_argument("-n", "--namespace", default="default", help="the namespace (%(default)s)")
        parser.add_argument("--replicas", type=int, required=True, metavar="N")
        parser.add_argument("--current-replicas", type=int, metavar="N", help="only if there should be so many now")

    def handle(self, **options: Any) -> None:
        from control.services import workloads

        name, namespace = deployment_name(options["object"]), options["namespace"]
        expected = options["current_replicas"]
        row = workloads.get_deployment(namespace, name)
        now = row.replicas
        if expected not in (None, now):
            raise Failure(f"{row.kind.lower()} {namespace}/{name} has {now} replicas, not {expected}; nothing was done")
        workloads.scale(namespace, name, options["replicas"], actor())
        self.stdout.write(f"{whole_name(row)} scaled")
