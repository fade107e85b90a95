"""The page of a canary, and its buttons: go on, pause, skip the step, promote, abort, retry. All of them are forms."""

from __future__ import annotations

import time

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, reverse
from django.views.decorators.http import require_http_methods, require_safe

from control.dashboard.access import View, action, actor, may, page, refusal
from control.dashboard.live import Page, answer
from control.selectors import canary_actions as questions
from control.selectors.canary_actions import Question
from control.selectors.canary_page import canary_page

_ROUTE = "workloads/<str:namespace>/<str:name>/canary"
_KINDS = ("Deployment", "Rollout", "AnalysisRun", "AnalysisTick", "ReplicaSet", "Pod", "Event", "Service")


@require_safe
def canary(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    found = canary_page(namespace, name, time.time())
    if found is None:
        sentence = f"{namespace}/{name} has no canary: neither does it ask for one, nor did it ever have one."
        return refusal(request, sentence, 404)
    shown = Page(f"{namespace}/{name}: {found.headline}", "overview", _KINDS, namespace)
    context = {"found": found, "may_act": may(request, "operator", namespace)}
    return answer(request, shown, "canary/canary.html", context)


def _asked(verb: str) -> View:
    """Asks, and does it. `seen` is what the canary was when whoever presses looked at it."""

    @require_http_methods(["GET", "HEAD", "POST"])
    def asked(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
        question = questions.question(namespace, name, verb)
        if question is None:
            return refusal(request, f"{namespace}/{name} does not exist (any more).", 404)
        context = {"question": question, "back": _place(question)}
        if request.method != "POST":
            return render(request, "canary/ask.html", context)
        if request.POST.get("seen") != question.seen:
            context["refused"] = "It has changed since you opened the page. This is how it is now; nothing was done."
            return render(request, "canary/ask.html", context, status=409)
        return _acted(request, question)

    return asked


def _acted(request: HttpRequest, question: Question) -> HttpResponse:
    from control.services import canaries
    from control.services.refusal import Refused

    try:
        who = actor(request)
        canaries.command(question.verb, question.namespace, question.name, who, seen=question.seen)
    except Refused as refused:
        return refusal(request, refused.sentence, 409)
    messages.success(request, f"{question.namespace}/{question.name} {questions.done_words(question)}.")
    return redirect(_place(question))


def _place(question: Question) -> str:
    return reverse("canary", args=[question.namespace, question.name])


urlpatterns: list[URLPattern] = [
    page(_ROUTE, canary, "canary"),
    *(action(f"{_ROUTE}/{verb}", _asked(verb), f"canary-{verb}") for verb in questions.VERBS),
]
