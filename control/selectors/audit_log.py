"""Who did what, from where and when."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from control.models import AuditEntry
from control.selectors.kinds import KINDS
from control.selectors.narrowing import Facet, facets_of
from control.selectors.newest_first import COUNTED, Key, counts, page_behind, since_seconds, written
from control.selectors.words import Moment, sentence

FILTERS = ("words", "actor", "action", "object", "since")
_OBJECT = re.compile(r"(?P<kind>[A-Z][A-Za-z]+) (?:(?P<namespace>[a-z0-9-]+)/)?(?P<name>[a-z0-9][a-z0-9.-]*)")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks. `visible`: the namespaces that they may see, None for all."""

    name: str
    visible: Collection[str] | None


@dataclass(frozen=True, slots=True)
class AuditLine:
    """`kind` "" for an object that is none of Kubernetes'; then `name` is all that is known of it."""

    number: int
    at: Moment
    actor: str
    action: str
    kind: str
    namespace: str
    name: str
    detail: str
    source: str

    @property
    def object(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}".strip()


@dataclass(frozen=True, slots=True)
class AuditLog:
    """As `EventLog`."""

    lines: tuple[AuditLine, ...]
    found: int
    at_least: bool
    older: str
    facets: Mapping[str, tuple[Facet, ...]]


def audit_log(asked: Mapping[str, str], key: Key | None, reader: Reader, now: float) -> AuditLog:
    """`asked`: FILTERS, "" for all. Three queries."""
    rows, older = page_behind(entries(asked, reader, now), "at", key)
    actors = counts(entries({**asked, "actor": ""}, reader, now), "actor")
    actions = counts(entries({**asked, "action": ""}, reader, now), "action")
    found = actors.get(asked["actor"], 0) if asked["actor"] else sum(actors.values())
    return AuditLog(
        lines=tuple(audit_line(row, now) for row in rows),
        found=found,
        at_least=sum(actors.values()) >= COUNTED,
        older=written(older) if older else "",
        facets={"actor": facets_of(actors, asked["actor"]), "action": facets_of(actions, asked["action"])},
    )


def entries(asked: Mapping[str, str], reader: Reader, now: float) -> QuerySet[AuditEntry]:
    """The newest first. Who does not see all sees what was done in their namespaces, and what they did themselves."""
    rows = AuditEntry.objects.filter(**{name: asked[name] for name in ("actor", "action") if asked[name]})
    if reader.visible is not None:
        mine = Q(actor=reader.name) | Q(actor__startswith=f"{reader.name} (token ")
        rows = rows.filter(mine | _within(reader.visible))
    if seconds := since_seconds(asked["since"]):
        rows = rows.filter(at__gte=now - seconds)
    if asked["object"]:
        rows = rows.filter(object__icontains=asked["object"])
    for word in asked["words"].split():
        rows = rows.filter(Q(detail__icontains=word) | Q(object__icontains=word) | Q(action__icontains=word))
    return rows


def _within(namespaces: Collection[str]) -> Q:
    """What was done to these namespaces and in them. A kind decides what stands before the slash: webhooks have their
    repository there, tokens their owner."""
    here, of_kinds = Q(pk=None), Q(pk=None)
    for namespace in namespaces:
        here |= Q(object__contains=f" {namespace}/")
    for kind in KINDS:
        if kind.namespaced:
            of_kinds |= Q(object__startswith=f"{kind.name} ")
    return (here & of_kinds) | Q(object__in=[f"Namespace {namespace}" for namespace in namespaces])


def audit_line(row: AuditEntry, now: float) -> AuditLine:
    match = _OBJECT.fullmatch(row.object)
    kind, namespace, name = (match[1], match[2] or "", match[3]) if match else ("", "", sentence(row.object))
    return AuditLine(
        number=row.pk,
        at=Moment(row.at, now),
        actor=sentence(row.actor),
        action=sentence(row.action),
        kind=kind,
        namespace=namespace,
        name=name,
        detail=sentence(row.detail),
        source=sentence(row.source),
    )
