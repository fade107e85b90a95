"""Attempts to apply a commit, as pages show them: who asked, what came of it, how long each step took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from control.models import Sync
from control.selectors.syncs import error_lines, warning_lines
from control.selectors.words import Moment, State, commit, sentence, subject

ERRORS = 5
_ATTEMPT: dict[str, State] = {
    Sync.RUNNING: State("Running", "busy"),
    Sync.SUCCEEDED: State("Succeeded", "good"),
    Sync.FAILED: State("Failed", "bad"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One moment of a deploy, and how long after the one before it came."""

    word: str
    moment: Moment
    after: str


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """`errors`, `warnings`: lines that begin with file:line; `more...` are not shown. `sha` is the whole id.

    `rendered`: what it came to is kept, and can be looked at.
    """

    number: int
    application: str
    state: State
    sha: str
    commit: str
    subject: str
    author: str
    who: str
    changes: int
    message: str
    errors: tuple[str, ...]
    more: int
    warnings: tuple[str, ...]
    more_warnings: int
    started: Moment
    rendered: bool
    timeline: tuple[Step, ...]


def attempt_line(row: Sync, now: float, shown: int = ERRORS) -> AttemptLine:
    """`row` with its application at hand."""
    errors = [sentence(line) for line in error_lines(row)]
    warnings = [sentence(line) for line in warning_lines(row)]
    return AttemptLine(
        number=row.pk,
        application=row.application.name,
        state=_ATTEMPT.get(row.phase, State(row.phase, "idle")),
        sha=row.commit,
        commit=commit(row.commit),
        subject=subject(row.commit_message),
        author=sentence(row.commit_author),
        who=sentence(" by ".join(part for part in (row.trigger, row.actor) if part)),
        changes=len(row.changes),
        message=sentence(row.message) if row.phase == Sync.FAILED and not errors else "",
        errors=tuple(errors[:shown]),
        more=max(len(errors) - shown, 0),
        warnings=tuple(warnings[:shown]),
        more_warnings=max(len(warnings) - shown, 0),
        started=Moment(row.started_at, now),
        rendered=row.rendered_id is not None,
        timeline=tuple(_timeline(row, now)),
    )


def seconds(span: float) -> str:
    """0.42 s, 9.1 s, 75 s, 12 min: as exactly as a person wants it."""
    if span < 1:
        return f"{span:.2f} s"
    if span < 10:
        return f"{span:.1f} s"
    return f"{span:.0f} s" if span < 120 else f"{span / 60:.0f} min"


def _timeline(row: Sync, now: float) -> Iterable[Step]:
    """Pushed, seen, applied, ready, healthy: as far as it came. One that was made long before is not "pushed" then."""
    applied = row.finished_at if row.phase == Sync.SUCCEEDED else 0
    moments = (
        ("committed", row.committed_at),
        ("seen", row.seen_at),
        ("applied", applied),
        ("ready", row.ready_at),
        ("healthy", row.healthy_at),
    )
    before = 0.0
    for word, at in moments:
        if at:
            yield Step(word, Moment(at, now), f"after {seconds(at - before)}" if before and at >= before else "")
            before = at
