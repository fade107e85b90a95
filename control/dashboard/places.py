"""The navigation: what every page leads to."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

PLACES = (
    ("overview", "Overview", "overview", "o"),
    ("applications", "Applications", "applications", "a"),
    ("workloads", "Workloads", "workloads", "w"),
    ("nodes", "Nodes", "nodes", "n"),
    ("network", "Network", "network", "s"),
    ("events", "Events", "events", "e"),
)
"""Section, word, name of the route, the letter that goes there after `g`."""


def places(_request: HttpRequest) -> dict[str, Any]:
    """Context processor: `places` is [(section, word, address, letter)]."""
    return {"places": [(section, word, reverse(route), letter) for section, word, route, letter in PLACES]}
