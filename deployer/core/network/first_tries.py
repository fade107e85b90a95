"""A probe's first try, made as soon as its container runs.

    config, live -> first_tries -> a few tries in a row -> have_passed -> the servers of the configuration instead

HAProxy makes the first check of a server that is added at run time after its whole `downinter`, a second for a probe
that has not passed; and of one that it reads from its file after up to a whole `inter`. So the server of a new probe is
added with a `downinter` of QUICK first, for as long as a pass looks at it. Its digest (`runtime.marked`) is another, so
whatever becomes of that pass, the next look at the servers puts the one of the configuration in its place: no pod is
asked in quick succession for longer.

A probe that has to pass several times in a row is left alone: its period says when. So is a liveness probe, which
passes until it fails.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from deployer.core.network.probes import has_ended, has_passed
from deployer.core.network.runtime import PEERS, PROBES, Live, StatRow, marked, word_after
from deployer.core.network.values import RouterConfig, Server

QUICK = "40ms"
"""Before the first try, and between the next ones of a container that is still on its way up."""
TRIED_SECONDS = 0.25
"""After so long it is left to the usual rhythm."""


@dataclass(frozen=True, slots=True)
class FirstTries:
    """`config` is the one that was asked for, but for these `servers` (backend, name)."""

    config: RouterConfig
    servers: frozenset[tuple[str, str]]

    def have_passed(self, rows: Iterable[StatRow]) -> bool:
        """All of them, so that there is nothing left to wait for."""
        passed = {(row.proxy, row.server) for row in rows if has_passed(row)}
        return self.servers <= passed


def first_tries(config: RouterConfig, live: Live, fresh: Collection[str]) -> FirstTries | None:
    """`fresh`: the names of probes of which nothing is known. `live`: what runs. None when there is nothing to try."""
    if not fresh:
        return None
    made = {(row.proxy, row.server) for row in live.stats if row.proxy.startswith(PROBES) and has_ended(row)}
    tried: set[tuple[str, str]] = set()
    servers = dict(config.servers)
    for backend, desired in config.servers.items():
        if not backend.startswith(PROBES) or backend == PEERS:
            continue
        mine = {(backend, one.name) for one in desired if one.name in fresh and _is_eager(one)} - made
        tried |= mine
        servers[backend] = tuple(_quick(one) if (backend, one.name) in mine else one for one in desired)
    return FirstTries(replace(config, servers=servers), frozenset(tried)) if tried else None


def _is_eager(server: Server) -> bool:
    """Of a startup or readiness probe that passes by one success."""
    return word_after(server.arguments, "downinter") is not None and word_after(server.arguments, "rise") == "1"


def _quick(server: Server) -> Server:
    at = server.arguments.index("downinter") + 1
    return marked(replace(server, arguments=(*server.arguments[:at], QUICK, *server.arguments[at + 1 :])))
