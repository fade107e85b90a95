"""Services and Ingresses as lists need them: what they connect, without their status, in one query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from control.models import Ingress, Service
from control.selectors.followed import Table
from control.selectors.raw import parsed, text

_COLUMNS = ("uid", "namespace", "name", "application_id", text("spec"))


@dataclass(frozen=True, slots=True)
class Connecting:
    """Named as the columns of its row are: either stands where this is asked for. As text "Service shop/web"."""

    kind: str
    uid: str
    namespace: str
    name: str
    application_id: str | None
    spec: Mapping[str, Any]
    words: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", f"{self.kind} {self.namespace}/{self.name}")

    def __str__(self) -> str:
        return self.words

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.kind, self.namespace, self.name)


def connecting(model: type[Service | Ingress], of: Q | None = None) -> list[Connecting]:
    """Those that stay, by namespace and name. `of`: of these only."""
    staying = Q(deleted_at=None)
    rows: Any = model.objects.filter(staying if of is None else staying & of).order_by("namespace", "name")
    return [_connecting(model.kind, *row) for row in rows.values_list(*_COLUMNS)]


def _connecting(kind: str, uid: str, namespace: str, name: str, application: str | None, spec: str) -> Connecting:
    return Connecting(kind, uid, namespace, name, application, parsed(spec))


def _table(model: type[Service | Ingress]) -> Table[Connecting]:
    return Table(
        lambda of: ((one.namespace, one.name, one) for one in connecting(model, of)), frozenset({str(model.kind)})
    )


SERVICES, INGRESSES = _table(Service), _table(Ingress)
