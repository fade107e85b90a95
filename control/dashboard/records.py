"""What happened, and who did what: events and the audit trail, as pages and as spreadsheets."""

from __future__ import annotations

import time
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from control.dashboard import filters
from control.dashboard.access import namespaces
from control.dashboard.live import Page, answer
from control.dashboard.spreadsheets import download
from control.models import AuditEntry, Event
from control.selectors import audit_log as audits
from control.selectors import event_log as happened
from control.selectors.newest_first import SINCE, batches, read_key
from control.selectors.words import Moment

EVENT_COLUMNS = ("last", "first", "count", "type", "reason", "kind", "namespace", "name", "node", "message")
AUDIT_COLUMNS = ("at", "actor", "action", "object", "source", "detail")


@require_safe
def events(request: HttpRequest) -> HttpResponse:
    asked = filters.asked(request, *happened.FILTERS)
    found = happened.event_log(asked, _key(request), namespaces(request), time.time())
    title = f"{found.found}{' or more' if found.at_least else ''} events"
    page = Page(title, "events", ("Event",), asked["namespace"], asked["name"], "records/events_search.html")
    return answer(request, page, "records/events.html", _shown(request, found, asked))


@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    asked = filters.asked(request, *audits.FILTERS)
    found = audits.audit_log(asked, _key(request), _reader(request), time.time())
    title = f"Audit: {found.found}{' or more' if found.at_least else ''} entries"
    page = Page(title, "events", ("AuditEntry",), fixed="records/audit_search.html")
    return answer(request, page, "records/audit.html", _shown(request, found, asked))


@require_safe
def events_csv(request: HttpRequest) -> StreamingHttpResponse:
    asked = filters.asked(request, *happened.FILTERS)
    rows = happened.events(asked, namespaces(request), time.time())
    return download("events", EVENT_COLUMNS, batches(rows, "last_at"), _event_row)


@require_safe
def audit_csv(request: HttpRequest) -> StreamingHttpResponse:
    asked = filters.asked(request, *audits.FILTERS)
    rows = audits.entries(asked, _reader(request), time.time())
    return download("audit", AUDIT_COLUMNS, batches(rows, "at"), _audit_row)


def _shown(request: HttpRequest, found: happened.EventLog | audits.AuditLog, asked: dict[str, str]) -> dict[str, Any]:
    return {
        "log": found,
        "asked": asked,
        "query": filters.query(asked),
        "facets": filters.links(found.facets, asked),
        "since": SINCE,
        "older": filters.query(asked, before=found.older),
        "is_newest": not request.GET.get("before"),
    }


def _key(request: HttpRequest) -> tuple[float, int] | None:
    return read_key(request.GET.get("before", ""))


def _reader(request: HttpRequest) -> audits.Reader:
    return audits.Reader(str(request.user), namespaces(request))


def _event_row(row: Event) -> list[object]:
    times = [Moment(at, 0).iso for at in (row.last_at, row.first_at)]
    return [*times, row.count, *(getattr(row, name) for name in EVENT_COLUMNS[3:])]


def _audit_row(row: AuditEntry) -> list[object]:
    return [Moment(row.at, 0).iso, *(getattr(row, name) for name in AUDIT_COLUMNS[1:])]
