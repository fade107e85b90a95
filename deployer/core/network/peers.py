"""The second witness: what a node's router sees of its peers.

Every router looks at the mesh ports of a few other nodes, once a second, by connecting: a host that accepts a
connection there is alive, whatever we ourselves can reach (`deployer/core/survival/judge.py`). No TLS: it is cheap, and
a certificate that is out of date is no sign of death.

    watched -> section -> HAProxy's checks -> show stat -> views

Peers are servers of a backend that nothing is sent to, so they come and go without a reload. Nothing here decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from deployer.core.network.endpoints import is_address, node_label
from deployer.core.network.preamble import DEFAULTS_TCP
from deployer.core.network.runtime import PROBES
from deployer.core.network.sections import Part, Section
from deployer.core.network.values import Cluster, RoutedNode, Server

WATCHED = 5
"""Peers that a router looks at, so each node is looked at by as many. All look at all would be a million checks a
second for a thousand nodes."""
PEERS = f"{PROBES}peers"
_PREFIX = "peer."
_CHECK = ("check", "inter", "1s", "fastinter", "300ms", "downinter", "1s", "rise", "1", "fall", "2")
_UNKNOWN = frozenset({"", "INI", "UNK", "SOCKERR"})


def watched(node: RoutedNode, nodes: Sequence[RoutedNode]) -> tuple[RoutedNode, ...]:
    """The next ones on a ring by a hash of their uid: a node that comes or goes changes what its neighbours do only.

    `nodes` are all others. One without an address that a router can connect to is passed over.
    """
    ring = sorted((other for other in nodes if other.uid != node.uid and is_address(other.mesh_address)), key=_place)
    after = [other for other in ring if _place(other) > _place(node)]
    return tuple([*after, *ring][: min(WATCHED, len(ring))])


def peers(cluster: Cluster) -> Part:
    """Always one backend; also for a node that has no peers (yet), so that the first one needs no reload."""
    servers = sorted(
        (_server(other, cluster.mesh_port) for other in watched(cluster.node, cluster.nodes)), key=lambda one: one.name
    )
    lines = ("mode tcp", "balance random", "timeout connect 1s", "timeout check 1s")
    return Part((Section(f"backend {PEERS} from {DEFAULTS_TCP}", lines, tuple(servers)),))


def views(stat: str) -> Mapping[str, bool | None]:
    """The label of a node (`endpoints.node_label`) -> whether the router sees it, out of what `show stat` prints.

    None while no check has come to an end: HAProxy calls a new server up until it knows better.
    """
    head, _, body = stat.partition("\n")
    columns = {name: place for place, name in enumerate(head.removeprefix("# ").rstrip().rstrip(",").split(","))}
    if not {"status", "check_status"} <= columns.keys():
        return {}
    status, found = columns["status"], columns["check_status"]
    seen: dict[str, bool | None] = {}
    for line in body.split("\n"):
        if line.startswith(f"{PEERS},{_PREFIX}"):
            row = line.split(",")
            if len(row) > max(status, found):
                seen[row[1].removeprefix(_PREFIX)] = _view(row[status], row[found].removeprefix("* "))
    return seen


def _view(status: str, found: str) -> bool | None:
    """`UP 1/2` has failed once and not twice: it is still seen."""
    if found in _UNKNOWN or "MAINT" in status:
        return None
    return status.startswith("UP")


def _server(node: RoutedNode, port: int) -> Server:
    host = f"[{node.mesh_address}]" if ":" in node.mesh_address else node.mesh_address
    return Server(f"{_PREFIX}{node_label(node.uid)}", f"{host}:{port}", _CHECK)


def _place(node: RoutedNode) -> tuple[str, str]:
    return sha256(node.uid.encode()).hexdigest(), node.uid
