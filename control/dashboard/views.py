"""The first page, and the two things that can be done from it: undo a rollout, and end a pin.

Services bring the deployer's libraries with them, so they are imported where somebody presses a button: a web process
that only shows pages stays small.
"""

from __future__ import annotations

import hashlib
import time

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from control.dashboard.access import actor, may_act, refusal
from control.selectors import undo as questions
from control.selectors.overview import overview as read_overview

ask_or_do = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """The page, or for htmx the part of it that moves; nothing (204) while that is what the reader sees already."""
    asked_by_htmx = bool(request.headers.get("HX-Request"))
    context = {"overview": read_overview(time.time()), "may_act": may_act(request)}
    live = render_to_string("overview/live.html", context, request)
    seen = hashlib.sha256(live.encode()).hexdigest()[:16]
    if asked_by_htmx and request.GET.get("seen") == seen:
        return HttpResponse(status=204)
    layout = "bare.html" if asked_by_htmx else "base.html"
    return render(request, "overview.html", {**context, "layout": layout, "live": live, "seen": seen})


@ask_or_do
def undo(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Asks which revision, then goes back to it. A form that somebody was faster than is shown anew."""
    question = questions.undo_question(namespace, name, time.time())
    if question is None:
        return refusal(request, f"Deployment {namespace}/{name} does not exist (any more).", 404)
    if request.method != "POST":
        return render(request, "undo.html", {"question": question})
    if request.POST.get("seen") != question.seen:
        sentence = "It has changed since you opened this page. This is how it is now; nothing was done."
        return render(request, "undo.html", {"question": question, "refused": sentence}, status=409)
    return _undo(request, question)


@ask_or_do
def resume_workload(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    question = questions.workload_resume_question(namespace, name)
    if question is None:
        return refusal(request, f"Deployment {namespace}/{name} is not pinned (any more).", 404)
    if request.method != "POST":
        return render(request, "resume.html", {"question": question})
    from control.services import workloads
    from control.services.refusal import Refused

    try:
        workloads.unpin(namespace, name, actor(request))
    except Refused as refused:
        return refusal(request, refused.sentence, 409)
    return _done(request, f"{namespace}/{name}: the pin has ended, {question.skipped} is rolled out.")


@ask_or_do
def resume_application(request: HttpRequest, name: str) -> HttpResponse:
    question = questions.application_resume_question(name)
    if question is None:
        return refusal(request, f"Application {name} is not pinned (any more).", 404)
    if request.method != "POST":
        return render(request, "resume.html", {"question": question})
    from control.services import repositories
    from control.services.refusal import Refused

    try:
        repositories.resume(name, actor(request))
    except Refused as refused:
        return refusal(request, refused.sentence, 409)
    return _done(request, f"{name}: the pin has ended, what Git is at is applied.")


def _undo(request: HttpRequest, question: questions.UndoQuestion) -> HttpResponse:
    from control.services import workloads
    from control.services.refusal import Refused

    wanted = request.POST.get("revision", "")
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 10):
        return render(request, "undo.html", {"question": question, "refused": "Choose a revision."}, status=400)
    try:
        target = workloads.undo(question.namespace, question.name, actor(request), int(wanted))
    except Refused as refused:
        return render(request, "undo.html", {"question": question, "refused": refused.sentence}, status=409)
    return _done(request, f"{question.namespace}/{question.name} goes back to revision {target.revision}.")


def _done(request: HttpRequest, sentence: str) -> HttpResponse:
    messages.success(request, sentence)
    return redirect(reverse("overview"))
