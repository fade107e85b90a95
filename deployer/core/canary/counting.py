"""From the routers' counters to what one look counted: of the canary, and of the stable pods.

    Counters of each node, what was kept of the last look -> Reading, what is to be kept

A pod is told by the name of its server, wherever it stands: stable pods behind the canary's own backend as backup are
stable there too. Latencies are told by their revision, in the backends that have one of the servers.

- The first look at a node only shows where its counters stand. A pod that comes later starts at zero.
- A counter that shrank began anew (a reload zeroes all) and counts from zero.
- A node that could not be read keeps its last counters: the next look at it has what both of them had, and nothing is
  lost or counted twice.

Nothing here knows a clock, a socket or a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deployer.core.network.measurements import NO_BUCKETS, Amount, Counters, added


@dataclass(frozen=True, slots=True)
class Sides:
    """Who is who. Servers by their names in the routers ("shop.web-5d8f7-x2x"), and revisions of the same workload."""

    canary: frozenset[str]
    stable: frozenset[str]
    canary_revisions: frozenset[int]
    stable_revisions: frozenset[int]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was counted since the last look. `unread`: nodes that could not be read this time, by name."""

    canary: Amount = field(default_factory=Amount)
    stable: Amount = field(default_factory=Amount)
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerRow:
    backend: str
    server: str
    requests: int
    errors: int


@dataclass(frozen=True, slots=True)
class LatencyRow:
    backend: str
    revision: int
    buckets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeptNode:
    """The workload's own counters of one router, at the last look that succeeded. In order, so that equal is equal."""

    servers: tuple[ServerRow, ...] = ()
    latencies: tuple[LatencyRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """JSON by pydantic's `TypeAdapter(Kept)`. By node."""

    nodes: Mapping[str, KeptNode] = field(default_factory=dict)


def counted(kept: Kept, looks: Mapping[str, Counters | None], sides: Sides) -> tuple[Kept, Reading | None]:
    """`looks`: by node; None where it could not be read. The reading is None when no node could be.

    Example: a node had 100 requests of a pod, could not be read once, and has 160 now: 60, in this look.
    """
    read = {node: _own(look, sides) for node, look in looks.items() if look is not None}
    unread = tuple(sorted(node for node, look in looks.items() if look is None))
    if not read:
        return kept, None
    canary, stable = Amount(), Amount()
    for node, now in read.items():
        if (before := kept.nodes.get(node)) is not None:
            ours, theirs = _sides(added(_counters(before), now), sides)
            canary, stable = canary + ours, stable + theirs
    nodes = {**kept.nodes, **{node: _kept(kept.nodes.get(node, KeptNode()), now) for node, now in read.items()}}
    return Kept(dict(sorted(nodes.items()))), Reading(canary, stable, unread)


def _own(look: Counters, sides: Sides) -> Counters:
    """The rows of the workload's pods, and latencies of its revisions where one of its pods is a server."""
    servers = {key: counts for key, counts in look.servers.items() if key[1] in sides.canary | sides.stable}
    backends = {backend for backend, _ in servers}
    revisions = sides.canary_revisions | sides.stable_revisions
    return Counters(
        servers,
        {key: counts for key, counts in look.latencies.items() if key[0] in backends and key[1] in revisions},
    )


def _sides(more: Counters, sides: Sides) -> tuple[Amount, Amount]:
    return (
        _amount(more, sides.canary, sides.canary_revisions),
        _amount(more, sides.stable - sides.canary, sides.stable_revisions - sides.canary_revisions),
    )


def _amount(more: Counters, servers: frozenset[str], revisions: frozenset[int]) -> Amount:
    rows = [counts for (_, server), counts in more.servers.items() if server in servers]
    buckets = _total(counts for (_, revision), counts in more.latencies.items() if revision in revisions)
    return Amount(sum(requests for requests, _ in rows), sum(errors for _, errors in rows), buckets)


def _total(rows: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(NO_BUCKETS, *rows, strict=True)))


def _counters(kept: KeptNode) -> Counters:
    return Counters(
        {(row.backend, row.server): (row.requests, row.errors) for row in kept.servers},
        {(row.backend, row.revision): row.buckets for row in kept.latencies},
    )


def _kept(before: KeptNode, now: Counters) -> KeptNode:
    """A row that is not seen for once keeps its last counts: it is not counted a second time when it is there again."""
    known = _counters(before)
    servers, latencies = {**known.servers, **now.servers}, {**known.latencies, **now.latencies}
    return KeptNode(
        tuple(ServerRow(*key, *counts) for key, counts in sorted(servers.items())),
        tuple(LatencyRow(*key, counts) for key, counts in sorted(latencies.items())),
    )
