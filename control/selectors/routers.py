"""What the routers say about an object: their problems with it, and which of them do not work."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Q

from control.models import Router

_READ = ("ready", "reason", "message", "problems", "node__name", "node__ready")
_END = r"(?![\w./-]*[\w-])"
"""Behind a name: no longer name goes on here."""


@dataclass(frozen=True, slots=True)
class Routers:
    """Read once: with their nodes, by name."""

    rows: tuple[Router, ...]

    def problems_about(self, kind: str, namespace: str, name: str) -> list[str]:
        """Sentences in which "KIND NAMESPACE/NAME" is named, each with the nodes that say so."""
        about, said = re.compile(rf"\b{re.escape(f'{kind} {namespace}/{name}')}{_END}"), self._said()
        return [f"{one} (node {', '.join(said[one])})" for one in said if about.search(one)]

    def problems_of(self, kind: str) -> dict[tuple[str, str], list[str]]:
        """(namespace, name) -> the sentences that begin with this object: it does not get what it asks for."""
        subject = re.compile(rf"{kind} (?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?){_END}")
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for one in self._said():
            if match := subject.match(one):
                found[match["namespace"], match["name"]].append(one)
        return found

    def in_trouble(self) -> list[str]:
        """One sentence for each router that does not work, although its node is seen."""
        return [
            f"the router of node {router.node.name} is not ready: {router.reason}: {router.message}"
            for router in self.rows
            if router.node.ready and not router.ready and router.reason
        ]

    def _said(self) -> dict[str, list[str]]:
        """Sentence -> the nodes whose routers say it."""
        found: dict[str, list[str]] = defaultdict(list)
        for router in self.rows:
            for sentence in router.problems:
                found[str(sentence)].append(router.node.name)
        return found


def routers() -> Routers:
    """Those that have anything to say. One query."""
    silent = Q(ready=True, problems=[])
    found = Router.objects.exclude(silent).select_related("node").only(*_READ)
    return Routers(tuple(found.order_by("node__name")))


def problems_about(kind: str, namespace: str, name: str) -> list[str]:
    return routers().problems_about(kind, namespace, name)


def routers_in_trouble() -> list[str]:
    return routers().in_trouble()
