"""Nodes as the first page shows them: seen or not, and how much of each is promised to pods."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from django.db.models import Count

from control.models import Node, Pod
from control.selectors.draining import drains
from control.selectors.kubernetes_nodes import allocatable, engine, held, router_of
from control.selectors.node_facts import node_facts, state_of_node
from control.selectors.raw import KEPT, parsed, text
from control.selectors.words import WORST_FIRST, Moment, State, cpus, sentence, size

PROBLEMS = 5
_UNREAD = (
    "credentials", "images", "annotations", "labels", "taints", "witnesses", "replaced", "router__identity",
)  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class NodeSummary:
    """The `lines` that are shown, of which there are `more`; how many are `lost`, `stuck` for their router, or `well`.

    `heard_at`: the newest heartbeat of any.
    """

    lines: tuple[NodeLine, ...]
    more: int
    lost: int
    stuck: int
    well: int
    heard_at: float


NO_NODES = NodeSummary((), 0, 0, 0, 0, 0)


def node_summary(shown: int, now: float) -> NodeSummary:
    """The worst first. Three queries, four when a node is drained."""
    facts = node_facts()
    rows = Node.objects.filter(pk__in=[one.uid for one in facts[:shown]]).select_related("router").defer(*_UNREAD)
    lines = [line for _, line in lined(rows, now, drains(rows))]
    return NodeSummary(
        lines=tuple(sorted(lines, key=worst_first)),
        more=max(len(facts) - shown, 0),
        lost=sum(one.state.tone == "bad" for one in facts),
        stuck=sum(one.is_stuck for one in facts),
        well=sum(one.state.tone == "good" for one in facts),
        heard_at=max((one.heartbeat_at for one in facts), default=0),
    )


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
    pods: Any = Pod.objects.filter(node__in=nodes).order_by()
    found = dict.fromkeys(nodes, (0, 0, 0))
    for node, placement, count in pods.values_list("node_id", text("placement")).annotate(Count("uid")):
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
        state=state_of_node(row),
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


def _percent(part: int, whole: int) -> int:
    return min(round(100 * part / whole), 100) if whole else 0
