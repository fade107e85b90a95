"""Nodes as the first page shows them: seen or not, and how much of each is promised to pods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import BigIntegerField, Count, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from control.models import Node, Pod
from control.selectors.draining import drains
from control.selectors.kubernetes_nodes import allocatable, engine, held, router_of
from control.selectors.words import WORST_FIRST, Moment, State, cpus, sentence, size
from deployer.core.survival.states import CUT_OFF, DEAD, RETURNING, UNKNOWN

PROBLEMS = 5
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


def node_lines(now: float) -> list[NodeLine]:
    """Two queries, three when a node is drained; the worst first."""
    found = Node.objects.select_related("router").defer("credentials", "images", "annotations", "router__identity")
    rows = list(found)
    words = drains(rows)
    lines = [line for _, line in lined(rows, now, words)]
    return sorted(lines, key=worst_first)


def lined(rows: Iterable[Node], now: float, drained: Mapping[str, str] | None = None) -> list[tuple[Node, NodeLine]]:
    """`rows`, with their routers, each with its line; one query. `drained`: node uid -> what its drain waits for."""
    loads, words = _loads(), drained or {}
    return [(row, _line(row, loads.get(row.uid, (0, 0, 0)), words.get(row.uid, ""), now)) for row in rows]


def worst_first(line: NodeLine) -> tuple[int, str]:
    return (WORST_FIRST.index(line.state.tone), line.name)


def _loads() -> dict[str, tuple[int, int, int]]:
    """Node uid -> (pods, CPU millicores, memory bytes): what the scheduler counts, pods that are leaving included."""
    counted = (
        Pod.objects.filter(node__isnull=False)
        .values("node")
        .annotate(pods=Count("uid"), cpu=Sum(_placement("cpu")), memory=Sum(_placement("memory")))
    )
    return {one["node"]: (one["pods"], one["cpu"] or 0, one["memory"] or 0) for one in counted}


def _placement(key: str) -> Cast:
    return Cast(KeyTextTransform(key, "placement"), BigIntegerField())


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
