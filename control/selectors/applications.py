"""Applications: sync and health with the cause, filtered and counted for the list.

Health is the worst of what an application holds, so that counting it for a filter means judging all of them: as many
queries however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

from django.db.models import OuterRef, Subquery, TextField
from django.db.models.functions import Cast, JSONObject

from control.models import Application, Sync
from control.selectors.health import application_health, health_of_nothing
from control.selectors.narrowing import Narrowed, narrow
from control.selectors.raw import KEPT, parsed, text
from control.selectors.spans import within
from control.selectors.words import WORST_FIRST, Moment, State, commit, sentence, state_of, subject
from deployer.core.health import Health

_SYNC: dict[str, State] = {
    "Synced": State("Synced", "good"),
    "OutOfSync": State("OutOfSync", "warn"),
    "Unknown": State("Unknown", "idle"),
}


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """`trouble`: why Git says something else than what is applied, "" when nothing is wrong. `pin`: the banner."""

    name: str
    repository: str
    path: str
    namespace: str
    automatic: bool
    sync: State
    health: State
    cause: str
    commit: str
    subject: str
    trouble: str
    pin: str
    applied: Moment

    @property
    def searched(self) -> str:
        return f"{self.name} {self.repository} {self.path} {self.namespace} {self.commit} {self.subject}"


class Attempted(NamedTuple):
    """What is told of an attempt."""

    phase: str
    message: str
    commit_message: str
    commit: str


class _Row(NamedTuple):
    """An application with what is asked of its repository (`failures` to `told`) and of its attempts, as JSON."""

    uid: str
    name: str
    repository: str
    path: str
    namespace: str
    automatic: bool
    commit: str
    sync_status: str
    message: str
    applied_at: float
    failures: int
    failing_since: float
    told: str
    pin: str
    last: str | None
    current: str | None


_READ = (
    "uid", "name", "repository__name", "path", "namespace", "automatic", "commit", "sync_status", "message",
    "applied_at", "repository__failures", "repository__failing_since", "repository__message", text("pin"),
)  # fmt: skip
_ATTEMPTED = Cast(JSONObject(**{name: name for name in Attempted._fields}), TextField())
FACETS: dict[str, Callable[[ApplicationLine], str]] = {
    "sync": lambda line: line.sync.word,
    "health": lambda line: line.health.word,
    "namespace": lambda line: line.namespace,
    "repository": lambda line: line.repository,
}


def application_list(
    asked: Mapping[str, str], number: int, visible: Collection[str] | None, now: float
) -> Narrowed[ApplicationLine]:
    """One page of those that are asked for. `visible`: the namespaces that the reader may see, None for all."""
    names = None if visible is None else within(visible)
    lines = application_lines(now, names=names)
    return narrow(lines, asked, FACETS, lambda line: line.searched, number)


def application_lines(
    now: float, *, health: Mapping[str, Health] | None = None, names: Collection[str] | None = None
) -> list[ApplicationLine]:
    """The worst first. `health`: by uid, where it is at hand; `names`: of these only."""
    attempts = Sync.objects.filter(application=OuterRef("pk")).order_by("-id").values(told=_ATTEMPTED)
    applied = attempts.filter(commit=OuterRef("commit"), phase=Sync.SUCCEEDED)
    asked: Any = Application.objects.filter(deleted_at=None)
    if names is not None:
        asked = asked.filter(name__in=names)
    rows = [_Row(*row) for row in asked.values_list(*_READ, Subquery(attempts[:1]), Subquery(applied[:1]))]
    found = application_health(rows if names is not None else None) if health is None else health
    lines = []
    for row in rows:
        its = found.get(row.uid) or health_of_nothing(row)
        lines.append(_told(row, its)(applied=Moment(row.applied_at, now)))
    return sorted(lines, key=_worst_first)


def _worst_first(line: ApplicationLine) -> tuple[int, int, int, str]:
    return (not line.trouble, WORST_FIRST.index(line.health.tone), WORST_FIRST.index(line.sync.tone), line.name)


@lru_cache(KEPT)
def _told(row: _Row, health: Health) -> partial[ApplicationLine]:
    """All of a line but how long ago that was."""
    last, current = _attempted(row.last), _attempted(row.current)
    running = last is not None and last.phase == Sync.RUNNING
    return partial(
        ApplicationLine,
        name=row.name,
        repository=row.repository,
        path=row.path,
        namespace=row.namespace,
        automatic=row.automatic,
        sync=State("Syncing", "busy") if running else _SYNC.get(row.sync_status, _SYNC["Unknown"]),
        health=state_of(health),
        cause=sentence(health.message),
        commit=commit(row.commit),
        subject=subject(current.commit_message) if current else "",
        trouble=_trouble(row, last),
        pin=_pin(parsed(row.pin)),
    )


def _attempted(told: str | None) -> Attempted | None:
    return Attempted(**parsed(told)) if told else None


def _trouble(row: _Row, last: Attempted | None) -> str:
    """What Git says is not what is applied, because ..."""
    if row.failures:
        tries = "once" if row.failures == 1 else f"{row.failures} times in a row"
        since = f" since {Moment(row.failing_since, 0).iso}" if row.failing_since else ""
        return sentence(f"Git could not be read{since}, {tries}: {row.told}")
    gone_by = last is not None and row.sync_status == "Synced" and last.commit not in ("", row.commit)
    if last is not None and last.phase == Sync.FAILED and not gone_by:  # what failed was reverted since
        return sentence(row.message or last.message)
    return "" if row.sync_status == "Synced" else sentence(row.message)


def _pin(pin: Mapping[str, Any]) -> str:
    if not pin:
        return ""
    skipped = commit(str(pin.get("skipped_commit", "")))
    return sentence(
        f"pinned to {commit(str(pin.get('commit', '')))}, Git is at {skipped}: {pin.get('reason', '')}. "
        "Resume, or push the revert"
    )
