"""What a node's router sees of its peers: the mesh ports of a few other nodes, watched every second.

    Cluster -> watched -> a backend that nothing is sent to -> HAProxy's checks -> show stat -> peer_views

It is a second witness, beside the control plane's own heartbeat, of whether a host is alive. The check only connects:
it must be cheap, and a certificate that has expired is no sign of death. So it tells of the host and its network, not
of what runs there: a router that is stopped in its tracks still has a kernel that accepts connections.

Nodes form a ring, ordered by a hash of their uids; each watches the next WATCHED ones. So everybody is watched by as
many, up to WATCHED + 1 nodes all watch one another, and a node that joins or leaves changes few assignments. A node
that is Unknown or Dead stays watched: its peers are the first to notice that it is back.

A silent peer is found down after 3.3 s at the latest (a pause, a timeout, a short pause, a timeout: 1 + 1 + 0.3 + 1),
one that refuses connections after 1.3 s; one that is back is seen after 2 s at the latest (a check that was under way
times out, a pause). So a router whose own host was cut off says for so long that it sees nobody. Nobody is down for a
single failure: HAProxy 2.6 says so when its very first check has failed, and is not believed before it had the time
for another (`probes.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployer.core.network.endpoints import is_address, node_label
from deployer.core.network.preamble import DEFAULTS_TCP
from deployer.core.network.runtime import PEERS, read_cells
from deployer.core.network.sections import Part, Section
from deployer.core.network.values import Cluster, RoutedNode, Server

WATCHED = 5
_PREFIX = "peer."
"""With the dot that makes it a server which comes and goes while HAProxy runs (`runtime.py`)."""
_LINES = ("mode tcp", "balance random", "timeout connect 1s", "timeout check 1s")
_FALL = 2
_CHECK = ("check", "inter", "1s", "fastinter", "300ms", "downinter", "1s", "rise", "1", "fall", str(_FALL))
_SURE_SECONDS = 3
"""Down for so long, as HAProxy counts whole seconds: a pause and a timeout of 1 s each are over since."""
_COLUMNS = ("svname", "status", "check_status", "chkfail", "lastchg")
_FINISHED = ("L4OK", "L4CON", "L4TOUT")
"""Anything else is no finding: INI before the first check, SOCKERR for trouble of the router's own."""


def watched(node: RoutedNode, nodes: Sequence[RoutedNode]) -> tuple[RoutedNode, ...]:
    """The peers that `node`'s router watches: the next ones on the ring, of those that have an address.

    Example: six nodes on the ring are a b c d e f; d watches e f a b c. With a seventh, g: e f g a b.
    """
    peers = sorted((one for one in nodes if one.uid != node.uid and is_address(one.mesh_address)), key=_place)
    later = [one for one in peers if _place(one) > _place(node)]
    return tuple([*later, *peers[: len(peers) - len(later)]][:WATCHED])


def peer_checks(cluster: Cluster) -> Part:
    """One backend that is always there; which peers it watches changes while HAProxy runs."""
    servers = tuple(_server(one, cluster.mesh_port) for one in watched(cluster.node, cluster.nodes))
    return Part((Section(f"backend {PEERS} from {DEFAULTS_TCP}", _LINES, servers),))


def peer_views(stat: str) -> Mapping[str, bool | None]:
    """`endpoints.node_label(uid)` of each watched peer -> whether it is seen, out of what `show stat` prints.

    True: it was found up, and not twice in a row down since. False: it was found down at least twice in a row. None:
    not known (yet), as after a reload of HAProxy, which forgets. No peers, or no statistics, is an empty mapping.
    """
    cells = read_cells(stat, f"{PEERS},", _COLUMNS)
    return {name.removeprefix(_PREFIX): _view(*found) for name, *found in cells if name.startswith(_PREFIX)}


def _place(node: RoutedNode) -> tuple[str, str]:
    return node_label(node.uid), node.uid


def _server(peer: RoutedNode, port: int) -> Server:
    host = f"[{peer.mesh_address}]" if ":" in peer.mesh_address else peer.mesh_address
    return Server(f"{_PREFIX}{node_label(peer.uid)}", f"{host}:{port}", _CHECK)


def _view(status: str, found: str, failures: str, changed: str) -> bool | None:
    """`status` such as "UP", "UP 1/2" (failed once), "DOWN", "MAINT". "* " marks a check that is under way.

    `failures` while it was up, and seconds since it last `changed`, as text.
    """
    if found.removeprefix("* ") not in _FINISHED:
        return None
    if status.startswith("UP"):
        return True
    is_sure = int(failures or 0) >= _FALL or int(changed or 0) >= _SURE_SECONDS
    return False if status.startswith("DOWN") and is_sure else None
