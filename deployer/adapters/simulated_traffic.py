"""Traffic that simulated routers count because somebody dials it: nothing flows in a simulation.

    count(engine, "svc.shop.web.80", "shop.web-1", requests=100, errors=3, buckets={5: 97, 9: 3})
    send(engine, "svc.shop.web.80", 1000, {7: Answers(errors=0.1)})   # chosen as the router would choose

What was counted is in `show stat` and in the latency table, in HAProxy's columns. As there, a reload begins at zero,
and so does a server that was deleted and comes back.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from deployer.adapters.simulated import SimulatedEngine
from deployer.adapters.simulated_routing import HeldServer, Routing, addresses_with_a_program, router_of
from deployer.core.canary.values import WHOLE
from deployer.core.network.latency import TABLE
from deployer.core.network.measurements import BOUNDS_MILLISECONDS, BUCKETS
from deployer.core.network.splits import canary_backend

_REVISIONS, _WEIGHTS = "/maps/revisions.map", "/maps/weights.map"


@dataclass(frozen=True, slots=True)
class Answers:
    """How the pods of one revision answer: shares of 0 to 1 that fail or are slow, and how long answers take."""

    errors: float = 0.0
    slow: float = 0.0
    milliseconds: float = 5.0
    slow_milliseconds: float = 1000.0


def count(
    engine: SimulatedEngine,
    backend: str,
    server: str,
    *,
    requests: int = 0,
    errors: int = 0,
    refused: int = 0,
    buckets: Mapping[int, int] | None = None,
) -> None:
    """Adds to what the router on that host has counted. `errors` were answered with 5xx, `refused` were not taken;
    both are among `requests`. `buckets`: number (0 to 15) of the latency bucket -> answers. LookupError for a server
    that is not there."""
    with _changing(engine) as routing:
        held = routing.server(f"{backend}/{server}")
        if held is None:
            raise LookupError(f"the router of {engine.host.name} has no server {backend}/{server}")
        _count(routing, held, requests, errors, refused, buckets or {})


def send(
    engine: SimulatedEngine, backend: str, requests: int, answers: Mapping[int, Answers] | None = None
) -> dict[str, int]:
    """Requests to a service port, spread as the router would in the long run: by weight between the canary and the
    others, then evenly; backups serve when nobody else is up. Fractions are remembered until they are whole.

    `answers`: by revision, all are well without. Returns how many each "backend/server" got; nobody up: none do.
    """
    with _changing(engine) as routing:
        listening = addresses_with_a_program(engine.host.records())
        found: dict[str, int] = {}
        for name, share in _shares(routing, backend, requests):
            servers = _serving(routing, name, listening)
            for held in servers:
                got = _whole(routing, held.which, share / len(servers))
                said = (answers or {}).get(int(_entries(routing, _REVISIONS).get(held.name, "0")), Answers())
                _answer(routing, held, got, said)
                found[held.which] = got
        return found


@contextmanager
def _changing(engine: SimulatedEngine) -> Iterator[Routing]:
    now = engine.host.clock.now()
    with engine.host.changing(now) as records:
        record = router_of(records, engine.cluster_id)
        if record is None:
            raise LookupError(f"no router runs on {engine.host.name}")
        yield Routing(engine.host.state, record, now)


def _shares(routing: Routing, backend: str, requests: int) -> Iterator[tuple[str, float]]:
    canary = canary_backend(backend)
    weight = int(_entries(routing, _WEIGHTS).get(backend, "0"))
    if not any(one.backend == canary and one.state == "ready" for one in routing.servers()):
        weight = 0
    yield backend, requests * (WHOLE - weight) / WHOLE
    yield canary, requests * weight / WHOLE


def _serving(routing: Routing, backend: str, listening: Iterable[str]) -> list[HeldServer]:
    there = [one for one in routing.servers() if one.backend == backend and one.state == "ready"]
    up = [one for one in there if not one.is_checked or one.sni or one.host in listening]
    return [one for one in up if "backup" not in one.arguments] or up


def _answer(routing: Routing, held: HeldServer, requests: int, said: Answers) -> None:
    errors = min(requests, _whole(routing, f"{held.which} errors", requests * said.errors))
    slow = min(requests, _whole(routing, f"{held.which} slow", requests * said.slow))
    buckets = {_bucket(said.milliseconds): requests - slow}
    buckets[_bucket(said.slow_milliseconds)] = buckets.get(_bucket(said.slow_milliseconds), 0) + slow
    _count(routing, held, requests, errors, 0, buckets)


def _count(
    routing: Routing, held: HeldServer, requests: int, errors: int, refused: int, buckets: Mapping[int, int]
) -> None:
    is_http = routing.loaded.speaks_http(held.backend)
    fine = max(0, requests - errors - refused) if is_http else 0
    fresh = {
        "stot": requests, "lbtot": requests, "econ": refused, "hrsp_2xx": fine, "hrsp_5xx": errors if is_http else 0,
        "eresp": 0 if is_http else errors,
    }  # fmt: skip
    routing.add_counts(held.which, {name: number for name, number in fresh.items() if number})
    if is_http and any(buckets.values()):
        revision = _entries(routing, _REVISIONS).get(held.name, "0")
        routing.add_latencies(TABLE, f"{held.backend}|{revision}", [buckets.get(n, 0) for n in range(BUCKETS)])


def _whole(routing: Routing, name: str, amount: float) -> int:
    """What is whole of it, together with what was left over the last time."""
    owed = routing.owed(name) + amount
    found = int(owed + 1e-6)
    routing.owe(name, owed - found)
    return found


def _bucket(milliseconds: float) -> int:
    """Bounds are inclusive: 2 ms is bucket 1, 2.1 ms bucket 2, beyond the last bound bucket 15."""
    return bisect_left(BOUNDS_MILLISECONDS, milliseconds)


def _entries(routing: Routing, ending: str) -> Mapping[str, str]:
    path = next((path for path in routing.maps() if path.endswith(ending)), "")
    held = routing.map(path)
    return dict(held.entries) if held else {}
