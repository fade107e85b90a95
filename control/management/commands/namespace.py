"""`manage.py namespace allow|deny|list`: what manifests in a namespace may ask for. Manifests cannot give it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from control.management.commands.get import kind_table
from control.management.failure import Command as PierheadCommand
from control.management.failure import actor, verbs
from control.selectors.kinds import BY_NAME
from control.selectors.objects import find


class Command(PierheadCommand):
    help = "Namespaces: allow and deny what is denied by default, such as host-path; list."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(parser, "allow", "deny", "list")
        for verb, text in (("allow", "give an allowance"), ("deny", "take it back")):
            one = make.add_parser(verb, help=text)
            one.add_argument("namespace", metavar="NAMESPACE")
            one.add_argument("allowance", metavar="ALLOWANCE", help="capabilities, host-network, host-path, privileged")
        make.add_parser("list", help="all namespaces with what they are allowed")

    def handle(self, **options: Any) -> None:
        if options["verb"] == "list":
            kind = BY_NAME["Namespace"]
            rows = find(kind)
            if rows:
                self.stdout.write(kind_table(kind, rows, "", wide=True), ending="")
            else:
                self.stderr.write("No namespaces yet.")
            return
        from control.services import workloads

        given = options["verb"] == "allow"
        row = workloads.allow(options["namespace"], options["allowance"], actor(), given=given)
        has = ", ".join(row.allowances) or "nothing beyond the default"
        self.stdout.write(f"namespace/{row.name} is allowed: {has}")
