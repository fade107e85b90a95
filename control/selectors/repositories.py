"""Repositories: where Git is, how well it is seen, and who tells that it moved."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Max, Q, QuerySet

from control.models import Repository
from control.selectors.application_page import shown_url
from control.selectors.applications import ApplicationLine, application_lines
from control.selectors.git_hosts import HostLine, host_line
from control.selectors.hooks import DeliveryLine, HookLine, delivery_lines, hook_lines
from control.selectors.newest_first import Key
from control.selectors.words import Moment, State, commit, sentence


@dataclass(frozen=True, slots=True)
class RepositoryLine:
    """`state` says whether Git can be read. `hooks`: in words. `by`: what brought the head, "poll" or "webhook"."""

    uid: str
    name: str
    url: str
    ref: str
    state: State
    trouble: str
    head: str
    by: str
    seen: Moment
    polled: Moment
    poll: str
    applications: int
    hooks: str
    last_delivery: Moment


@dataclass(frozen=True, slots=True)
class RepositoryPage:
    line: RepositoryLine
    host: HostLine
    applications: tuple[ApplicationLine, ...]
    hooks: tuple[HookLine, ...]
    deliveries: tuple[DeliveryLine, ...]
    older: str


def repository_lines(now: float) -> list[RepositoryLine]:
    """Those that cannot be read first. One query."""
    lines = [_line(row, now) for row in _rows()]
    return sorted(lines, key=lambda line: (line.state.tone != "bad", line.name))


def repository_page(name: str, base: str, key: Key | None, now: float) -> RepositoryPage | None:
    """None when there is none. `base`: where this installation is reached."""
    row = _rows().filter(name=name).first()
    if row is None:
        return None
    names = set(row.applications.filter(deleted_at=None).values_list("name", flat=True))
    deliveries, older = delivery_lines(row.uid, key, now)
    return RepositoryPage(
        line=_line(row, now),
        host=host_line(row),
        applications=tuple(application_lines(now, names=names)) if names else (),
        hooks=tuple(hook_lines(row.uid, base, now)),
        deliveries=tuple(deliveries),
        older=older,
    )


def _rows() -> QuerySet[Repository]:
    return Repository.objects.annotate(
        followers=Count("applications", filter=Q(applications__deleted_at=None), distinct=True),
        doors=Count("webhooks", distinct=True),
        told=Max("webhooks__deliveries__at", filter=Q(webhooks__deliveries__proven=True)),
    )


def _line(row: Repository, now: float) -> RepositoryLine:
    doors, told = row.doors, row.told or 0  # type: ignore[attr-defined]
    waiting = "" if told or not doors else "waiting for the first delivery"
    return RepositoryLine(
        uid=row.uid,
        name=row.name,
        url=shown_url(row.url),
        ref=row.ref,
        state=_state(row),
        trouble=sentence(row.message) if row.failures else "",
        head=commit(row.head),
        by=row.head_by,
        seen=Moment(row.head_seen_at, now),
        polled=Moment(row.polled_at, now),
        poll=f"{row.poll_seconds:g} s",
        applications=row.followers,  # type: ignore[attr-defined]
        hooks=waiting or (f"{doors} webhook{'s' if doors > 1 else ''}" if doors else "none: found by polling alone"),
        last_delivery=Moment(told, now),
    )


def _state(row: Repository) -> State:
    if row.failures:
        return State("Cannot be read", "bad" if row.failures > 1 else "warn")
    return State("Readable", "good") if row.polled_at or row.head else State("Not looked at yet", "idle")
