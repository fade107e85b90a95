"""`/workloads`: all of them."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from control.dashboard import filters
from control.dashboard.access import may_act, namespaces
from control.dashboard.live import Page, answer
from control.dashboard.numbers import page_number
from control.selectors.labels import BadSelector
from control.selectors.narrowing import NOTHING
from control.selectors.words import sentence
from control.selectors.workload_list import FACETS, workload_list

KINDS = ("Deployment", "Rollout", "Pod", "Node")


@require_safe
def workloads(request: HttpRequest) -> HttpResponse:
    asked = {**filters.asked(request, "words", *FACETS), "label": filters.selector(request)}
    unread = ""
    try:
        found = workload_list(asked, page_number(request), namespaces(request), time.time())
    except BadSelector as error:
        found, unread = NOTHING, sentence(str(error))
    context = {
        "listing": found, "unread": unread, "asked": asked, "facets": filters.links(found.facets, asked),
        "may_act": may_act(request),
    }  # fmt: skip
    page = Page(f"{found.found} workloads", "workloads", KINDS, asked["namespace"], fixed="workloads/search.html")
    return answer(request, page, "workloads/list.html", context)
