"""Applications as lists need them: rows with what is asked of their repositories and of their attempts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db.models import OuterRef, Q, Subquery, TextField
from django.db.models.functions import Cast, JSONObject

from control.models import Application, Sync
from control.selectors.followed import Table
from control.selectors.raw import text


class Attempted(NamedTuple):
    """What is told of an attempt."""

    phase: str
    message: str
    commit_message: str
    commit: str


class ApplicationRow(NamedTuple):
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


def application_rows(of: Q) -> list[ApplicationRow]:
    """By name. One query."""
    attempts = Sync.objects.filter(application=OuterRef("pk")).order_by("-id").values(told=_ATTEMPTED)
    applied = attempts.filter(commit=OuterRef("commit"), phase=Sync.SUCCEEDED)
    asked: Any = Application.objects.filter(of, deleted_at=None)
    return [ApplicationRow(*row) for row in asked.values_list(*_READ, Subquery(attempts[:1]), Subquery(applied[:1]))]


def _read(of: Q) -> Iterable[tuple[str, str, ApplicationRow]]:
    return (("", row.name, row) for row in application_rows(of))


APPLICATIONS: Table[ApplicationRow] = Table(
    _read,
    frozenset({Application.kind}),
    {"Repository": lambda names: Q(repository__name__in={name for _, name in names})},
    named=lambda names: Q(name__in={name for _, name in names}),
)
"""Whoever writes an attempt says so of its application."""
