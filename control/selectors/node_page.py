"""One node: its card, its conditions in words, its pods page by page, its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from control.models import Node, Pod
from control.models.nodes import MESH_ADDRESS
from control.selectors.event_lines import EventLine, events_of
from control.selectors.evictions import Evictions, shown
from control.selectors.kubernetes_nodes import conditions, router_of
from control.selectors.narrowing import PAGE
from control.selectors.node_cards import NodeCard, node_cards
from control.selectors.pod_lines import PodLine, pod_lines
from control.selectors.words import Moment, State, cpus, sentence, size

DRAINED_SHOWN = 20
_CONDITIONS = {
    ("Ready", "True"): ("The engine answers", "good"),
    ("Ready", "False"): ("It was not heard of yet", "idle"),
    ("Ready", "Unknown"): ("The engine does not answer", "bad"),
    ("RouterReady", "True"): ("The router works", "good"),
    ("RouterReady", "False"): ("The router does not work", "bad"),
    ("RouterReady", "Unknown"): ("Nobody can look at the router", "idle"),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """`state`: Kubernetes' condition in a sentence."""

    state: State
    reason: str
    message: str
    since: Moment


@dataclass(frozen=True, slots=True)
class NodePage:
    """`pods` of page `number`, of `found`.

    `configured`: when its router was last told all that it is to know; `replaced`: since when its pods are made again
    elsewhere, because it is dead.
    """

    card: NodeCard
    system: str
    cpu: str
    memory: str
    reached_at: str
    created: Moment
    read: Moment
    configured: Moment
    router_failures: int
    declared_dead_by: str
    replaced: Moment
    images: int
    conditions: tuple[Condition, ...]
    pods: tuple[PodLine, ...]
    found: int
    number: int
    pages: int
    events: tuple[EventLine, ...]
    evictions: Evictions | None
    cordoned: bool
    ready: bool


def node_page(name: str, number: int, now: float) -> NodePage | None:
    """None when there is none. At most seven queries, two more where a taint evicts."""
    row = Node.objects.select_related("router").defer("credentials", "router__identity").filter(name=name).first()
    if row is None:
        return None
    (card,) = node_cards([row], now, DRAINED_SHOWN)
    router = router_of(row)
    return NodePage(
        card=card,
        system=sentence(f"{row.operating_system} ({row.architecture})"),
        cpu=cpus(row.cpu_millicores),
        memory=size(row.memory_bytes),
        reached_at=sentence(str(row.annotations.get(MESH_ADDRESS) or row.host)),
        created=Moment(row.created_at, now),
        read=Moment(row.observed_at, now),
        configured=Moment(router.applied_at if router else 0, now),
        router_failures=router.failures if router else 0,
        declared_dead_by=sentence(row.declared_dead_by),
        replaced=Moment(row.evicting_at, now),
        images=len(row.images),
        conditions=tuple(_conditions(row, now)),
        events=tuple(events_of("Node", "", row.name, now)),
        evictions=shown(row, now),
        cordoned=row.cordoned,
        ready=row.ready,
        **_pods(row, number, now),
    )


def _pods(row: Node, number: int, now: float) -> dict[str, Any]:
    """Those that are not ready stand before the others; within a page the worst come first."""
    there = Pod.objects.filter(node=row)
    found = there.count()
    pages = max(-(-found // PAGE), 1)
    number = min(max(number, 1), pages)
    ordered = there.select_related("node").defer("spec", "annotations", "placement", "node__credentials")
    rows = ordered.order_by("ready", "namespace", "name")[(number - 1) * PAGE : number * PAGE]
    lines = tuple(pod_lines(rows, now))
    return {"pods": lines, "found": found, "number": number, "pages": pages}


def _conditions(row: Node, now: float) -> Iterable[Condition]:
    router = router_of(row)
    since: Mapping[str, float] = {
        "Ready": row.reason_changed_at,
        "RouterReady": router.changed_at if router else 0,
    }
    for one in conditions(row):
        word, tone = _CONDITIONS[one["type"], one["status"]]
        yield Condition(
            state=State(word, tone),  # type: ignore[arg-type]
            reason=sentence(one.get("reason", "")),
            message=sentence(one.get("message", "")),
            since=Moment(since[one["type"]], now),
        )
