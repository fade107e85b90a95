"""The fields that say how a repository is opened, in the form that connects one and in the one that changes it.

A token or a key that was typed never leaves the server again: it has to be pasted again when something was refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from control.dashboard.access import actor, refusal
from control.models import Repository

if TYPE_CHECKING:
    from control.services.repository_credentials import Wanted

SHOWN_AGAIN = ("username", "known_hosts", "make_ssh_key", "app_id", "installation_id", "api_url")
SECRETS = ("token", "ssh_key", "app_key")
LONGEST_FILE = 1 << 16


@sensitive_post_parameters(*SECRETS)
@require_http_methods(["GET", "HEAD", "POST"])
def credentials(request: HttpRequest, name: str) -> HttpResponse:
    """Asks for another way in, and tries it before it is kept."""
    row = Repository.objects.filter(name=name).first()
    if row is None:
        return refusal(request, f"Repository {name} does not exist (any more).", 404)
    context: dict[str, Any] = {"name": name, "url": row.url, "given": {}, "refused": "", "host_keys": ()}
    if request.method != "POST":
        return render(request, "repositories/credentials_form.html", context)
    from control.services.refusal import Refused
    from control.services.repository_credentials import NOTHING, Wanted, set_credentials

    asked = wanted(request)
    context["given"] = {field: request.POST.get(field, "")[:LONGEST_FILE] for field in SHOWN_AGAIN}
    try:
        if asked == Wanted(NOTHING):
            raise Refused("Nothing was given: fill in one of the ways in.")
        set_credentials(name, asked, actor(request))
    except Refused as refused:
        context |= {"refused": refused.sentence, "host_keys": host_keys_of(refused)}
        return render(request, "repositories/credentials_form.html", context, status=409)
    messages.success(request, f"{name} is opened in the new way from now on.")
    return redirect("repository", name=name)


def wanted(request: HttpRequest) -> Wanted:
    from control.services.repository_credentials import Wanted
    from deployer.core.source import GitCredentials

    form = request.POST
    return Wanted(
        GitCredentials(
            username=_word(form, "username"), token=_word(form, "token"), ssh_key=_text(form, "ssh_key"),
            known_hosts=_text(form, "known_hosts"), app_id=_word(form, "app_id"),
            installation_id=_word(form, "installation_id"), app_key=_text(form, "app_key"),
            api_url=_word(form, "api_url").rstrip("/"),
        ),
        make_ssh_key=form.get("make_ssh_key") == "yes",
        host_key=_word(form, "host_key"),
    )  # fmt: skip


def host_keys_of(refused: Exception) -> tuple[tuple[str, str], ...]:
    """(fingerprint, title) of each key that somebody has to compare first."""
    return tuple((title.rpartition(" ")[2], title) for title in getattr(refused, "keys", ()))


def _word(form: QueryDict, field: str) -> str:
    return str(form.get(field, "")).strip()[:1024]


def _text(form: QueryDict, field: str) -> str:
    """A pasted file: with the line ends that programs expect."""
    pasted = str(form.get(field, "")).replace("\r\n", "\n").strip()[:LONGEST_FILE]
    return pasted + "\n" if pasted else ""
