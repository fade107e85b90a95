"""Incidents and channels as pages and commands show them: nothing of an address but what was made to be shown."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from control.models import NEVER, Incident, Notice, NotificationChannel
from control.selectors.spans import within
from control.selectors.words import Moment, State, commit, log, sentence, subject
from deployer.core.incidents import KINDS

SHOWN, READ = 50, 500
"""Incidents that a page shows, of so many that are read to find those that its reader may see."""
_KIND_OF_PAGE = {"RolloutFailed": "Deployment", "SyncFailed": "Application", "NodeDead": "Node"}
_ENDS = {
    "normal": State("Back to normal", "good"),
    "superseded": State("Superseded", "idle"),
    "gone": State("Gone", "idle"),
}


@dataclass(frozen=True, slots=True)
class ToldLine:
    """To whom one message went, or why it has not arrived."""

    channel: str
    what: str
    state: State
    at: Moment
    trouble: str


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """`kind` and `namespace` "" as `object_link` wants them."""

    number: str
    kind: str
    namespace: str
    name: str
    state: State
    title: str
    why: str
    commit: str
    subject: str
    log: str
    opened: Moment
    closed: Moment
    flaps: int
    told: tuple[ToldLine, ...]


@dataclass(frozen=True, slots=True)
class ChannelLine:
    name: str
    namespace: str
    kinds: str
    shown: str
    state: State
    trouble: str
    told: Moment
    tests: tuple[ToldLine, ...]


@dataclass(frozen=True, slots=True)
class NotificationPage:
    incidents: tuple[IncidentLine, ...]
    channels: tuple[ChannelLine, ...]
    open: int


def notification_page(visible: Collection[str] | None, now: float) -> NotificationPage:
    """`visible`: the namespaces that the reader may see, None for all. Six queries at most."""
    rows = list(Incident.objects.filter(opened_at__gt=0)[:READ])
    if visible is not None:
        names = within(visible)
        rows = [row for row in rows if not set(visible).isdisjoint(row.namespaces)]
        rows = [row for row in rows if row.kind != "SyncFailed" or row.name in names]
    notices = Notice.objects.filter(incident__in=[row.pk for row in rows[:SHOWN]]).select_related("channel")
    told: dict[str, list[ToldLine]] = {}
    for notice in notices:
        if visible is None or notice.channel.namespace in visible:
            told.setdefault(str(notice.incident_id), []).append(_told(notice, now))
    lines = tuple(_incident(row, tuple(told.get(row.uid, ())), now) for row in rows[:SHOWN])
    return NotificationPage(lines, channel_lines(visible, now), sum(not row.closed_at for row in rows))


def channel_lines(visible: Collection[str] | None, now: float) -> tuple[ChannelLine, ...]:
    channels = NotificationChannel.objects.all()
    if visible is not None:
        channels = channels.filter(namespace__in=visible)
    tests: dict[str, list[ToldLine]] = {}
    for notice in Notice.objects.filter(what=Notice.TEST).select_related("channel").order_by("-id")[:READ]:
        tests.setdefault(notice.channel_id, []).append(_told(notice, now))
    return tuple(_channel(row, tuple(tests.get(row.uid, ())[:1]), now) for row in channels)


def _incident(row: Incident, told: tuple[ToldLine, ...], now: float) -> IncidentLine:
    return IncidentLine(
        number=row.uid,
        kind=_KIND_OF_PAGE.get(row.kind, "Repository"),
        namespace=row.namespace if row.kind == "RolloutFailed" else "",
        name=row.name,
        state=_ENDS[row.outcome] if row.closed_at else State("Open", "bad"),
        title=sentence(row.title),
        why=sentence(row.why),
        commit=commit(row.commit),
        subject=subject(row.commit_message),
        log=log(row.log_tail),
        opened=Moment(row.opened_at, now),
        closed=Moment(row.closed_at, now),
        flaps=row.flaps,
        told=told,
    )


def _channel(row: NotificationChannel, tests: tuple[ToldLine, ...], now: float) -> ChannelLine:
    kinds = ", ".join(KINDS[kind] for kind in KINDS if kind in row.kinds)
    state = State("Not tried yet", "idle")
    if row.failures:
        state = State(f"Failing, {row.failures} time{'s' if row.failures > 1 else ''}", "bad")
    elif row.told_at:
        state = State("Works", "good")
    return ChannelLine(
        row.name, row.namespace, kinds or "everything", sentence(row.shown), state, sentence(row.message),
        Moment(row.told_at, now), tests,
    )  # fmt: skip


def _told(row: Notice, now: float) -> ToldLine:
    state = State("Waiting", "busy") if row.attempts == 0 else State(f"Waits for attempt {row.attempts + 1}", "warn")
    if row.sent_at:
        state = State("Told", "good")
    elif row.due_at >= NEVER:
        state = State("Not told", "bad")
    at = Moment(row.sent_at or row.created_at, now)
    return ToldLine(row.channel.name, row.what, state, at, sentence(row.message))
