"""What is done to a repository's age keys on its page."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from control.dashboard.access import actor, refusal


@require_POST
def new_age_key(request: HttpRequest, name: str) -> HttpResponse:
    from control.services import repository_keys

    def make() -> str:
        return f"New files are to be encrypted for {repository_keys.new_age_key(name, actor(request))}."

    return done(request, name, make)


@require_POST
def remove_age_key(request: HttpRequest, name: str) -> HttpResponse:
    from control.services import repository_keys

    recipient = request.POST.get("recipient", "")[:128]

    def remove() -> str:
        repository_keys.remove_age_key(name, recipient, actor(request))
        return f"The age key {recipient} is gone."

    return done(request, name, remove)


def done(request: HttpRequest, name: str, act: Callable[[], str]) -> HttpResponse:
    """Do it, say what was done, and go back to the repository's page; or say why not."""
    from control.services.refusal import Refused

    try:
        messages.success(request, act())
    except Refused as refused:
        return refusal(request, refused.sentence, 409)
    return redirect("repository", name=name)
