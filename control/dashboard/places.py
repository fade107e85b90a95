"""The navigation: what every page leads to."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

PLACES = (
    ("overview", "Overview", "overview"),
    ("applications", "Applications", "applications"),
    ("nodes", "Nodes", "nodes"),
    ("network", "Network", "network"),
    ("events", "Events", "events"),
)
"""Section, word, name of the route."""


def places(_request: HttpRequest) -> dict[str, Any]:
    """Context processor: `places` is [(section, word, address)]."""
    return {"places": [(section, word, reverse(route)) for section, word, route in PLACES]}
