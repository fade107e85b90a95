"""Nodes: all of them, and one."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from control.dashboard import filters
from control.dashboard.access import may, refusal
from control.dashboard.live import Page, answer
from control.dashboard.numbers import page_number
from control.selectors.node_cards import FACETS, node_list
from control.selectors.node_page import node_page

KINDS = ("Node", "Pod", "Event", "AuditEntry")
"""What a person changes of a node is written down with their name: that is how it is heard of."""


@require_safe
def nodes(request: HttpRequest) -> HttpResponse:
    asked = filters.asked(request, "words", *FACETS)
    found = node_list(asked, page_number(request), time.time())
    context = {
        "listing": found,
        "asked": asked,
        "facets": filters.links(found.facets, asked),
        "may_add": may(request, "admin"),
    }
    title = "1 node" if found.found == 1 else f"{found.found} nodes"
    page = Page(title, "nodes", KINDS, fixed="nodes/search.html")
    return answer(request, page, "nodes/list.html", context)


@require_safe
def node(request: HttpRequest, name: str) -> HttpResponse:
    found = node_page(name, page_number(request), time.time())
    if found is None:
        return refusal(request, f"Node {name} is not registered (any more).", 404)
    line = found.card.line
    context = {
        "found": found,
        "card": found.card,
        "line": line,
        "may_act": may(request, "operator"),
        "may_remove": may(request, "admin"),
    }
    return answer(request, Page(f"{name}: {line.state.word}", "nodes", KINDS), "nodes/node.html", context)
