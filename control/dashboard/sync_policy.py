"""`/applications/NAME/policy`: how an application is synced from now on. `manage.py application set` does the same."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from control.dashboard.access import actor, refusal
from control.models import Application

BOXES = ("automatic", "prune", "self_heal")


def ticked(request: HttpRequest) -> dict[str, bool]:
    """The boxes of `applications/policy_fields.html`."""
    return {box: request.POST.get(box) == "yes" for box in BOXES}


@require_http_methods(["GET", "HEAD", "POST"])
def policy(request: HttpRequest, name: str) -> HttpResponse:
    row = Application.objects.filter(name=name, deleted_at=None).first()
    if row is None:
        return refusal(request, f"Application {name} does not exist (any more).", 404)
    if request.method != "POST":
        given = {box: getattr(row, box) for box in BOXES}
        return render(request, "applications/policy.html", {"name": name, "given": given, "seen": row.policy_seen})
    from control.services import repositories
    from control.services.refusal import Refused

    try:
        row = repositories.set_policy(name, actor(request), seen=request.POST.get("seen"), **ticked(request))
    except Refused as refused:
        return refusal(request, refused.sentence, 409)
    messages.success(request, f"{name} is synced so from now on: {row.sync_policy}.")
    return redirect("application", name=name)
