"""Canaries, by people: promote, go on, skip a step, pause, abort, try again. The rules are the core's."""

from __future__ import annotations

import time

from django.db import transaction

from control.models import Deployment, ReplicaSet
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.services.workloads import get_deployment
from control.store import canaries, objects
from deployer.composition import composition
from deployer.core.canary.commands import VERBS, Asked, CommandRefused
from deployer.core.canary.values import CanaryState

DONE = {
    "promote": ("CanaryPromoted", "promoted: the steps that were left are skipped"),
    "resume": ("CanaryResumed", "goes on"),
    "skip": ("CanaryStepSkipped", "skipped a step"),
    "pause": ("CanaryPaused", "paused"),
    "abort": ("CanaryAborted", "aborted"),
    "retry": ("CanaryRetried", "begins anew"),
}
"""Verb -> (the event's reason, what is said of it)."""


def mark(state: CanaryState) -> str:
    """What somebody has looked at: another one later means that it went on meanwhile."""
    return f"{state.template_hash}/{state.attempt}/{state.step}/{state.phase}"


def command(verb: str, namespace: str, name: str, actor: Actor, *, seen: str | None = None) -> Deployment:
    """`verb` is one of `DONE`. `seen`: the `mark` of what was looked at; refused when it is another one by now."""
    with transaction.atomic():
        row = get_deployment(namespace, name)
        state, title = canaries.state_of(row), f"{row.kind.lower()} {namespace}/{name}"
        if seen not in (None, mark(state)):
            raise Refused(f"{title}: its canary went on meanwhile, it is not where it was when you looked")
        asked = Asked(state, canaries.strategy(row), row.live_hash, actor.name, time.time())
        try:
            fresh = VERBS[verb](asked)
        except CommandRefused as refusal:
            raise Refused(f"{title}: {refusal.sentence}") from refusal
        if verb == "retry":
            _unpin(row)
        work = composition().work
        canaries.keep(row, fresh, work.wake)
        reason, what = DONE[verb]
        message = f"canary {what} by {actor.name}" if verb != "resume" else f"{actor.name} let the canary go on"
        objects.record_event(row.kind, namespace, name, "Normal", reason, message)
        record(actor, f"rollout {verb}", str(row), message)
        work.wake("reconcile", row.uid)
    return row


def _unpin(row: Deployment) -> None:
    """What the abort rejected is asked for again."""
    ReplicaSet.objects.filter(deployment=row, template_hash=row.live_hash).update(failed=False)
    row.pin = {}
    objects.update([row], ["pin"])
