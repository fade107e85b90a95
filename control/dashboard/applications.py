"""Applications: the list, one of them, and what can be done to it: sync, roll back, resume."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from control.dashboard import filters
from control.dashboard.access import actor, may, namespaces, refusal
from control.dashboard.live import Page, answer
from control.dashboard.numbers import number, page_number
from control.selectors.application_page import application_page
from control.selectors.applications import FACETS, application_list
from control.selectors.labels import BadSelector
from control.selectors.narrowing import NOTHING
from control.selectors.spans import span_of
from control.selectors.undo import application_resume_question
from control.selectors.words import sentence

ask_or_do = require_http_methods(["GET", "HEAD", "POST"])
KINDS = ("Application", "Repository", "Deployment", "Rollout", "Pod", "Service", "Ingress", "Node")


@require_safe
def applications(request: HttpRequest) -> HttpResponse:
    asked = {**filters.asked(request, "words", "as", *FACETS), "label": filters.selector(request)}
    unread = ""
    try:
        found = application_list(asked, page_number(request), namespaces(request), time.time())
    except BadSelector as error:
        found, unread = NOTHING, sentence(str(error))
    context = {
        "listing": found, "unread": unread, "asked": asked, "tiles": asked["as"] == "tiles",
        "facets": filters.links(found.facets, asked), "may_add": may(request, "operator"),
        "may_look": may(request, "viewer"),
    }  # fmt: skip
    title = "1 application" if found.found == 1 else f"{found.found} applications"
    page = Page(title, "applications", KINDS, fixed="applications/search.html")
    return answer(request, page, "applications/list.html", context)


@require_safe
def application(request: HttpRequest, name: str) -> HttpResponse:
    found = application_page(name, time.time(), number(request, "before", digits=18))
    if found is None:
        return refusal(request, f"Application {name} does not exist (any more).", 404)
    line = found.line
    title = f"{name}: {line.health.word}, {line.sync.word}"
    may_act = all(may(request, "operator", namespace) for namespace in span_of(name) or ())
    context = {"found": found, "line": line, "may_act": may_act}
    context["may_look"] = may(request, "viewer")
    return answer(request, Page(title, "applications", KINDS), "applications/application.html", context)


@ask_or_do
def sync(request: HttpRequest, name: str) -> HttpResponse:
    """What Git is at, compared with what is on record; then applied, pruning everything only when that is said."""
    from control.services import repositories

    def apply(sha: str) -> str:
        repositories.sync(name, actor(request), prune_all=request.POST.get("prune_all") == "yes", commit=sha)
        return f"{name}: a sync was asked for."

    return _previewed(request, name, "", "sync", apply)


@ask_or_do
def rollback(request: HttpRequest, name: str, commit: str) -> HttpResponse:
    from control.services import repositories

    def apply(sha: str) -> str:
        repositories.rollback(name, sha, actor(request), seen=request.POST.get("state"))
        return f"{name} goes back to {sha[:7]}. What Git is at is skipped until something newer comes."

    return _previewed(request, name, commit, "rollback", apply)


@ask_or_do
def resume(request: HttpRequest, name: str) -> HttpResponse:
    question = application_resume_question(name)
    if question is None:
        return refusal(request, f"Application {name} is not pinned (any more).", 404)
    if request.method != "POST":
        return render(request, "resume.html", {"question": question, "back": reverse("application", args=[name])})
    from control.services import repositories
    from control.services.refusal import Refused

    try:
        repositories.resume(name, actor(request), seen=request.POST.get("seen"))
    except Refused as refused:
        return refusal(request, refused.sentence, 409)
    messages.success(request, f"{name}: the pin has ended, what Git is at is applied.")
    return redirect("application", name=name)


def _previewed(request: HttpRequest, name: str, sha: str, what: str, apply: Callable[[str], str]) -> HttpResponse:
    """Shows what would change; the form names the commit that was shown, so that nobody applies another unseen."""
    from control.services.previews import preview
    from control.services.refusal import Refused

    context: dict[str, Any] = {"name": name, "what": what}
    try:
        shown = preview(name, sha)
        if request.method != "POST":
            return render(request, "applications/preview.html", {**context, "preview": shown})
        if (request.POST.get("commit"), request.POST.get("state")) != (shown.commit.sha, shown.state):
            context["refused"] = "It has changed since you opened this page. This is how it is now; nothing was done."
            return render(request, "applications/preview.html", {**context, "preview": shown}, status=409)
        messages.success(request, apply(shown.commit.sha))
    except Refused as refused:
        return refusal(request, refused.sentence, 409)
    return redirect("application", name=name)
