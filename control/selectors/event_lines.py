"""Events of one object and of what belongs to it, as pages list them."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from control.models import Event
from control.selectors.words import Moment, State, sentence

SHOWN = 30


@dataclass(frozen=True, slots=True)
class EventLine:
    number: int
    state: State
    reason: str
    kind: str
    namespace: str
    name: str
    message: str
    count: int
    node: str
    first: Moment
    last: Moment

    @property
    def object(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def event_line(row: Event, now: float) -> EventLine:
    return EventLine(
        number=row.pk,
        state=State("Warning", "warn") if row.type == "Warning" else State("Normal", "idle"),
        reason=sentence(row.reason),
        kind=row.kind,
        namespace=row.namespace,
        name=row.name,
        message=sentence(row.message),
        count=row.count,
        node=row.node,
        first=Moment(row.first_at, now),
        last=Moment(row.last_at, now),
    )


def events_of(kind: str, namespace: str, name: str, now: float, owns: tuple[str, ...] = ()) -> list[EventLine]:
    """The newest first. `owns`: kinds whose names begin with `name-`, such as the pods of a Deployment."""
    wanted = Q(kind=kind, namespace=namespace, name=name)
    for other in owns:
        wanted |= Q(kind=other, namespace=namespace, name__startswith=f"{name}-")
    return [event_line(row, now) for row in Event.objects.filter(wanted)[:SHOWN]]
