"""What an attempt came to: the manifests, object by object, as a page or as a file."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from control.dashboard.access import refusal
from control.dashboard.live import Page
from control.dashboard.numbers import number as number_of
from control.selectors.rendered import attempt_of, rendered_page, text_of


@require_safe
def manifests(request: HttpRequest, name: str, number: int | None = None) -> HttpResponse:
    """`number` is an attempt's; without it, the newest attempt that came to anything."""
    if request.GET.get("as") == "file":
        return _file(request, name, number)
    found = rendered_page(name, number, number_of(request, "from"), time.time())
    if found is None:
        which = "no attempt yet" if number is None else f"no attempt {number}"
        return refusal(request, f"Application {name} has {which}.", 404)
    page = Page(f"Manifests of {name}", "applications")
    return render(request, "applications/manifests.html", {"found": found, "page": page})


def _file(request: HttpRequest, name: str, number: int | None) -> HttpResponse:
    row = attempt_of(name, number)
    text = text_of(row.rendered) if row is not None else ""
    if row is None or not text:
        return refusal(request, f"Nothing was kept of that attempt of application {name}.", 404)
    answer = HttpResponse(text, content_type="application/yaml; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}-{row.pk}.yaml"'
    return answer
