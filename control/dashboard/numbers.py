"""Numbers out of addresses, which anybody may have written."""

from __future__ import annotations

from django.http import HttpRequest


def page_number(request: HttpRequest, name: str = "page") -> int:
    """1 for what is no page."""
    return number(request, name) or 1


def number(request: HttpRequest, name: str, digits: int = 6) -> int:
    """0 for what is none."""
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else 0
