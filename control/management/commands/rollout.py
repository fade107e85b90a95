"""`manage.py rollout VERB KIND/NAME`: follows and steers a Deployment's rollouts, in kubectl's words."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from control.management.columns import short
from control.management.failure import Command as PierheadCommand
from control.management.failure import Failure, actor, verbs
from control.management.following import Patience, Told
from control.management.output import age, as_yaml, duration, indented, table
from control.models import Deployment
from control.selectors import rollouts
from control.selectors.kinds import BY_NAME, find_kind
from control.selectors.objects import get

VERBS = {
    "status": "wait until the rollout is done; exit code 1 when it failed or was rolled back",
    "history": "the revisions, with commit, state and images",
    "undo": "go back to an earlier revision; it stays until Git changes the template",
    "pause": "stop rolling out changes",
    "resume": "go on after a pause, or end the pin of an undo or a rollback",
    "restart": "new pods of the same template",
}


class Command(PierheadCommand):
    help = "Follows and steers a Deployment's rollout: status, history, undo, pause, resume, restart."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(parser, *VERBS)
        for verb, text in VERBS.items():
            one = make.add_parser(verb, help=text, description=text)
            one.add_argument("object", nargs="+", metavar="KIND/NAME", help="deployment/web, or: deployment web")
            one.add_argument("-n", "--namespace", default="default", help="the namespace (%(default)s)")
            if verb in ("undo", "history"):
                flag = "--to-revision" if verb == "undo" else "--revision"
                one.add_argument(flag, dest="revision", type=int, metavar="N", help="a revision of `rollout history`")
            if verb == "status":
                one.add_argument(
                    "--timeout", type=duration, default=0.0, help="60s, 5m; 0: until it ends (%(default)s)"
                )

    def handle(self, **options: Any) -> None:
        row = get(BY_NAME["Deployment"], deployment_name(options["object"]), options["namespace"])
        match options["verb"]:
            case "status":
                self._status(row, options["timeout"])
            case "history":
                self._history(row, options["revision"])
            case verb:
                self.stdout.write(f"deployment.apps/{row.name} {change(row, verb, options.get('revision'))}")

    def _status(self, row: Deployment, timeout_seconds: float) -> None:
        patience, told = Patience(timeout_seconds), Told(self._say)
        for _ in patience.looks():
            row = get(BY_NAME["Deployment"], row.name, row.namespace)
            state = rollouts.rollout_state(row, time.time())
            if state.failure:
                if state.log_tail:
                    self._say("last log lines:\n" + indented(state.log_tail, 2).rstrip("\n"))
                raise Failure(state.failure)
            told(state.sentence + (f"\n  {state.trouble}" if state.trouble else ""))
            if state.done:
                if row.pin:
                    self._say(f"it is {rollouts.pin_sentence(row)}")
                return
        raise Failure(f'deployment "{row.name}" did not finish within {timeout_seconds:g} s: {state.sentence}')

    def _history(self, row: Deployment, revision: int | None) -> None:
        if revision is not None:
            self._revision(row, revision)
            return
        now = time.time()
        header = ("REVISION", "COMMIT", "STATE", "IMAGES", "AGE", "CHANGE-CAUSE")
        lines = [
            (
                one.revision,
                short(one.commit),
                one.state,
                ",".join(one.images),
                age(now - one.created_at),
                one.change_cause,
            )
            for one in rollouts.history(row)
        ]
        self.stdout.write(f"deployment.apps/{row.name}")
        self.stdout.write(table(header, lines), ending="")

    def _revision(self, row: Deployment, revision: int) -> None:
        found = row.replica_sets.filter(revision=revision).first()
        if found is None:
            known = ", ".join(str(one.revision) for one in rollouts.history(row)) or "none"
            raise Failure(f"deployment {row.namespace}/{row.name} has no revision {revision}; kept are: {known}")
        self.stdout.write(f"deployment.apps/{row.name} with revision #{revision}")
        self.stdout.write(as_yaml({"template": found.spec.get("template") or {}, "images": found.images}), ending="")

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def deployment_name(words: list[str]) -> str:
    """`deployment/web`, `deploy web`; only Deployments roll out."""
    kind, slash, name = words[0].partition("/")
    if len(words) != (1 if slash else 2) or not (name if slash else words[1]):
        raise Failure("write KIND/NAME, such as deployment/web")
    if find_kind(kind).name != "Deployment":
        raise Failure(f"a {find_kind(kind).name} does not roll out; write deployment/NAME")
    return name if slash else words[1]


def change(row: Deployment, verb: str, revision: int | None) -> str:
    """Do it; returns what was done."""
    from control.services import workloads

    namespace, name, who = row.namespace, row.name, actor()
    match verb:
        case "undo":
            target = workloads.undo(namespace, name, who, revision)
            return f"rolled back to revision {target.revision} ({short(target.commit) or 'no commit'})"
        case "pause":
            workloads.pause(namespace, name, who)
            return "paused"
        case "restart":
            workloads.restart(namespace, name, who)
            return "restarted"
    if row.pin and not row.paused:
        workloads.unpin(namespace, name, who)
        return f"resumed: the pin to revision {row.pin['revision']} ended"
    workloads.pause(namespace, name, who, paused=False)
    return "resumed"
