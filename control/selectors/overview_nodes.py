"""Nodes as the first page shows them: seen or not, and how much of each is promised to pods."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from django.db.models import Count, Value
from django.db.models.functions import Coalesce

from control.models import Node, Pod
from control.selectors.draining import drains
from control.selectors.kubernetes_nodes import allocatable, engine, held, router_of
from control.selectors.raw import KEPT, parsed, text
from control.selectors.words import WORST_FIRST, Moment, State, cpus, sentence, size
from deployer.core.survival.states import CUT_OFF, DEAD, RETURNING, UNKNOWN

PROBLEMS = 5
FEW = 20
"""Nodes; for more of them the pods of all are read in one go, which costs less than looking up each."""
_UNREAD = (
    "credentials", "images", "annotations", "labels", "taints", "witnesses", "replaced", "router__identity",
)  # fmt: skip
_TROUBLE = {
    UNKNOWN: State("Unknown", "bad"), CUT_OFF: State("Cut off", "warn"), DEAD: State("Dead", "bad"),
    RETURNING: State("Returning", "busy"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Capacity:
    """What pods request of what they may request together. `percent` is 0 to 100, for a bar."""

    requested: str
    allocatable: str
    percent: int

    @property
    def full(self) -> bool:
        return self.percent >= 90


@dataclass(frozen=True, slots=True)
class NodeLine:
    name: str
    engine: str
    simulated: bool
    state: State
    message: str
    changed: Moment
    heard: Moment
    pods: int
    cpu: Capacity
    memory: Capacity
    router: str  # why its router does not work, "" when it does or was not made yet
    problems: tuple[str, ...]  # what its router could not be told
    drain: str  # what is left on a node that is drained, and what that waits for

    @property
    def still(self) -> NodeLine:
        """Without what is another at every heartbeat: for rows that do not show it, and are kept while they rest."""
        return replace(self, heard=Moment(0, 0))


def node_lines(now: float) -> list[NodeLine]:
    """Two queries, three when a node is drained; the worst first."""
    rows = list(Node.objects.select_related("router").defer(*_UNREAD))
    words = drains(rows)
    lines = [line for _, line in lined(rows, now, words)]
    return sorted(lines, key=worst_first)


def lined(rows: Iterable[Node], now: float, drained: Mapping[str, str] | None = None) -> list[tuple[Node, NodeLine]]:
    """`rows`, with their routers, each with its line; one query. `drained`: node uid -> what its drain waits for."""
    those, words = list(rows), drained or {}
    loads = _loads([row.uid for row in those])
    return [(row, _line(row, loads.get(row.uid, (0, 0, 0)), words.get(row.uid, ""), now)) for row in those]


def worst_first(line: NodeLine) -> tuple[int, str]:
    return (WORST_FIRST.index(line.state.tone), line.name)


def _loads(nodes: Collection[str]) -> dict[str, tuple[int, int, int]]:
    """Node uid -> (pods, CPU millicores, memory bytes): what the scheduler counts, pods that are leaving included.

    The pods of a revision are placed alike: the database counts them, and each placement is parsed once.
    """
    pods: Any = Pod.objects.filter(node__in=nodes) if len(nodes) < FEW else Pod.objects.all()
    place = Coalesce("node_id", Value(""))  # as it stands there is an index on it, by which each row is looked up apart
    counted = pods.order_by().values_list(place, text("placement")).annotate(Count("uid"))
    found = dict.fromkeys(nodes, (0, 0, 0))
    for node, placement, count in counted:
        if node in found:
            (there, cpu, memory), (more_cpu, more_memory) = found[node], _asked(placement)
            found[node] = (there + count, cpu + count * more_cpu, memory + count * more_memory)
    return found


@lru_cache(KEPT)
def _asked(placement: str) -> tuple[int, int]:
    """Of one pod: CPU millicores, memory bytes."""
    asked = parsed(placement)
    return int(asked.get("cpu") or 0), int(asked.get("memory") or 0)


def _line(row: Node, load: tuple[int, int, int], drain: str, now: float) -> NodeLine:
    pods, cpu, memory = load
    cpu_room, memory_room = allocatable(row)
    return NodeLine(
        name=row.name,
        engine=sentence(engine(row).replace("docker://", "Docker ")),
        simulated=row.is_simulated,
        state=_state(row),
        message="" if row.ready else sentence(held(row)),
        changed=Moment(row.reason_changed_at, now),
        heard=Moment(row.heartbeat_at, now),
        pods=pods,
        cpu=Capacity(cpus(cpu), cpus(cpu_room), _percent(cpu, cpu_room)),
        memory=Capacity(size(memory), size(memory_room), _percent(memory, memory_room)),
        router=_router(row),
        problems=_problems(row),
        drain=sentence(drain),
    )


def _router(row: Node) -> str:
    router = router_of(row)
    if not row.ready or router is None or router.ready or not router.reason:
        return ""
    return sentence(f"{router.reason}: {router.message}" if router.message else router.reason)


def _problems(row: Node) -> tuple[str, ...]:
    router = router_of(row)
    return tuple(sentence(str(one)) for one in router.problems[:PROBLEMS]) if router is not None and row.ready else ()


def _state(row: Node) -> State:
    if not row.ready or row.reason == RETURNING:
        return _TROUBLE.get(row.reason, State("NotReady", "bad"))
    if row.draining:
        return State("Draining", "busy")
    return State("Cordoned", "idle") if row.cordoned else State("Ready", "good")


def _percent(part: int, whole: int) -> int:
    return min(round(100 * part / whole), 100) if whole else 0
