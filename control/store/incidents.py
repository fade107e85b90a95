"""Incidents as rows: what is known of a thing, the record so far, and what a decision makes of both.

    wake(work, uid)    whoever writes something from which a fact follows, in the same transaction
    load -> decide -> save, under the thing's own lease; `save` writes a notice for each channel that is to be told

The loop's transaction takes no resource version: writers hold that counter when they wake a key of this loop, and
waiting for each other the other way round would be a deadlock. So pages are told afterwards (`tell_pages`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from control.models import NEVER, Application, Deployment, Incident, Node, Notice, NotificationChannel, Repository, Sync
from control.models.pods import Pod
from control.store import objects
from deployer.core.canary.kept import load_state
from deployer.core.canary.steps import BY_ANALYSIS
from deployer.core.canary.values import CanaryState
from deployer.core.health import deployment_health
from deployer.core.incidents import Decision, Fact, Kind, Past, Record
from deployer.core.survival.states import DEAD, READY
from deployer.core.workloads.progress import FAILED
from deployer.core.workloads.values import Progress
from deployer.ports import Wake

LOOP = "incident"
NOTIFY = "notify"
FAILED_POLLS = 2
"""One may be a hiccup."""


@dataclass(frozen=True, slots=True)
class Story:
    """A thing, what is known of it, and what is told of it if that is bad."""

    kind: Kind
    fact: Fact
    namespace: str
    name: str
    namespaces: tuple[str, ...] = ()
    title: str = ""
    why: str = ""
    commit: str = ""
    commit_message: str = ""
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    uid: str
    story: Story
    row: Incident | None
    record: Record | None
    past: Past | None


def load(uid: str) -> Loaded | None:
    """None when there is no such thing, and no incident of it either."""
    row = Incident.objects.filter(subject=uid, closed_at=0).first()
    story = _deployment(uid) or _application(uid) or _node(uid) or _repository(uid)
    if story is None:
        if row is None:
            return None
        kind: Any = row.kind
        story = Story(kind, Fact("gone"), row.namespace, row.name)
    record = Record(row.cause, row.seen_at, row.opened_at, row.good_at, row.flaps) if row else None
    return Loaded(uid, story, row, record, _past(uid))


def save(loaded: Loaded, decision: Decision, wake: Wake, now: float) -> None:
    """To be called in a fenced transaction."""
    row = loaded.row
    if row is not None and decision.closed:
        _close(row, decision, wake, now)
        row = None
    record = decision.record
    if record is None:
        return
    if row is None:
        row = Incident(subject=loaded.uid, seen_at=record.seen_at, flaps=record.flaps, cause=record.cause)
        _fill(row, loaded.story)
    elif decision.opens:
        _fill(row, loaded.story)
    row.opened_at, row.good_at, row.cause = record.opened_at, record.good_at, record.cause
    row.save()
    if decision.opens:
        _notify(row, Notice.OPENED, _channels(row), wake, now)


def tell_pages(loaded: Loaded, decision: Decision) -> None:
    if decision.opens or decision.closed:
        objects.touch("Incident", loaded.story.namespace, loaded.story.name)


def tell_normal(row: Incident, wake: Wake, now: float) -> None:
    """It is over: to those who were told that it began. Where that is still waiting, the one message says both."""
    told = row.notices.filter(what=Notice.OPENED, sent_at__gt=0).values_list("channel", flat=True)
    _notify(row, Notice.NORMAL, NotificationChannel.objects.filter(pk__in=list(told)), wake, now)


def subjects_to_watch() -> Iterable[str]:
    """For the safety net: what has an incident that is not over, and what should have one."""
    yield from Incident.objects.filter(closed_at=0).values_list("subject", flat=True)
    yield from Node.objects.filter(reason=DEAD).values_list("uid", flat=True)
    yield from Repository.objects.filter(failures__gte=FAILED_POLLS).values_list("uid", flat=True)


def _close(row: Incident, decision: Decision, wake: Wake, now: float) -> None:
    if not row.opened_at:
        row.delete()
        return
    row.closed_at, row.outcome = now, decision.closed
    row.save(update_fields=["closed_at", "outcome"])
    if decision.closed == "normal":
        tell_normal(row, wake, now)
    else:
        waiting = row.notices.filter(sent_at=0, due_at__lt=NEVER)
        waiting.update(due_at=NEVER, message=f"not told: it was {decision.closed} before")


def _notify(row: Incident, what: str, channels: Iterable[NotificationChannel], wake: Wake, now: float) -> None:
    found = sorted(channels, key=lambda channel: channel.uid)
    made = [Notice(channel=channel, incident=row, what=what, created_at=now, due_at=now) for channel in found]
    Notice.objects.bulk_create(made, ignore_conflicts=True)
    for channel in found:
        wake(NOTIFY, channel.uid)


def _channels(row: Incident) -> list[NotificationChannel]:
    return [
        channel
        for channel in NotificationChannel.objects.all()
        if (not channel.namespace or channel.namespace in row.namespaces)
        and (not channel.kinds or row.kind in channel.kinds)
    ]


def _fill(row: Incident, story: Story) -> None:
    row.kind, row.namespace, row.name, row.namespaces = story.kind, story.namespace, story.name, [*story.namespaces]
    row.title, row.why, row.log_tail = story.title, story.why, story.log_tail
    row.commit, row.commit_message = story.commit, story.commit_message


def _past(uid: str) -> Past | None:
    row: Any = Incident.objects.filter(subject=uid, closed_at__gt=0).order_by("-closed_at").first()
    return Past(row.closed_at, row.flaps, row.outcome) if row else None


def _deployment(uid: str) -> Story | None:
    row = Deployment.objects.filter(pk=uid, deleted_at=None).first()
    if row is None:
        return None
    name, pin = f"{row.kind} {row.namespace}/{row.name}", row.pin
    place = (row.namespace, row.name, (row.namespace,))
    if pin.get("automatic") and pin["skipped_hash"] == row.live_hash:
        commit, log = str(pin["skipped_commit"]), str(pin["log_tail"])
        said = _message_of(row.application_id, commit)
        title = f"Rollout of {name} failed and was rolled back"
        if pin.get("aborted"):
            title = f"Canary of {name} was aborted"
        return Story("RolloutFailed", Fact("bad", row.live_hash), *place, title, pin["reason"], commit, said, log)
    if canary := _canary(row, load_state(row.canary)):
        said = _message_of(row.application_id, row.commit)
        fact, title, why, log = canary
        return Story("RolloutFailed", fact, *place, title, why, row.commit, said, log)
    if not _is_failing(row):
        return Story("RolloutFailed", Fact("good" if _is_healthy(row) else "unclear"), *place)
    conditions = row.status.get("conditions") or ()
    why = next((str(one["message"]) for one in conditions if one["type"] == "Progressing"), "")
    said, log = _message_of(row.application_id, row.commit), _log_of(row)
    return Story(
        "RolloutFailed", Fact("bad", row.live_hash), *place, f"Rollout of {name} failed", why, row.commit, said, log
    )


def _canary(row: Deployment, state: CanaryState) -> tuple[Fact, str, str, str] | None:
    """(fact, title, why, last log lines) of a canary about which people are to be told, or that a person ended."""
    name = f"{row.kind} {row.namespace}/{row.name}"
    if state.phase == "Paused" and state.paused_by == BY_ANALYSIS:
        fact = Fact("bad", f"{row.live_hash}/{state.paused_run}")
        return fact, f"Canary of {name} waits for a person", state.why, ""
    if state.phase == "Aborting" and state.template_hash == row.live_hash:
        fact = Fact("unclear") if state.aborted_by else Fact("bad", row.live_hash)
        return fact, f"Canary of {name} was aborted", state.why, state.log_tail
    return None


def _is_failing(row: Deployment) -> bool:
    paused = row.paused or bool(row.spec.get("paused"))
    return not paused and row.progress.get("reason") in FAILED and not row.pin


def _is_healthy(row: Deployment) -> bool:
    health = deployment_health(
        paused=row.paused or bool(row.spec.get("paused")), generation=row.generation, desired=row.replicas,
        progress=Progress(**row.progress),
    )  # fmt: skip
    return health.status == "Healthy"


def _log_of(row: Deployment) -> str:
    pods = Pod.objects.filter(replica_set__deployment=row, ready=False).exclude(log_tail="")
    return pods.order_by("-created_at", "name").values_list("log_tail", flat=True).first() or ""


def _message_of(application: str | None, commit: str) -> str:
    attempts = Sync.objects.filter(application=application, commit=commit)
    return attempts.values_list("commit_message", flat=True).first() or ""


def _application(uid: str) -> Story | None:
    """A commit that was refused is bad at once; one that could not be read may be readable at the next look."""
    row = Application.objects.select_related("repository").filter(pk=uid, deleted_at=None).first()
    if row is None:
        return None
    last = row.syncs.exclude(phase=Sync.RUNNING).first()
    place = (row.namespace, row.name, (row.namespace,))
    failed = last is not None and last.phase == Sync.FAILED
    if last is None or not failed or (row.sync_status == "Synced" and last.commit != row.commit):
        return Story("SyncFailed", Fact("good" if last is not None else "unclear"), *place)
    unread = row.sync_status == "Unknown"
    if unread and row.repository.failures:
        return Story("SyncFailed", Fact("unclear"), *place)  # that is an incident of the repository
    fact = Fact("bad", "unread" if unread else _cause(last), doubtful=unread)
    title = f"Application {row.name}: sync failed"
    return Story("SyncFailed", fact, *place, title, last.message, last.commit, last.commit_message)


def _cause(attempt: Sync) -> str:
    """What is wrong, whichever commit says so: an unrelated commit that leaves it as broken is no news."""
    what = json.dumps(attempt.errors, sort_keys=True) if attempt.errors else attempt.message
    return hashlib.sha256(what.replace(attempt.commit[:7] or "-", "").encode()).hexdigest()[:16]


def _node(uid: str) -> Story | None:
    row = Node.objects.filter(pk=uid).first()
    if row is None:
        return None
    if row.reason != DEAD:
        return Story("NodeDead", Fact("good" if row.ready and row.reason == READY else "unclear"), "", row.name)
    held = f"; its pods are not replaced yet: {row.held}" if row.held else ""
    return Story("NodeDead", Fact("bad", DEAD), "", row.name, (), f"Node {row.name} is dead", f"{row.message}{held}")


def _repository(uid: str) -> Story | None:
    row = Repository.objects.filter(pk=uid).first()
    if row is None:
        return None
    if row.failures < FAILED_POLLS:
        return Story("RepositoryAway", Fact("unclear" if row.failures else "good"), "", row.name)
    followed = row.applications.filter(deleted_at=None).order_by("namespace").values_list("namespace", flat=True)
    why = f"{row.message}. What runs goes on; new commits are not seen."
    title = f"Repository {row.name} cannot be reached"
    return Story("RepositoryAway", Fact("bad", "away", doubtful=True), "", row.name, (*set(followed),), title, why)
