"""Pages that move: the same view answers the page, and to htmx the part of it that moves.

The page's stream (`stream.py`) says when to ask; `seen` is a digest of what the reader sees, so that an answer that
would be the same again is 204 and nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from control.selectors.changes import newest

_FORM_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')


@dataclass(frozen=True, slots=True)
class Page:
    """`title` tells the state. `section` is the entry of the navigation; `kinds` to `name` say whose changes count."""

    title: str
    section: str
    kinds: tuple[str, ...] = ()
    namespace: str = ""
    name: str = ""
    fixed: str = ""  # a template for what does not move, such as a form of filters, above what does

    def stream(self, version: int) -> str:
        asked = {"kind": ",".join(self.kinds), "namespace": self.namespace, "name": self.name, "since": version}
        return urlencode({key: value for key, value in asked.items() if value})


def answer(request: HttpRequest, page: Page, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """`template` renders the moving part, with `context`; it must hold nothing that a person types into."""
    asked_by_htmx = bool(request.headers.get("HX-Request"))
    version = newest()
    live = render_to_string(template, {**context, "page": page}, request)
    seen = hashlib.sha256(_FORM_TOKEN.sub("", live).encode()).hexdigest()[:16]
    if asked_by_htmx and request.GET.get("seen") == seen:
        return HttpResponse(status=204)
    shown = {
        **context, "layout": "bare.html" if asked_by_htmx else "base.html", "page": page, "live": live, "seen": seen,
        "stream": page.stream(version), "here": request.get_full_path(),
    }  # fmt: skip
    return render(request, "live.html", shown)
