"""`manage.py image list|check`: what image policies follow, what they found, and a look before their time."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from control.management.commands.rollout import deployment_name, whole_name
from control.management.failure import Command as PierheadCommand
from control.management.failure import actor, verbs
from control.management.output import clean, table
from control.selectors.image_policies import image_lines

HEADS = ("NAMESPACE", "WORKLOAD", "CONTAINER", "POLICY", "IMAGE", "NEWEST", "STATE", "LOOKED", "EVERY", "WHY")


class Command(PierheadCommand):
    help = "Image policies: list them and what they found, check for newer images now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(parser, "list", "check")
        shown = make.add_parser("list", help="all policies of a namespace, what each found last, and why it waits")
        where = shown.add_mutually_exclusive_group()
        where.add_argument("-n", "--namespace", default="default", help="the namespace (%(default)s)")
        where.add_argument("-A", "--all-namespaces", action="store_true", help="of every namespace")
        check = make.add_parser("check", help="ask the registries of a workload now, before their time")
        check.add_argument("object", nargs="+", metavar="KIND/NAME", help="deployment/web, rollout/web")
        check.add_argument("-n", "--namespace", default="default", help="the namespace (%(default)s)")

    def handle(self, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        namespace = "" if options["all_namespaces"] else options["namespace"]
        lines = list(image_lines(time.time(), namespace=namespace))
        if not lines:
            where = "any namespace" if options["all_namespaces"] else f"namespace {namespace}"
            self.stderr.write(f"No image policies in {where}")
            return
        rows = [
            [one.namespace, one.workload, one.container, clean(one.rule), one.pinned or one.image, one.newest or "-",
             one.state.word, one.looked.age if one.looked else "never", one.every, clean(one.why) or "-"]
            for one in lines
        ]  # fmt: skip
        self.stdout.write(table(HEADS, rows), ending="")

    def _check(self, options: dict[str, Any]) -> None:
        from control.services import images

        row = images.check(options["namespace"], deployment_name(options["object"]), actor())
        self.stdout.write(f"{whole_name(row)}: its registries are asked; `image list` shows what they say")
