"""Nodes as their own page lists them: what we hear of each, what its peers say, what it holds, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from control.models import Node, Pod
from control.selectors.draining import why_there
from control.selectors.expiry import Expiry, expiry
from control.selectors.kubernetes_nodes import held, router_of
from control.selectors.narrowing import Narrowed, narrow
from control.selectors.node_facts import NodeFacts, node_facts, state_of_router
from control.selectors.overview_nodes import NodeLine, lined, worst_first
from control.selectors.raw import parsed
from control.selectors.words import State, sentence
from deployer.core.taint import taint_of

DRAINED_SHOWN, PROBLEMS = 5, 20
_READ = ("uid", "namespace", "name", "node", "deleted_at", "orphaned", "claimed_owner", "message")


@dataclass(frozen=True, slots=True)
class Leaving:
    """A pod that is still on a node that is drained. `why` "" while nobody has looked at it yet."""

    namespace: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Drain:
    """How far a drain is. `pods`: some of those that are left; `more` are not listed."""

    left: int
    total: int
    pods: tuple[Leaving, ...]
    more: int

    @property
    def percent(self) -> int:
        return 100 * (self.total - self.left) // self.total if self.total else 100

    @property
    def words(self) -> str:
        return f"{self.total - self.left} of {self.total} pods moved"


@dataclass(frozen=True, slots=True)
class RouterCard:
    """`message`: why it is not ready; `problems`: what it could not be told, of which `more` are not listed."""

    state: State
    message: str
    problems: tuple[str, ...]
    more: int
    certificate: Expiry | None


@dataclass(frozen=True, slots=True)
class NodeCard:
    """`heard`: what our own heartbeat says; `sees`, `sees_not`: the peers that were asked, with their answers."""

    line: NodeLine
    address: str
    labels: tuple[str, ...]
    taints: tuple[str, ...]
    heard: str
    sees: tuple[str, ...]
    sees_not: tuple[str, ...]
    drain: Drain | None
    router: RouterCard


FACETS: Mapping[str, Callable[[NodeFacts], str]] = {
    "state": lambda one: one.state.word,
    "router": lambda one: one.router.word,
}


def node_list(asked: Mapping[str, str], number: int, now: float) -> Narrowed[NodeCard]:
    """The worst first. Three queries, four while a node is drained."""
    found = narrow(node_facts(), asked, FACETS, _searched, number)
    rows = Node.objects.filter(pk__in=[one.uid for one in found.lines]).select_related("router")
    cards = node_cards(rows.defer("credentials", "images", "router__identity"), now)
    return Narrowed(tuple(cards), found.found, found.total, found.number, found.pages, found.facets)


def _searched(one: NodeFacts) -> str:
    labels = " ".join(f"{key}={value}" for key, value in parsed(one.labels).items())
    taints = " ".join(taint_words(taint) for taint in parsed(one.taints))
    engine = "simulated" if one.address.startswith("sim://") else f"Docker {one.engine_version}"
    return f"{one.name} {one.address} {engine} {labels} {taints}"


def node_cards(rows: Iterable[Node], now: float, shown: int = DRAINED_SHOWN) -> list[NodeCard]:
    """`rows` with their routers. `shown`: so many pods are named of a node that is drained."""
    found = list(rows)
    left = _left(row for row in found if row.draining)
    cards = [_card(row, line, left.get(row.uid), shown, now) for row, line in lined(found, now)]
    return sorted(cards, key=lambda card: worst_first(card.line))


def taint_words(taint: Mapping[str, str]) -> str:
    return sentence(str(taint_of(taint)))


def _card(row: Node, line: NodeLine, left: list[Pod] | None, shown: int, now: float) -> NodeCard:
    said = sorted(row.witnesses.items())
    return NodeCard(
        line=line,
        address=sentence(row.address),
        labels=tuple(sentence(f"{key}={value}") for key, value in sorted(row.labels.items())),
        taints=tuple(taint_words(one) for one in row.taints),
        heard="it answers" if row.ready else sentence(held(row)),
        sees=tuple(sentence(peer) for peer, sees in said if sees),
        sees_not=tuple(sentence(peer) for peer, sees in said if not sees),
        drain=None if left is None else _drain(row, left, shown),
        router=_router(row, now),
    )


def _left(rows: Iterable[Node]) -> dict[str, list[Pod]]:
    """Node uid -> the pods that are there still, of those that are drained; no query when none is."""
    found: dict[str, list[Pod]] = {row.uid: [] for row in rows}
    if found:
        pods = Pod.objects.filter(node__in=found).only(*_READ)
        for pod in pods.order_by("namespace", "name"):
            found[str(pod.node_id)].append(pod)
    return found


def _drain(row: Node, left: list[Pod], shown: int) -> Drain:
    named = tuple(Leaving(pod.namespace, pod.name, sentence(why_there(pod))) for pod in left[:shown])
    return Drain(len(left), max(row.drain_pods, len(left)), named, len(left) - len(named))


def _router(row: Node, now: float) -> RouterCard:
    router = router_of(row)
    if router is None or not (router.ready or router.reason):
        return RouterCard(state_of_router(row.ready, None, None), "", (), 0, None)
    return RouterCard(
        state=state_of_router(row.ready, router.ready, router.reason),
        message="" if router.ready else sentence(": ".join(filter(None, (router.reason, router.message)))),
        problems=tuple(sentence(str(one)) for one in router.problems[:PROBLEMS]),
        more=max(len(router.problems) - PROBLEMS, 0),
        certificate=expiry(router.expires_at, now, renewed=True),
    )
