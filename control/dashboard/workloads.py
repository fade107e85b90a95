"""One workload: its rollout, its pods, and what can be done to it: undo, pause, resume, restart, scale."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from control.dashboard.access import actor, may, refusal
from control.dashboard.live import Page, answer
from control.dashboard.numbers import page_number
from control.models import ADMIN
from control.selectors import undo as questions
from control.selectors.pod_page import pod_page
from control.selectors.workload_page import workload_page

_KINDS = ("Deployment", "Rollout", "AnalysisRun", "ReplicaSet", "Pod", "Event", "Service", "Node")
ask_or_do = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
def workload(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    found = workload_page(namespace, name, time.time(), page_number(request))
    if found is None:
        return refusal(request, f"Deployment {namespace}/{name} does not exist (any more).", 404)
    title = f"{namespace}/{name}: {found.line.state.word}"
    page = Page(title, "workloads", _KINDS, namespace)
    context = {"found": found, "line": found.line, "may_act": may(request, "operator", namespace)}
    return answer(request, page, "workloads/workload.html", context)


@require_safe
def pod(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    found = pod_page(namespace, name, time.time())
    if found is None:
        return refusal(request, f"Pod {namespace}/{name} does not exist (any more).", 404)
    page = Page(f"{name}: {found.line.state.word}", "workloads", ("Pod", "Event", "Node"), namespace, name)
    context = {"found": found, "line": found.line, "may_open": may(request, ADMIN, namespace)}
    return answer(request, page, "workloads/pod.html", context)


@ask_or_do
def undo(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Asks which revision, then goes back to it. A form that somebody was faster than is shown anew."""
    question = questions.undo_question(namespace, name, time.time())
    if question is None:
        return refusal(request, f"Deployment {namespace}/{name} does not exist (any more).", 404)
    if request.method != "POST":
        return render(request, "undo.html", {"question": question, "wanted": request.GET.get("revision", "")})
    if request.POST.get("seen") != question.seen:
        sentence = "It has changed since you opened this page. This is how it is now; nothing was done."
        return render(request, "undo.html", {"question": question, "refused": sentence}, status=409)
    return _undo(request, question)


@ask_or_do
def resume(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Ends a pin."""
    question = questions.workload_resume_question(namespace, name)
    if question is None:
        return refusal(request, f"Deployment {namespace}/{name} is not pinned (any more).", 404)
    if request.method != "POST":
        return render(request, "resume.html", {"question": question, "back": _place(namespace, name)})
    from control.services import workloads

    def act() -> str:
        workloads.unpin(namespace, name, actor(request), seen=request.POST.get("seen"))
        return f"{namespace}/{name}: the pin has ended, {question.skipped} is rolled out."

    return _acted(request, namespace, name, act)


@ask_or_do
def pause(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    words = "Changes are not rolled out until it is resumed. What runs goes on running; a crash is still repaired."
    return _asked(request, namespace, name, "Pause", words, _pausing(paused=True))


@ask_or_do
def unpause(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    words = "What was pushed meanwhile is rolled out."
    return _asked(request, namespace, name, "Go on with", words, _pausing(paused=False))


@ask_or_do
def restart(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    from control.services import workloads

    words = "Every pod is replaced by a new one of the same template, as in any rollout: new ones are ready first."
    return _asked(request, namespace, name, "Restart", words, workloads.restart)


@ask_or_do
def look_for_images(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    from control.services import images

    words = "The registries of its image policies are asked now, before their time."
    return _asked(request, namespace, name, "Look for images of", words, images.check)


@ask_or_do
def scale(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    from control.services import workloads
    from control.services.refusal import Refused

    try:
        now = workloads.get_deployment(namespace, name).replicas
    except Refused as refused:
        return refusal(request, refused.sentence, 404)
    context = {"namespace": namespace, "name": name, "now": now, "back": _place(namespace, name)}
    if request.method != "POST":
        return render(request, "workloads/scale.html", context)
    wanted = request.POST.get("replicas", "")
    if request.POST.get("seen") != str(now):
        context["refused"] = f"Somebody was faster: it has {now} replicas by now. Nothing was done."
        return render(request, "workloads/scale.html", context, status=409)
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 7):
        context["refused"] = "Write how many pods there should be: 0 or more."
        return render(request, "workloads/scale.html", context, status=400)

    def act() -> str:
        workloads.scale(namespace, name, int(wanted), actor(request))
        return f"{namespace}/{name} is scaled from {now} to {wanted}."

    return _acted(request, namespace, name, act)


def _pausing(*, paused: bool) -> Callable[..., object]:
    def act(namespace: str, name: str, who: object) -> object:
        from control.services import workloads

        return workloads.pause(namespace, name, who, paused=paused)  # type: ignore[arg-type]

    return act


def _asked(
    request: HttpRequest, namespace: str, name: str, verb: str, words: str, act: Callable[..., object]
) -> HttpResponse:
    """One question, one button."""
    if request.method != "POST":
        context = {"title": f"{verb} {namespace}/{name}", "words": words, "verb": verb, "back": _place(namespace, name)}
        return render(request, "ask.html", context)

    def done() -> str:
        act(namespace, name, actor(request))
        return f"{verb} {namespace}/{name}: done."

    return _acted(request, namespace, name, done)


def _acted(request: HttpRequest, namespace: str, name: str, act: Callable[[], str]) -> HttpResponse:
    from control.services.refusal import Refused

    try:
        messages.success(request, act())
    except Refused as refused:
        return refusal(request, refused.sentence, 409)
    return redirect(_place(namespace, name))


def _undo(request: HttpRequest, question: questions.UndoQuestion) -> HttpResponse:
    from control.services import workloads
    from control.services.refusal import Refused

    wanted = request.POST.get("revision", "")
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 10):
        return render(request, "undo.html", {"question": question, "refused": "Choose a revision."}, status=400)
    try:
        who = actor(request)
        target = workloads.undo(question.namespace, question.name, who, int(wanted), seen=question.seen)
    except Refused as refused:
        return render(request, "undo.html", {"question": question, "refused": refused.sentence}, status=409)
    messages.success(request, f"{question.namespace}/{question.name} goes back to revision {target.revision}.")
    return redirect(_place(question.namespace, question.name))


def _place(namespace: str, name: str) -> str:
    return reverse("workload", args=[namespace, name])
