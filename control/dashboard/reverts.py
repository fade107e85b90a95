"""`/applications/NAME/revert`: what a revert would push, and the click that pushes it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from control.dashboard.access import actor, refusal


@require_http_methods(["GET", "HEAD", "POST"])
def revert(request: HttpRequest, name: str) -> HttpResponse:
    """The form names the commit and the state that were shown, so that nobody reverts another unseen."""
    from control.services import reverts
    from control.services.refusal import Refused

    try:
        if request.method != "POST":
            return render(request, "applications/revert.html", {"preview": reverts.preview(name, actor(request))})
        pushed = reverts.push(
            name, actor(request), head=request.POST.get("head", ""), seen=request.POST.get("state", ""),
            pull_request=request.POST.get("as") == "pull-request",
        )  # fmt: skip
    except Refused as refused:
        return refusal(request, refused.sentence, 409)
    said = f"{name}: commit {pushed.commit[:7]} was pushed to {pushed.branch}."
    if pushed.trouble:
        messages.warning(request, f"{said} The pull request could not be opened, open it by hand: {pushed.trouble}")
    elif pushed.url:
        messages.success(request, f"{said} The pull request: {pushed.url}")
    else:
        messages.success(request, f"{said} When Git is looked at next, the pin ends, and what runs goes on.")
    return redirect("application", name=name)
