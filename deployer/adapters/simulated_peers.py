"""What simulated routers see of one another: the checks that HAProxy would have made by now (`core/network/peers.py`).

Nothing runs in between. A check stands on record as it was when its router was last looked at, and `advance` makes all
that have come due since, each against the network as it was at that moment: `Sight` remembers when cables and routers
came and went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from deployer.adapters.simulated_host import SimulatedHost
from deployer.adapters.simulated_lifecycle import Record
from deployer.adapters.simulated_routing import Check, HeldServer, Routing, hosts_by_address, router_of
from deployer.core.network.runtime import PEERS

_PAUSE_SECONDS, _SOON_SECONDS, _TIMEOUT_SECONDS = 1.0, 0.3, 1.0
_REMEMBERED_SECONDS = 60.0
"""Longer than any check needs to forget what was before."""
_HEALTHY = 2
Sight = Callable[[float], str]
"""What a check that begins at this time finds, in HAProxy's words."""


def sights(host: SimulatedHost, cluster_id: str, servers: Iterable[HeldServer], now: float) -> dict[str, Sight]:
    """By address, of the simulated hosts that the router on `host` watches. Outside of every transaction."""
    wanted = {server.host for server in servers if server.backend == PEERS}
    names = hosts_by_address(host) if wanted else {}
    return {one: _sight(host, names[one], cluster_id, now) if one in names else _nobody for one in sorted(wanted)}


def advance(routing: Routing, watched: Mapping[str, Sight], now: float) -> None:
    """Make the checks that have come to an end by `now`. In a transaction of the host."""
    for server in routing.servers():
        if server.backend == PEERS and server.host in watched and server.is_checked and server.state == "ready":
            _advance(server, watched[server.host], now)
            routing.keep(server)


def _advance(server: HeldServer, sight: Sight, now: float) -> None:
    check = server.check = server.check or Check(next_at=server.since + _PAUSE_SECONDS, changed_at=server.since)
    check.next_at = max(check.next_at, now - _REMEMBERED_SECONDS)
    while True:
        found = sight(check.next_at)
        ends_at = check.next_at + (_TIMEOUT_SECONDS if found == "L4TOUT" else 0.0)
        if ends_at > now:
            return
        _end(check, found, ends_at)


def _end(check: Check, found: str, at: float) -> None:
    """Two failures in a row take it down, one success brings it back."""
    was_up = check.health > 0
    check.failures += was_up and found != "L4OK"
    check.health = _HEALTHY if found == "L4OK" else max(0, check.health - 1)
    check.found, check.changed_at = found, check.changed_at if was_up == (check.health > 0) else at
    check.next_at = at + (_SOON_SECONDS if check.health == 1 else _PAUSE_SECONDS)


def _sight(host: SimulatedHost, name: str, cluster_id: str, now: float) -> Sight:
    peer = SimulatedHost(name, host.run_dir, host.clock, host.sleep)
    with peer.looking(now) as records:
        router = router_of(records, cluster_id, running=False)
        runs = [(one.state == "running", one.started_at, one.finished_at) for one in _parts(router, records)]

    link = host.link_to(peer)

    def found(at: float) -> str:
        if not link(at):
            return "L4TOUT"
        return "L4OK" if runs and all(_ran(*run, at) for run in runs) else "L4CON"

    return found


def _nobody(_at: float) -> str:
    """No simulated host has this address."""
    return "L4TOUT"


def _parts(router: Record | None, records: dict[str, Record]) -> list[Record]:
    """The router and whoever holds its network."""
    if router is None:
        return []
    return [router, records.get(router.network.removeprefix("container:"), router)]


def _ran(runs: bool, started_at: float, finished_at: float, at: float) -> bool:
    """Whether it ran at that time, as far as its last run and the end of the one before tell."""
    return (runs and at >= started_at) or at < finished_at
