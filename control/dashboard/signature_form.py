"""The form that says whose commits are taken. All that it holds is public."""

from __future__ import annotations

from dataclasses import replace

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from control.dashboard.access import actor, refusal
from control.selectors.repository_signatures import POLICIES, signatures_words

LONGEST = 1 << 18


@require_http_methods(["GET", "HEAD", "POST"])
def signatures(request: HttpRequest, name: str) -> HttpResponse:
    found = signatures_words(name)
    if found is None:
        return refusal(request, f"Repository {name} does not exist (any more).", 404)
    context = {"name": name, "found": found, "policies": POLICIES, "refused": ""}
    if request.method != "POST":
        return render(request, "repositories/signatures_form.html", context)
    from control.services.refusal import Refused
    from control.services.repository_signatures import set_signatures

    what, ssh, gpg = (str(request.POST.get(field, ""))[:LONGEST] for field in ("what", "ssh_signers", "gpg_keys"))
    try:
        set_signatures(name, actor(request), what=what, ssh_signers=ssh, gpg_keys=gpg)
    except Refused as refused:
        typed = replace(found, what=what, ssh_text=ssh, gpg_text=gpg)
        context |= {"refused": refused.sentence, "found": typed}
        return render(request, "repositories/signatures_form.html", context, status=409)
    messages.success(request, f"{name}: {POLICIES[what]}.")
    return redirect("repository", name=name)
