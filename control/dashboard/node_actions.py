"""What can be done to a node: cordon, uncordon, drain, declare dead, remove. Each asks first, and says what for."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from control.dashboard.access import actor, refusal
from control.selectors import node_questions as questions
from control.selectors.node_questions import NodeQuestion

ask_or_do = require_http_methods(["GET", "HEAD", "POST"])
STALE = "It has changed since you opened this page. This is how it is now; nothing was done."


@ask_or_do
def cordon(request: HttpRequest, name: str) -> HttpResponse:
    def press() -> str:
        from control.services import nodes

        nodes.cordon(name, actor(request))
        return f"{name} is cordoned: no new pods are placed on it."

    return _pressed(request, name, questions.cordon_question(name), press)


@ask_or_do
def uncordon(request: HttpRequest, name: str) -> HttpResponse:
    def press() -> str:
        from control.services import nodes

        nodes.cordon(name, actor(request), cordoned=False)
        return f"{name} takes new pods again."

    return _pressed(request, name, questions.uncordon_question(name), press)


@ask_or_do
def drain(request: HttpRequest, name: str) -> HttpResponse:
    from control.selectors.drain_question import drain_question

    def press() -> str:
        from control.services import nodes

        count = nodes.drain(name, actor(request), ask_budgets=request.POST.get("no_budgets") != "yes")
        return f"{name} is drained: {count} {'pod is' if count == 1 else 'pods are'} to go."

    return _pressed(request, name, drain_question(name), press)


@ask_or_do
def declare_dead(request: HttpRequest, name: str) -> HttpResponse:
    def press() -> str:
        from control.services import nodes

        count = nodes.declare_dead(name, actor(request))
        return f"{name} is declared dead: {count} {'pod is' if count == 1 else 'pods are'} replaced elsewhere."

    return _pressed(request, name, questions.dead_question(name), press)


@ask_or_do
def remove(request: HttpRequest, name: str) -> HttpResponse:
    def press() -> str:
        from control.services import nodes

        count = nodes.remove(name, actor(request), force=request.POST.get("force") == "yes")
        moved = f"; {count} {'pod is' if count == 1 else 'pods are'} replaced elsewhere" if count else ""
        return f"{name} is removed{moved}. Containers on it were left as they are."

    return _pressed(request, name, questions.remove_question(name), press, "nodes")


def _pressed(
    request: HttpRequest, name: str, question: NodeQuestion | None, press: Callable[[], str], back: str = "node"
) -> HttpResponse:
    """Asks; when the form comes back, does it and leads to `back`. One that somebody was faster than is shown anew."""
    if question is None:
        return refusal(request, f"Node {name} is not registered (any more).", 404)
    if request.method != "POST":
        return _ask(request, question)
    if request.POST.get("seen") != question.seen:
        return _ask(request, question, STALE)
    if question.refusal:
        return _ask(request, question, question.refusal)
    if question.box and question.box.needed and request.POST.get(question.box.name) != "yes":
        return _ask(request, question, f"Tick “{question.box.word}” if you mean it. Nothing was done.", 400)
    from control.services.refusal import Refused

    try:
        messages.success(request, press())
    except Refused as refused:
        return _ask(request, question, refused.sentence)
    return redirect(back, name=name) if back == "node" else redirect(back)


def _ask(request: HttpRequest, question: NodeQuestion, refused: str = "", status: int = 409) -> HttpResponse:
    context = {"question": question, "refused": refused or question.refusal}
    return render(request, "nodes/ask.html", context, status=status if refused else 200)
