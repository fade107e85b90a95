"""What undoing a rollout, or ending a pin, would do: shown before anybody presses the button."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control.models import Application, Deployment, ReplicaSet, Sync
from control.selectors.rollouts import RevisionLine, history, in_force
from control.selectors.words import Moment, commit, sentence, subject
from deployer.core.workloads.history import UndoRefused, undo_target
from deployer.core.workloads.values import ReplicaSet as Revision


@dataclass(frozen=True, slots=True)
class Choice:
    """A revision that can be gone back to."""

    revision: int
    state: str
    commit: str
    subject: str
    images: tuple[str, ...]
    created: Moment
    chosen: bool


@dataclass(frozen=True, slots=True)
class UndoQuestion:
    """`seen` names what was in force when this was read: another one later means that somebody was faster.

    `current` is None before the first revision was made; without `choices` there is nothing to go back to.
    """

    namespace: str
    name: str
    seen: str
    current: Choice | None
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class ResumeQuestion:
    """`held` runs now; `skipped` is what Git says and what is rolled out again; `why` is the pin's reason.

    `seen` names the pin: another one later means that somebody was faster.
    """

    title: str
    held: str
    skipped: str
    why: str
    failed: bool
    seen: str


def undo_question(namespace: str, name: str, now: float) -> UndoQuestion | None:
    """None when there is no such Deployment. `now`: seconds since the epoch."""
    row = Deployment.objects.filter(namespace=namespace, name=name, deleted_at=None).first()
    if row is None:
        return None
    sets, wanted = list(row.replica_sets.defer("config")), in_force(row)
    target, subjects = undo_revision(sets, wanted), _subjects(row, sets)
    lines = {line.revision: line for line in history(row, sets)}
    made = {
        one.template_hash: _choice(lines[one.revision], subjects, one.revision == target, now)
        for one in sorted(sets, key=lambda one: (-one.revision, one.name))
    }
    adopted = {one.template_hash for one in sets if one.adopted}
    choices = [choice for template, choice in made.items() if template != wanted and template not in adopted]
    return UndoQuestion(namespace, name, wanted, made.get(wanted), tuple(choices))


def undo_revision(sets: list[ReplicaSet], current_hash: str) -> int:
    """The revision that an undo without a number goes to, by the core's rule; 0 when there is none."""
    try:
        return undo_target([revision_value(one) for one in sets], current_hash, None).revision
    except UndoRefused:
        return 0


def revision_value(one: ReplicaSet) -> Revision:
    return Revision(
        uid=one.uid, name=one.name, template_hash=one.template_hash, revision=one.revision, replicas=one.replicas,
        max_replicas=one.max_replicas, created_at=one.created_at, created_count=one.created_count,
        healthy=one.healthy, commit=one.commit, failed=one.failed, adopted=one.adopted,
    )  # fmt: skip


def workload_resume_question(namespace: str, name: str) -> ResumeQuestion | None:
    """None when it does not exist or is not pinned."""
    row = Deployment.objects.filter(namespace=namespace, name=name, deleted_at=None).first()
    if row is None or not row.pin:
        return None
    held = f"revision {row.pin['revision']} (commit {commit(str(row.pin.get('commit', '')))})"
    skipped = f"commit {commit(str(row.pin.get('skipped_commit', '')))}"
    why = sentence(str(row.pin.get("reason", "")))
    failed = bool(row.pin.get("automatic"))
    return ResumeQuestion(f"{namespace}/{name}", held, skipped, why, failed, name_of_pin(row.pin))


def application_resume_question(name: str) -> ResumeQuestion | None:
    """None when it does not exist or is not pinned."""
    row = Application.objects.filter(name=name, deleted_at=None).first()
    if row is None or not row.pin:
        return None
    held, skipped = (f"commit {commit(str(row.pin.get(which, '')))}" for which in ("commit", "skipped_commit"))
    why = sentence(str(row.pin.get("reason", "")))
    return ResumeQuestion(row.name, held, skipped, why, failed=False, seen=name_of_pin(row.pin))


def name_of_pin(pin: Mapping[str, Any]) -> str:
    """Tells it from every other pin of the same object; "" for none."""
    return "/".join(str(pin.get(key, "")) for key in ("commit", "revision", "at")) if pin else ""


def _subjects(row: Deployment, sets: list[ReplicaSet]) -> dict[str, str]:
    """Commit -> first line of its message, as far as a sync saw it."""
    wanted = {one.commit for one in sets if one.commit}
    found = Sync.objects.filter(application_id=row.application_id, commit__in=wanted).exclude(commit_message="")
    return {sha: subject(message) for sha, message in found.values_list("commit", "commit_message")}


def _choice(line: RevisionLine, subjects: dict[str, str], chosen: bool, now: float) -> Choice:
    return Choice(
        revision=line.revision,
        state=line.state,
        commit=commit(line.commit),
        subject=subjects.get(line.commit, ""),
        images=line.images,
        created=Moment(line.created_at, now),
        chosen=chosen,
    )
