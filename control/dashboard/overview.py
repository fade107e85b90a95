"""The first page."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from control.dashboard.access import may_act, namespaces
from control.dashboard.live import Page, answer
from control.selectors.overview import overview as read_overview


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    found = read_overview(time.time(), namespaces(request))
    context = {"overview": found, "may_act": may_act(request)}
    return answer(request, Page(found.headline, "overview"), "overview/live.html", context)
