<<<<<<< HEAD
"""Events of one object and of what belongs to it, as pages list them."""
=======
"""Events as pages list them."""
>>>>>>> f8443a2 (Nodes: list, one of them, the form that adds a host, cordon, drain with a preview, declare dead, remove)

from __future__ import annotations

from dataclasses import dataclass

<<<<<<< HEAD
from django.db.models import Q

from control.models import Event
from control.selectors.words import Moment, State, sentence

SHOWN = 30


@dataclass(frozen=True, slots=True)
class EventLine:
=======
from control.models import Event
from control.selectors.words import Moment, State, sentence


@dataclass(frozen=True, slots=True)
class EventLine:
    """Something that happened to an object, `count` times from `first` to `last`."""

>>>>>>> f8443a2 (Nodes: list, one of them, the form that adds a host, cordon, drain with a preview, declare dead, remove)
    number: int
    state: State
    reason: str
    kind: str
    namespace: str
    name: str
<<<<<<< HEAD
    message: str
    count: int
    node: str
    first: Moment
    last: Moment

    @property
    def object(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

=======
    node: str
    message: str
    count: int
    first: Moment
    last: Moment

>>>>>>> f8443a2 (Nodes: list, one of them, the form that adds a host, cordon, drain with a preview, declare dead, remove)

def event_line(row: Event, now: float) -> EventLine:
    return EventLine(
        number=row.pk,
        state=State("Warning", "warn") if row.type == "Warning" else State("Normal", "idle"),
        reason=sentence(row.reason),
<<<<<<< HEAD
        kind=row.kind,
        namespace=row.namespace,
        name=row.name,
        message=sentence(row.message),
        count=row.count,
        node=row.node,
=======
        kind=sentence(row.kind),
        namespace=row.namespace,
        name=row.name,
        node=row.node,
        message=sentence(row.message),
        count=row.count,
>>>>>>> f8443a2 (Nodes: list, one of them, the form that adds a host, cordon, drain with a preview, declare dead, remove)
        first=Moment(row.first_at, now),
        last=Moment(row.last_at, now),
    )


<<<<<<< HEAD
def events_of(kind: str, namespace: str, name: str, now: float, owns: tuple[str, ...] = ()) -> list[EventLine]:
    """The newest first. `owns`: kinds whose names begin with `name-`, such as the pods of a Deployment."""
    wanted = Q(kind=kind, namespace=namespace, name=name)
    for other in owns:
        wanted |= Q(kind=other, namespace=namespace, name__startswith=f"{name}-")
    return [event_line(row, now) for row in Event.objects.filter(wanted)[:SHOWN]]
=======
def events_of(kind: str, namespace: str, name: str, now: float, most: int = 20) -> list[EventLine]:
    """The newest of one object. One query."""
    rows = Event.objects.filter(kind=kind, namespace=namespace, name=name)
    return [event_line(row, now) for row in rows[:most]]
>>>>>>> f8443a2 (Nodes: list, one of them, the form that adds a host, cordon, drain with a preview, declare dead, remove)
