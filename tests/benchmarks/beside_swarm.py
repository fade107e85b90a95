"""A node port beside Docker Swarm's ingress (routing mesh), and a Service's address beside Swarm's virtual address.

    .venv/bin/python -m tests.benchmarks.network --only swarm [--seconds 5]

Both stand on the same three hosts at the same time, a pod or task of the same image on each, and are asked in turns by
the same wrk: round by round, so that whatever else the machine does meets both. Requests come in at the first host.
Swarm balances in the kernel (ip_vs, a module of Debian's kernels) and does not encrypt between hosts; ours is always
TLS there. Without ip_vs there is Swarm's path with NAT in its place, under a name of its own (`swarm_nat.py`).
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import swarm_nat
from tests.benchmarks.figures import OURS, show
from tests.benchmarks.rollouts import in_swarm
from tests.benchmarks.wrk import wrk
from tests.engines.control_plane import eventually
from tests.engines.hosts import Hosts
from tests.engines.net import Client

SWARM, NAT = "Docker Swarm", "Swarm's path, NAT for ip_vs"
IMAGE = "test/server:1"
CLIENTS = 8
_NETWORK, _SERVICE, _ASKER, _PORT = "bench", "bench-web", "bench-asker", 31501
_NAT_PORT = 31502
_READY_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Way:
    """How one contender is reached: its published port from this machine, its virtual address from `at`."""

    of: str
    published: str
    virtual: str
    at: Client


def has_ip_vs() -> bool:
    """Without it Swarm takes services with published ports and virtual addresses, and nothing answers there."""
    with contextlib.suppress(OSError):
        subprocess.run(["modprobe", "-q", "ip_vs"], check=False, timeout=20)
    return Path("/proc/net/ip_vs").exists()


@contextlib.contextmanager
def swarm_ways(three: Hosts) -> Iterator[list[Way]]:
    """A Swarm of the hosts with one task on each: by ip_vs if the kernel has it, and by NAT."""
    first = three[0]
    with in_swarm(three):
        first.docker("network", "create", "-d", "overlay", "--attachable", _NETWORK)
        options = ["--mode", "global", "--network", _NETWORK, "-p", f"{_PORT}:8080", "--no-resolve-image"]
        first.docker("service", "create", "-d", "--name", _SERVICE, *options, IMAGE)
        at = Client(first, _ASKER)
        try:
            published = swarm_nat.publish(three, _SERVICE, _PORT, _NAT_PORT)
            first.docker("run", "-d", "--name", _ASKER, "--network", _NETWORK, IMAGE)
            ways = [Way(NAT, published, swarm_nat.address(three, _SERVICE, _NETWORK, at, 8080), at)]
            if has_ip_vs():
                ways.insert(0, Way(SWARM, f"http://{first.ip}:{_PORT}/", f"http://{_virtual(three)}:8080/", at))
            else:
                print("Swarm's ingress and virtual addresses need ip_vs, which this kernel lacks: NAT is in its place")
            yield ways
        finally:
            first.docker("rm", "-f", _ASKER, check=False)
            first.docker("service", "rm", _SERVICE)


def compare(ways: Sequence[Way], seconds: int, rounds: int) -> None:
    """Figures of each way, and of how ours compares with Swarm's, round by round."""
    for way in ways:
        eventually(lambda url=way.published: _answers(url), _READY_SECONDS)
    for what, where, new in (
        ("a published port", "published", False),
        ("a published port, a connection for each request", "published", True),
        ("a virtual address", "virtual", False),
    ):
        found: dict[str, list[float]] = {way.of: [] for way in ways}
        waited: dict[str, list[float]] = {way.of: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                at = way.at if where == "virtual" else None
                median, rate = wrk(getattr(way, where), CLIENTS, seconds, at=at, new=new)
                found[way.of].append(rate)
                waited[way.of].append(median)
        _show(what, found)
        for of, values in waited.items():
            show(f"{what}: latency, p50, {CLIENTS} clients", values, "ms", of=of, more=True)


def _show(what: str, found: dict[str, list[float]]) -> None:
    """Of what comes in at a published port it is asked that it is as fast as Swarm's, whatever stands for ip_vs."""
    asked = {"at_least": 1.0, "aim": 1.5} if "port" in what else {}
    for of, values in found.items():
        show(f"{what}, {CLIENTS} clients", values, "requests/s", of=of, more=True)
    for of in sorted(found.keys() - {OURS}):
        ratios = [ours / theirs for ours, theirs in zip(found[OURS], found[of], strict=True)]
        show(f"{what}: throughput against {of}", ratios, "x", more=True, **asked)


def _virtual(three: Hosts) -> str:
    """The service's address on its own network; it has another one on Swarm's ingress network."""
    network = three[0].docker("network", "inspect", "-f", "{{.Id}}", _NETWORK)
    service = json.loads(three[0].docker("service", "inspect", _SERVICE))[0]
    found = (one["Addr"] for one in service["Endpoint"]["VirtualIPs"] if one["NetworkID"] == network)
    return str(next(found)).partition("/")[0]


def _answers(url: str) -> bool:
    return subprocess.run(["curl", "-sf", "-m", "2", "-o", "/dev/null", url], check=False).returncode == 0
