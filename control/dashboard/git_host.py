"""`/repositories/NAME/host`: which Git host a repository is at, and what that is told."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from control.dashboard.access import actor, refusal
from control.models import Repository
from control.selectors.git_hosts import host_line
from deployer.core.git_hosts import PROVIDERS


@require_http_methods(["GET", "HEAD", "POST"])
def host(request: HttpRequest, name: str) -> HttpResponse:
    row = Repository.objects.filter(name=name).first()
    if row is None:
        return refusal(request, f"Repository {name} does not exist (any more).", 404)
    context = {"name": name, "host": host_line(row), "providers": PROVIDERS}
    if request.method != "POST":
        return render(request, "repositories/host_set.html", context)
    from control.services import repositories
    from control.services.refusal import Refused

    given = request.POST
    try:
        changed = repositories.set_host(
            name, actor(request), provider=given.get("provider", ""), api_url=given.get("api_url", "").strip(),
            tells_status=given.get("statuses") == "on",
        )  # fmt: skip
    except Refused as refused:
        return render(request, "repositories/host_set.html", {**context, "refused": refused.sentence}, status=409)
    messages.success(request, f"{name}: {host_line(changed).word}.")
    return redirect("repository", name=name)
