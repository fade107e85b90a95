"""Connecting a repository and the application that follows it: one form, tested on the spot, the reason beside it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from control.dashboard import credential_forms
from control.dashboard.access import actor
from control.dashboard.sync_policy import BOXES, ticked
from control.models import Repository

FIELDS = ("repository", "url", "ref", "name", "path", "namespace", *credential_forms.SHOWN_AGAIN)
"""What is shown again when the form was refused. A token or a key never is."""


@sensitive_post_parameters(*credential_forms.SECRETS)
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _form(request, {"ref": "main", "path": ".", **dict.fromkeys(BOXES, "yes"), **request.GET.dict()})
    from control.services.refusal import Refused

    given = {field: request.POST.get(field, "").strip()[:1024] for field in FIELDS}
    given |= {box: request.POST.get(box, "") for box in BOXES}
    try:
        given["repository"] = given["repository"] or _repository(request, given)
        row = _application(request, given)
    except Refused as refused:
        return _form(request, given, refused.sentence, credential_forms.host_keys_of(refused))
    messages.success(request, f"{row.name} follows {given['repository']}: a first look at Git was asked for.")
    if request.POST.get("make_ssh_key"):
        messages.warning(request, "Its SSH key was made: paste the public half where the repository is.")
        return redirect("repository", name=given["repository"])
    return redirect("application", name=row.name)


def _form(
    request: HttpRequest, given: dict[str, str], refused: str = "", host_keys: tuple[tuple[str, str], ...] = ()
) -> HttpResponse:
    known = list(Repository.objects.values_list("name", flat=True))
    context = {"given": given, "known": known, "refused": refused, "host_keys": host_keys}
    return render(request, "connect.html", context, status=409 if refused else 200)


def _repository(request: HttpRequest, given: dict[str, str]) -> str:
    """Registers it, having asked its server, under the name of the application. Returns that."""
    from control.services import repositories

    wanted = credential_forms.wanted(request)
    row = repositories.add_repository(
        given["name"], given["url"], actor(request), ref=given["ref"] or "main", credentials=wanted.credentials,
        make_ssh_key=wanted.make_ssh_key, host_key=wanted.host_key,
    )  # fmt: skip
    return row.name


def _application(request: HttpRequest, given: dict[str, str]) -> Any:
    from control.services import repositories

    boxes = ticked(request)
    return repositories.add_application(
        given["name"], given["repository"], given["path"] or ".", actor(request),
        namespace=given["namespace"] or given["name"], automatic=boxes["automatic"], prune=boxes["prune"],
        self_heal=boxes["self_heal"],
    )  # fmt: skip
