"""Pieces that several descriptions share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q

from control.management.output import NOTHING, age, fields, indented, table
from control.models import Event
from control.selectors.metadata import LAST_APPLIED, application_names, origin
from deployer.core.pod_status import iso_time

MOST_EVENTS = 25


def pairs(values: Mapping[str, Any]) -> str:
    """`key=value`, one a line, sorted."""
    return "\n".join(f"{key}={value}" for key, value in sorted(values.items()) if key != LAST_APPLIED) or NOTHING


def time_of(at: float | None, now: float) -> str:
    return f"{iso_time(at)} ({age(now - at)} ago)" if at else ""


def head(row: Any, now: float, *more: tuple[str, object]) -> str:
    """Name to annotations, and where in Git the object comes from."""
    source = origin(row, application_names([row]))
    commit = source.get("pierhead.io/commit", "")
    git = " ".join(
        part
        for part in (
            f"application {source['pierhead.io/application']}" if "pierhead.io/application" in source else "",
            f"at {commit[:7]}" if commit else "",
            f"({row.source_file})" if row.source_file else "",
        )
        if part
    )
    return fields(
        [
            ("Name", row.name),
            *([("Namespace", row.namespace)] if row.namespace else []),
            ("Created", time_of(row.created_at, now)),
            *([("Deleting", time_of(row.deleted_at, now))] if row.deleted_at else []),
            ("Labels", pairs(row.labels)),
            ("Annotations", pairs(row.annotations)),
            ("From Git", git),
            *more,
        ]
    )


def section(title: str, text: str) -> str:
    """A heading with an indented text under it; `<none>` behind the heading when there is no text."""
    return f"{title}:\n{text}" if text else f"{title}:  {NOTHING}\n"


def conditions(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = [(one["type"], one["status"], one.get("reason", ""), one.get("message", "")) for one in rows]
    return section("Conditions", inset(table(("Type", "Status", "Reason", "Message"), lines)) if lines else "")


def events(kind: str, namespace: str, name: str, now: float, also: Iterable[tuple[str, str]] = ()) -> str:
    """The last events of an object, the oldest first. `also`: (kind, name) of others in the namespace."""
    wanted = Q(kind=kind, name=name)
    for other_kind, other_name in also:
        wanted |= Q(kind=other_kind, name=other_name)
    rows = list(Event.objects.filter(wanted, namespace=namespace).order_by("-last_at", "-id")[:MOST_EVENTS])
    lines = [(one.type, one.reason, _when(one, now), one.node, one.message) for one in reversed(rows)]
    return section("Events", inset(table(("Type", "Reason", "Age", "Node", "Message"), lines)) if lines else "")


def log_lines(text: str) -> str:
    return section("Last log lines", indented(text, 2)) if text else ""


def inset(text: str, indent: int = 2) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in text.splitlines())


def _when(one: Event, now: float) -> str:
    last = age(now - one.last_at)
    return f"{last} (x{one.count} over {age(now - one.first_at)})" if one.count > 1 else last
