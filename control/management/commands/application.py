"""`manage.py application add|set|list|sync|rollback|resume|revert|history|manifests|remove`: what follows a path."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from typing import Any

from control.management.columns import short
from control.management.commands.get import kind_table
from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure, actor, verbs
from control.management.following import NO_WORKER, NO_WORKER_SECONDS, Patience, Told
from control.management.output import age, duration, indented, table
from control.models import Application, Sync
from control.selectors.kinds import BY_NAME
from control.selectors.objects import find, get
from control.selectors.syncs import Followed, error_lines, follow

VERBS = ("add", "set", "list", "sync", "rollback", "resume", "revert", "history", "manifests", "remove")


class Command(PierheadCommand):
    help = f"Applications: {', '.join(VERBS)}."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(parser, *VERBS)
        add = make.add_parser("add", help="follow a path of a repository")
        add.add_argument("name", metavar="NAME")
        add.add_argument("--repository", required=True, metavar="R", help="a registered repository")
        add.add_argument("--path", required=True, help="a file or folder in it; '.' for all of it")
        add.add_argument("-n", "--namespace", default="default", help="for objects that name none (%(default)s)")
        add.add_argument("--manual", action="store_true", help="sync only when asked")
        add.add_argument("--no-prune", action="store_true", help="keep objects that left the path")
        add.add_argument("--no-self-heal", action="store_true", help="only tell what was changed live, away from Git")
        add.add_argument(
            "--values", action="append", default=[], metavar="FILE",
            help="a Helm chart's file of values, from the repository's root; may be repeated, the last one wins",
        )  # fmt: skip
        change = make.add_parser("set", help="how it is synced from now on")
        change.add_argument("name", metavar="NAME")
        _either(change, "automatic", "--auto", "--manual", "sync every new commit", "sync only when asked")
        _either(change, "prune", "--prune", "--no-prune", "remove what left the path", "keep it")
        _either(
            change, "self_heal", "--self-heal", "--no-self-heal",
            "put back what is changed live; rollbacks, scale, pause and canaries are left alone", "only tell it",
        )  # fmt: skip
        make.add_parser("list", help="all applications").add_argument("-o", "--output", choices=("wide",))
        sync = _followed(make.add_parser("sync", help="look at Git and apply now"))
        sync.add_argument("--prune-all", action="store_true", help="agree to losing every object of it")
        rollback = _followed(make.add_parser("rollback", help="apply an earlier commit and hold it"))
        rollback.add_argument("--to", required=True, metavar="COMMIT", help="a commit of `application history`")
        _followed(make.add_parser("resume", help="end a rollback's pin: apply what Git is at"))
        revert = make.add_parser("revert", help="after a rollback: push a commit that makes Git say what runs")
        revert.add_argument("name", metavar="NAME")
        revert.add_argument("--pull-request", action="store_true", help="as a branch, with a pull or merge request")
        revert.add_argument("--dry-run", action="store_true", help="only show what would be pushed")
        make.add_parser("history", help="every attempt, failures too").add_argument("name", metavar="NAME")
        manifests = make.add_parser("manifests", help="what an attempt came to, object by object, Secrets masked")
        manifests.add_argument("name", metavar="NAME")
        manifests.add_argument("--attempt", type=int, metavar="ID", help="an ID of `application history`")
        remove = make.add_parser("remove", help="take it off the record and prune its objects")
        remove.add_argument("name", metavar="NAME")
        remove.add_argument("--keep-objects", action="store_true", help="leave its objects as nobody's")

    def handle(self, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _add(self, options: dict[str, Any]) -> None:
        from control.services import repositories

        row = repositories.add_application(
            options["name"], options["repository"], options["path"], actor(), namespace=options["namespace"],
            automatic=not options["manual"], prune=not options["no_prune"],
            self_heal=not options["no_self_heal"], values=options["values"],
        )  # fmt: skip
        then = f"; `application sync {row.name}` applies it" if options["manual"] else ""
        self.stdout.write(f"application/{row.name} added{then}")

    def _set(self, options: dict[str, Any]) -> None:
        from control.services import repositories

        wanted = {field: options[field] for field in ("automatic", "prune", "self_heal")}
        row = repositories.set_policy(options["name"], actor(), **wanted)
        self.stdout.write(f"application/{row.name} set: {row.sync_policy}")

    def _list(self, options: dict[str, Any]) -> None:
        kind = BY_NAME["Application"]
        rows = find(kind)
        if not rows:
            self.stderr.write("No applications; add one: application add NAME --repository R --path PATH")
            return
        self.stdout.write(kind_table(kind, rows, "", wide=options["output"] == "wide"), ending="")

    def _sync(self, options: dict[str, Any]) -> None:
        from control.services import repositories

        row, last = repositories.sync(options["name"], actor(), prune_all=options["prune_all"])
        self._asked(row, last, options, "asked to sync")

    def _rollback(self, options: dict[str, Any]) -> None:
        from control.services import repositories

        row, last = repositories.rollback(options["name"], options["to"], actor())
        skipped = short(row.pin.get("skipped_commit", ""))
        self._asked(
            row, last, options, f"pinned to {short(row.pin['commit'])}; {skipped or 'what Git is at'} is skipped"
        )

    def _resume(self, options: dict[str, Any]) -> None:
        from control.services import repositories

        row, last = repositories.resume(options["name"], actor())
        self._asked(row, last, options, "resumed")

    def _revert(self, options: dict[str, Any]) -> None:
        from control.services import reverts

        shown = reverts.preview(options["name"], actor())
        self.stdout.write(shown.message)
        self.stdout.write("".join(f"  {one.op:<6}  {one.path}\n" for one in shown.files), ending="")
        for other in shown.neighbours:
            self.stderr.write(f"application {other} reads some of these files too")
        if options["dry_run"]:
            return
        pushed = reverts.push(
            options["name"], actor(), head=shown.head.sha, seen=shown.state, pull_request=options["pull_request"]
        )
        self.stdout.write(f"application/{options['name']}: {short(pushed.commit)} was pushed to {pushed.branch}")
        if pushed.url:
            self.stdout.write(pushed.url)
        if pushed.trouble:
            raise Failure(f"the pull request could not be opened, open it by hand: {pushed.trouble}")

    def _history(self, options: dict[str, Any]) -> None:
        row, now = get(BY_NAME["Application"], options["name"]), time.time()
        header = ("ID", "COMMIT", "PHASE", "TRIGGER", "BY", "AGE", "MESSAGE")
        lines = [
            (one.pk, short(one.commit), one.phase, one.trigger, one.actor, age(now - one.started_at), one.message)
            for one in reversed(row.syncs.all())
        ]
        self.stdout.write(table(header, lines), ending="")

    def _manifests(self, options: dict[str, Any]) -> None:
        from control.selectors.rendered import attempt_of, text_of

        name, number = get(BY_NAME["Application"], options["name"]).name, options["attempt"]
        attempt = attempt_of(name, number)
        if attempt is None:
            which = "no attempt yet" if number is None else f"no attempt {number}"
            raise Failure(f"application {name} has {which}; `application history {name}` lists them")
        text = text_of(attempt.rendered)
        if not text:
            raise Failure(f"attempt {attempt.pk} of application {name} came to no manifests: {attempt.message}")
        self.stdout.write(text, ending="")

    def _remove(self, options: dict[str, Any]) -> None:
        from control.services import repositories

        count = repositories.remove_application(options["name"], actor(), keep_objects=options["keep_objects"])
        what = "kept" if options["keep_objects"] else "pruned"
        self.stdout.write(f"application/{options['name']} removed; {count} objects {what}")

    def _asked(self, row: Application, last: int, options: dict[str, Any], what: str) -> None:
        if not options["wait"]:
            self.stdout.write(f"application/{row.name} {what}")
            return
        self._follow(row, last, options["timeout"])

    def _follow(self, row: Application, last: int, timeout_seconds: float) -> None:
        """Until the attempt is recorded and every Deployment of the application is rolled out, or one has failed."""
        request = Application.objects.values_list("request", flat=True).get(pk=row.pk).get("id", "")
        patience, told = Patience(timeout_seconds), Told(self._progress)
        warned = False
        for _ in patience.looks():
            state = follow(row, last, request, time.time())
            if state.attempt is None and patience.waited_seconds > NO_WORKER_SECONDS and not warned:
                warned = True
                self.stderr.write(NO_WORKER.format(seconds=patience.waited_seconds))
            if state.failure:
                self._failed(state)
            told(state.sentence)
            if state.done:
                self.stdout.write(f"application/{row.name} {_done(row, state.attempt)}")
                return
        raise Failure(f"application {row.name} did not finish within {timeout_seconds:g} s: {state.sentence}")

    def _failed(self, state: Followed) -> None:
        if state.attempt is not None:
            self.stdout.write("".join(f"{line}\n" for line in error_lines(state.attempt)), ending="")
        if state.log_tail:
            self.stdout.write("last log lines:\n" + indented(state.log_tail, 2), ending="")
        self.stdout.flush()
        raise Failure(state.failure)

    def _progress(self, sentence: str) -> None:
        if sys.stdout.isatty():
            self.stdout.write(sentence)
            self.stdout.flush()


def _either(parser: ArgumentParser, field: str, yes: str, no: str, if_yes: str, if_no: str) -> None:
    one = parser.add_mutually_exclusive_group()
    one.add_argument(yes, dest=field, action="store_const", const=True, help=if_yes)
    one.add_argument(no, dest=field, action="store_const", const=False, help=if_no)


def _followed(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--wait", action="store_true", help="until everything runs; exit code 1 when it does not")
    parser.add_argument("--timeout", type=duration, default=300.0, help="how long --wait waits (300s)")
    return parser


def _done(row: Application, attempt: Sync | None) -> str:
    """Every workload is rolled out; what connects them may lack something all the same, and that is said."""
    from control.selectors.health import application_health

    health = application_health([Application.objects.get(pk=row.pk)])[row.uid]
    words = "healthy" if health.status == "Healthy" else f"rolled out, but {health.status}, {health.message}"
    if attempt is None:
        return f"is {words}"
    return f"is at {short(attempt.commit)} and {words}: {attempt.message}"
