"""The network: services, ingresses, policies and certificates; one Service; and whether one may reach another."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from control.dashboard import filters
from control.dashboard.access import namespaces, refusal
from control.dashboard.live import Page, answer
from control.dashboard.numbers import page_number
from control.selectors.network_page import network_page
from control.selectors.service_lines import FACETS
from control.selectors.words import sentence

KINDS = ("Service", "Ingress", "NetworkPolicy", "Pod", "Node", "Secret", "Event")
NOT_YOURS = "That is in a namespace that you may not see."


@dataclass(frozen=True, slots=True)
class Step:
    word: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """`trouble`: why the question cannot be answered; else `headline`, and the way step by step."""

    trouble: str = ""
    headline: str = ""
    possible: bool = False
    steps: tuple[Step, ...] = ()


@require_safe
def network(request: HttpRequest) -> HttpResponse:
    asked = filters.asked(request, "words", *FACETS)
    numbers = (page_number(request), page_number(request, "ingresses"))
    found = network_page(asked, numbers, namespaces(request), time.time())
    title = f"{found.listing.found} services" + (f", {found.troubles} in trouble" if found.troubles else "")
    question = filters.asked(request, "from", "to", "port", "in")
    context = {
        "found": found,
        "asked": asked,
        "facets": filters.links(found.listing.facets, asked),
        "question": question,
        "source": question["from"],
        "reach": None if request.headers.get("HX-Request") else _reach(question, namespaces(request)),
    }
    page = Page(title, "network", KINDS, asked["namespace"], fixed="network/fixed.html")
    return answer(request, page, "network/network.html", context)


@require_safe
def service(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    from control.selectors.service_page import service_page

    visible = namespaces(request)
    seen = visible is None or namespace in visible
    found = service_page(namespace, name, page_number(request), time.time()) if seen else None
    if found is None:
        return refusal(request, f"Service {namespace}/{name} does not exist (any more).", 404)
    page = Page(f"{namespace}/{name}: {found.state.word}", "network", KINDS, namespace)
    return answer(request, page, "network/service.html", {"found": found})


def _reach(question: Mapping[str, str], visible: frozenset[str] | None) -> Answer | None:
    """None while nothing is asked."""
    if not question["from"] or not question["to"]:
        return None
    from control.selectors.kinds import NotFound
    from control.selectors.reach import BadPlace, namespaces_of, reach

    target = f"{question['to']}:{question['port']}" if question["port"] else question["to"]
    own = question["in"] or "default"
    if visible is not None and not namespaces_of(question["from"], target, own) <= visible:
        return Answer(trouble=NOT_YOURS)
    try:
        found = reach(question["from"], target, own)
    except (BadPlace, NotFound) as error:
        said = sentence(str(error))
        return Answer(trouble=said if visible is None else said.partition(";")[0])
    verb = "reaches" if found.answer.possible else "does not reach"
    headline = sentence(f"{found.source} {verb} {found.target} on port {found.port}")
    words = [sentence(step) for step in found.answer.steps]
    if visible is not None:
        words = [word.partition(";")[0] for word in words]
    return Answer("", headline, found.answer.possible, tuple(_steps(words, possible=found.answer.possible)))


def _steps(words: list[str], *, possible: bool) -> list[Step]:
    """The last one is what stops it, if anything does."""
    return [Step(word, possible or place < len(words) - 1) for place, word in enumerate(words)]
