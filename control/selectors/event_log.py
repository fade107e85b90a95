"""All events, filtered and counted by the server."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from control.models import Event
from control.selectors.event_lines import EventLine, event_line
from control.selectors.narrowing import Facet, facets_of
from control.selectors.newest_first import COUNTED, Key, counts, page_behind, since_seconds, written

FILTERS = ("words", "type", "kind", "namespace", "name", "node", "since")
EXACT = ("type", "kind", "namespace", "name", "node")


@dataclass(frozen=True, slots=True)
class EventLog:
    """`found` of them, or as many "at least". `older`: the key of the next page, "" when this is the last."""

    lines: tuple[EventLine, ...]
    found: int
    at_least: bool
    warnings: int
    older: str
    facets: Mapping[str, tuple[Facet, ...]]


def event_log(asked: Mapping[str, str], key: Key | None, visible: Collection[str] | None, now: float) -> EventLog:
    """`asked`: FILTERS, "" for all. `visible`: the namespaces that the reader may see, None for all. Three queries."""
    rows, older = page_behind(events(asked, visible, now), "last_at", key)
    types = counts(events({**asked, "type": ""}, visible, now), "type")
    kinds = counts(events({**asked, "kind": ""}, visible, now), "kind")
    found = types.get(asked["type"], 0) if asked["type"] else sum(types.values())
    return EventLog(
        lines=tuple(event_line(row, now) for row in rows),
        found=found,
        at_least=sum(types.values()) >= COUNTED,
        warnings=types.get("Warning", 0),
        older=written(older) if older else "",
        facets={"type": facets_of(types, asked["type"]), "kind": facets_of(kinds, asked["kind"])},
    )


def events(asked: Mapping[str, str], visible: Collection[str] | None, now: float) -> QuerySet[Event]:
    """The newest first. What belongs to no namespace is shown to those who see all."""
    rows = Event.objects.filter(**{name: asked[name] for name in EXACT if asked[name]})
    if visible is not None:
        rows = rows.filter(namespace__in=visible)
    if seconds := since_seconds(asked["since"]):
        rows = rows.filter(last_at__gte=now - seconds)
    for word in asked["words"].split():
        rows = rows.filter(Q(message__icontains=word) | Q(reason__icontains=word) | Q(name__icontains=word))
    return rows
