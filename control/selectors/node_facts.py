"""Nodes as lists count and order them: what a line's place and its filters follow from, without a model. One query.

They are read each time: a heartbeat is written for every node, and there are few columns to read.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from control.models import Node
from control.selectors.raw import text
from control.selectors.words import WORST_FIRST, State
from deployer.core.survival.states import CUT_OFF, DEAD, RETURNING, UNKNOWN

_TROUBLE = {
    UNKNOWN: State("Unknown", "bad"), CUT_OFF: State("Cut off", "warn"), DEAD: State("Dead", "bad"),
    RETURNING: State("Returning", "busy"),
}  # fmt: skip
NOT_READY, DRAINING = State("NotReady", "bad"), State("Draining", "busy")
CORDONED, READY = State("Cordoned", "idle"), State("Ready", "good")


class Stateful(Protocol):
    """What is asked of a node here: a row, or its facts."""

    @property
    def ready(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def draining(self) -> bool: ...
    @property
    def cordoned(self) -> bool: ...


class NodeFacts(NamedTuple):
    """`router_ready` None: it was not made yet. `labels` and `taints` as JSON."""

    uid: str
    name: str
    ready: bool
    reason: str
    draining: bool
    cordoned: bool
    heartbeat_at: float
    router_ready: bool | None
    router_reason: str | None
    address: str
    engine_version: str
    labels: str
    taints: str

    @property
    def state(self) -> State:
        return state_of_node(self)

    @property
    def router(self) -> State:
        return state_of_router(self.ready, self.router_ready, self.router_reason)

    @property
    def is_stuck(self) -> bool:
        """Its router does not work, although the node is seen."""
        return bool(self.ready and self.router_ready is False and self.router_reason)


_RANK = {tone: rank for rank, tone in enumerate(WORST_FIRST)}
_COLUMNS = (
    "uid", "name", "ready", "reason", "draining", "cordoned", "heartbeat_at", "router__ready", "router__reason",
    "address", "engine_version",
)  # fmt: skip


def node_facts() -> list[NodeFacts]:
    """The worst first."""
    rows: Any = Node.objects.order_by("name").values_list(*_COLUMNS, text("labels"), text("taints"))
    found = [NodeFacts(*row) for row in rows]
    return sorted(found, key=lambda one: _RANK[one.state.tone])


def state_of_node(row: Stateful) -> State:
    if not row.ready or row.reason == RETURNING:
        return _TROUBLE.get(row.reason, NOT_READY)
    if row.draining:
        return DRAINING
    return CORDONED if row.cordoned else READY


def state_of_router(seen: bool, ready: bool | None, reason: str | None) -> State:
    if not ready and not reason:
        return State("Not made yet", "idle")
    if not seen:
        return State("Unknown", "idle")
    return State("Ready", "good") if ready else State("Not ready", "bad")
