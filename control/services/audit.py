"""Who did what, from where."""

from __future__ import annotations

from dataclasses import dataclass

from control.models import AuditEntry
from control.store import objects


@dataclass(frozen=True, slots=True)
class Actor:
    """A person (or a token) and where the request came from."""

    name: str
    source: str = "command line"


def record(actor: Actor, action: str, target: str, detail: str = "") -> None:
    AuditEntry.objects.create(actor=actor.name, action=action, object=target, detail=detail, source=actor.source)
    objects.touch("AuditEntry", "", "")
