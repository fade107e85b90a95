"""`manage.py rollout VERB KIND/NAME`: follows and steers rollouts and canaries, in kubectl's and Argo's words."""

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
from deployer.core.canary.kept import load_state

VERBS = {
    "status": "wait until the rollout is done; exit code 1 when it failed or was rolled back",
    "history": "the revisions, with commit, state and images",
    "undo": "go back to an earlier revision; it stays until Git changes the template",
    "pause": "stop rolling out changes; a canary stays where it is",
    "resume": "go on after a pause, or end the pin of an undo or a rollback",
    "restart": "new pods of the same template",
    "promote": "let a paused canary go on; --full skips all steps that are left",
    "skip": "the current step of a canary is over",
    "abort": "take a canary back: its traffic first, then its pods",
    "retry": "begin an aborted canary anew",
}
ROLLOUTS = ("rollout", "rollouts", "ro")
CANARY_DONE = {
    "promote": "promoted: the steps that were left are skipped", "resume": "resumed: the canary goes on",
    "skip": "skipped a step", "pause": "paused: the canary stays where it is", "abort": "aborted",
    "retry": "retried: the canary begins anew",
}  # fmt: skip


class Command(PierheadCommand):
    help = "Steers rollouts: status, history, undo, pause, resume, restart, promote, skip, abort, retry."

    def add_arguments(self, parser: ArgumentParser) -> None:
        make = verbs(parser, *VERBS)
        for verb, text in VERBS.items():
            one = make.add_parser(verb, help=text, description=text)
            one.add_argument("object", nargs="+", metavar="KIND/NAME", help="deployment/web, rollout/web")
            one.add_argument("-n", "--namespace", default="default", help="the namespace (%(default)s)")
            if verb in ("undo", "history"):
                flag = "--to-revision" if verb == "undo" else "--revision"
                one.add_argument(flag, dest="revision", type=int, metavar="N", help="a revision of `rollout history`")
            if verb == "promote":
                one.add_argument("--full", action="store_true", help="skip all steps that are left")
            if verb == "status":
                one.add_argument(
                    "--timeout", type=duration, default=0.0, help="60s, 5m; 0: until it ends (%(default)s)"
                )

    def handle(self, **options: Any) -> None:
        row = workload(options["object"], options["namespace"])
        match options["verb"]:
            case "status":
                self._status(row, options["timeout"])
            case "history":
                self._history(row, options["revision"])
            case "promote" if not options["full"]:
                self.stdout.write(f"{whole_name(row)} {change(row, 'promote-step', None)}")
            case verb:
                self.stdout.write(f"{whole_name(row)} {change(row, verb, options.get('revision'))}")

    def _status(self, row: Deployment, timeout_seconds: float) -> None:
        patience, told = Patience(timeout_seconds), Told(self._say)
        for _ in patience.looks():
            row = found(row.kind, row.name, row.namespace)
            state = rollouts.rollout_state(row, time.time())
            if state.failure:
                if state.log_tail:
                    self._say("last log lines:\n" + indented(state.log_tail, 2).rstrip("\n"))
                raise Failure(state.failure)
            told("\n  ".join(part for part in (state.sentence, state.trouble, state.evidence) if part))
            if state.done:
                if row.pin:
                    self._say(f"it is {rollouts.pin_sentence(row)}")
                return
        raise Failure(f'{row.kind.lower()} "{row.name}" did not finish within {timeout_seconds:g} s: {state.sentence}')

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
        self.stdout.write(whole_name(row))
        self.stdout.write(table(header, lines), ending="")

    def _revision(self, row: Deployment, revision: int) -> None:
        found = row.replica_sets.filter(revision=revision).first()
        if found is None:
            known = ", ".join(str(one.revision) for one in rollouts.history(row)) or "none"
            raise Failure(
                f"{row.kind.lower()} {row.namespace}/{row.name} has no revision {revision}; kept are: {known}"
            )
        self.stdout.write(f"{whole_name(row)} with revision #{revision}")
        self.stdout.write(as_yaml({"template": found.spec.get("template") or {}, "images": found.images}), ending="")

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def deployment_name(words: list[str]) -> str:
    """The name in `deployment/web`, `deploy web`, `rollout/web`: these roll out."""
    return _named(words)[1]


def workload(words: list[str], namespace: str) -> Deployment:
    return found(*_named(words), namespace)


def _named(words: list[str]) -> tuple[str, str]:
    """(kind, name)."""
    kind, slash, name = words[0].partition("/")
    if len(words) != (1 if slash else 2) or not (name if slash else words[1]):
        raise Failure("write KIND/NAME, such as deployment/web")
    if kind.lower() in ROLLOUTS:
        return "Rollout", name if slash else words[1]
    if find_kind(kind).name != "Deployment":
        raise Failure(f"a {find_kind(kind).name} does not roll out; write deployment/NAME or rollout/NAME")
    return "Deployment", name if slash else words[1]


def found(kind: str, name: str, namespace: str) -> Deployment:
    """They share a table: a Deployment that has become a Rollout is meant as well, and the other way round."""
    row = Deployment.objects.filter(namespace=namespace, name=name).first()
    if row is None and kind == "Rollout":
        raise Failure(f"rollout {name} does not exist in namespace {namespace}")
    return row if row is not None else get(BY_NAME["Deployment"], name, namespace)


def whole_name(row: Deployment) -> str:
    """ "deployment.apps/web"."""
    return f"rollout.argoproj.io/{row.name}" if row.kind == "Rollout" else f"deployment.apps/{row.name}"


def change(row: Deployment, verb: str, revision: int | None) -> str:
    """Do it; returns what was done. A canary that is under way is what `pause` and `resume` are about."""
    from control.services import canaries, workloads

    namespace, name, who = row.namespace, row.name, actor()
    phase = load_state(row.canary).phase
    about_canary = verb == "pause" and phase in ("Progressing", "Paused")
    about_canary |= verb == "resume" and phase == "Paused" and not row.paused
    if verb == "promote-step":
        about_canary, verb = True, "resume"
    if about_canary or verb in ("promote", "skip", "abort", "retry"):
        canaries.command(verb, namespace, name, who)
        return CANARY_DONE[verb]
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
