"""What the routers say about an object: their problems with it, and which of them do not work."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from control.models import Router

_END = r"(?![\w./-]*[\w-])"
"""Behind a name: no longer name goes on here."""


def problems_about(kind: str, namespace: str, name: str) -> list[str]:
    """Sentences of all routers in which "KIND NAMESPACE/NAME" is named, each with the nodes that say so."""
    about = re.compile(rf"\b{re.escape(f'{kind} {namespace}/{name}')}{_END}")
    said = _said()
    return [f"{one} (node {', '.join(said[one])})" for one in said if about.search(one)]


def problems_of(kind: str) -> dict[tuple[str, str], list[str]]:
    """(namespace, name) -> the sentences that begin with this object: it is the one that does not get what it asks
    for. One query."""
    subject = re.compile(rf"{kind} (?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?){_END}")
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in _said():
        if match := subject.match(one):
            found[match["namespace"], match["name"]].append(one)
    return found


def _said() -> dict[str, list[str]]:
    """Sentence -> the nodes whose routers say it."""
    found: dict[str, list[str]] = defaultdict(list)
    for router in _routers():
        for sentence in router.problems:
            found[str(sentence)].append(router.node.name)
    return found


def routers_in_trouble() -> list[str]:
    """One sentence for each router that does not work, although its node is seen."""
    return [
        f"the router of node {router.node.name} is not ready: {router.reason}: {router.message}"
        for router in _routers()
        if router.node.ready and not router.ready and router.reason
    ]


def _routers() -> Iterator[Router]:
    yield from Router.objects.select_related("node").defer("identity").order_by("node__name")
