"""`manage.py reach FROM TO[:PORT]`: can one reach the other, and if not, which rule or missing label stops it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from control.management.failure import Command as PierheadCommand
from control.management.output import as_json, clean
from control.selectors.reach import BadPlace, Question, reach

REACHABLE, NOT_REACHABLE, WRONG_USAGE = 0, 1, 2


class Command(PierheadCommand):
    help = "Says whether a pod reaches a service or a pod, step by step, and what stops it if not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "source", metavar="FROM", help="pod/NAME, deployment/NAME, rollout/NAME, NS/pod/NAME or an IP address"
        )
        parser.add_argument(
            "target",
            metavar="TO[:PORT]",
            help="service/NAME, pod/NAME, NS/service/NAME, or a name as a pod writes it: web, web.shop",
        )
        parser.add_argument("-n", "--namespace", default="default", help="of what names none (%(default)s)")
        parser.add_argument("-o", "--output", choices=("json",), help="another form")

    def handle(self, **options: Any) -> None:
        try:
            found = reach(options["source"], options["target"], options["namespace"])
        except BadPlace as error:
            self._end(WRONG_USAGE, f"error: {clean(str(error))}\n")
        self.stdout.write(_document(found) if options["output"] == "json" else _text(found), ending="")
        self.stdout.flush()
        if not found.answer.possible:
            self._end(NOT_REACHABLE)


def _text(found: Question) -> str:
    """The steps, the one that does not hold marked, and the answer."""
    last = len(found.answer.steps) - 1
    marks = ["ok  " if found.answer.possible or position < last else "STOP" for position in range(last + 1)]
    steps = "".join(f"  {mark}  {clean(step)}\n" for mark, step in zip(marks, found.answer.steps, strict=True))
    verb = "reaches" if found.answer.possible else "does not reach"
    return f"{steps}{clean(found.source)} {verb} {clean(found.target)} on port {found.port}\n"


def _document(found: Question) -> str:
    return as_json(
        {
            "from": found.source,
            "to": found.target,
            "port": found.port,
            "possible": found.answer.possible,
            "steps": list(found.answer.steps),
        }
    )
