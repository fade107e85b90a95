"""A host loses power on three real hosts: Pierhead, and Docker Swarm on the same hosts in the same run.

    .venv/bin/python -m tests.benchmarks.failover [--rounds 5] [--only pierhead|swarm|restart]

From power-off until all replicas run elsewhere (ready, by each one's own word), and for how long a client on another
host saw errors. `restart`: the control plane is killed (-9, all of it), an image is pushed meanwhile, and it is started
again: until its first new container runs. Hosts, control planes, clients and servers share the machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.figures import OURS, show
from tests.benchmarks.rollouts import in_swarm
from tests.engines import images
from tests.engines.control_plane import control_plane, deployment, eventually
from tests.engines.hosts import Host, Hosts, hosts
from tests.engines.load import load
from tests.engines.net import SLEEP, address, client, served, service
from tests.engines.router_image import router, server
from tests.engines.shop import Shop

REPLICAS = 6
READY = "readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1, failureThreshold: 1}"
CALLER = deployment("caller", image="test/web:1", replicas=1, command=SLEEP)
Figures = dict[str, list[float]]
BARS = {
    "power-off -> all ready elsewhere, s": (10.0, 6.0),
    "client's time with errors, s": (3.0, 2.0),
    "control plane started again -> converging, s": (10.0, 5.0),
}


def web(version: str = "1") -> str:
    return deployment("web", image=f"test/server:{version}", replicas=REPLICAS, container=READY)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=tuple(MEASURES))
    options = parser.parse_args()
    figures: Figures = defaultdict(list)
    with hosts(3) as three:
        for archive in (router(), images.web("test/web:1"), server("test/server:1"), server("test/server:2")):
            three.load(archive)
        for name, measure in MEASURES.items():
            if options.only in (None, name):
                measure(three, options.rounds, figures)
    report(figures)


def pierhead(three: Hosts, rounds: int, figures: Figures) -> None:
    with control_plane() as plane, tempfile.TemporaryDirectory() as folder:
        for host in three:
            plane.add(host)
        shop = Shop.open(plane, three, Path(folder), web(), service("web"), CALLER)
        shop.sync("--wait")
        for _ in range(rounds):
            _lose_one(shop, figures)
        plane.manage("application", "remove", shop.name)
        shop.wait(lambda: not shop.containers(all_of_them=True), 60)


def _lose_one(shop: Shop, figures: Figures) -> None:
    at = client(shop, "caller")
    served(shop, at, "web", "/")
    doomed = next(host for host in shop.hosts if host is not at.host and _pods_on(shop, host.name))
    with load(at.host, at.container, f"{address(shop, 'web')}:80", pause=0.005, post=False) as running:
        began = time.monotonic()
        doomed.power_off()
        figures["Pierhead: power-off -> found dead, s"].append(_until(lambda: _is_dead(shop, doomed), began))
        figures["Pierhead: power-off -> all ready elsewhere, s"].append(
            _until(lambda: len(_ready_elsewhere(shop, doomed)) == REPLICAS + 1, began)
        )
    figures["Pierhead: client's time with errors, s"].append(running.result.last - running.result.first)
    figures["Pierhead: failed GETs"].append(running.result.failed)
    doomed.power_on()
    shop.wait(lambda: not _is_dead(shop, doomed), 60)
    shop.wait(lambda: not _pods_on(shop, doomed.name), 60)
    shop.push(web(), service("web"), CALLER, deployment("filler", image="test/web:1", replicas=3, command=SLEEP))
    shop.sync("--wait")  # moves something back, so that the next round's host has work
    shop.plane.manage("rollout", "restart", "deployment/web", "-n", shop.name)
    shop.plane.manage("rollout", "status", "deployment/web", "-n", shop.name)
    shop.push(web(), service("web"), CALLER)
    shop.sync("--wait")


def _is_dead(shop: Shop, host: Host) -> bool:
    found = shop.plane.manage("get", "nodes")
    return any(line.startswith(f"{host.name} ") and "Dead" in line for line in found.splitlines())


def _pods_on(shop: Shop, node: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in shop.pods() if pod["spec"].get("nodeName") == node]


def _ready_elsewhere(shop: Shop, host: Host) -> list[str]:
    pods = shop.plane.ready_pods(shop.name)
    return [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") != host.name]


def swarm(three: Hosts, rounds: int, figures: Figures) -> None:
    """With defaults: heartbeat 5 s, three missed, then a restart delay of 5 s. The manager's host stays on."""
    with in_swarm(three):
        first = three[0]
        first.docker("service", "create", "-d", "--name", "web", "--replicas", str(REPLICAS), "test/server:1")
        eventually(lambda: _tasks(first, "") == REPLICAS, 60)
        for number in range(rounds):
            doomed = three[1 + number % 2]
            eventually(lambda doomed=doomed: _tasks(first, doomed.name) > 0, 60)
            began = time.monotonic()
            doomed.power_off()
            took = _until(lambda doomed=doomed: _elsewhere(first, doomed.name) == REPLICAS, began)
            figures["Docker Swarm: power-off -> all ready elsewhere, s"].append(took)
            doomed.power_on()
            eventually(lambda doomed=doomed: "Ready" in _node(first, doomed.name), 90)
            first.docker("service", "update", "-d", "--force", "--update-parallelism", "6", "--update-delay", "0s",
                         "--stop-grace-period", "1s", "web")  # fmt: skip
            eventually(lambda: _tasks(first, "") == REPLICAS and all(_tasks(first, h.name) for h in three), 90)
        first.docker("service", "rm", "web")


def _listed(host: Host) -> list[list[str]]:
    form = "{{.Node}} {{.CurrentState}}"
    lines = host.docker("service", "ps", "web", "--filter", "desired-state=running", "--format", form).splitlines()
    return [line.split() for line in lines]


def _tasks(host: Host, node: str) -> int:
    return sum(state == "Running" and node in ("", where) for where, state, *_ in _listed(host))


def _elsewhere(host: Host, node: str) -> int:
    return sum(state == "Running" and where != node for where, state, *_ in _listed(host))


def _node(host: Host, name: str) -> str:
    return host.docker("node", "ls", "--filter", f"name={name}", "--format", "{{.Status}}")


def restart(three: Hosts, rounds: int, figures: Figures) -> None:
    with control_plane() as plane, tempfile.TemporaryDirectory() as folder:
        for host in three:
            plane.add(host)
        shop = Shop.open(plane, three, Path(folder), web(), service("web"), CALLER)
        shop.sync("--wait")
        for number in range(rounds):
            version = "12"[(number + 1) % 2]
            plane.kill()
            shop.push(web(version), service("web"), CALLER)
            before = set(shop.containers())
            began = time.monotonic()
            plane.start()
            figures["control plane started again -> page answers, s"].append(time.monotonic() - began)
            figures["control plane started again -> converging, s"].append(
                _until(lambda before=before: set(shop.containers()) - before, began)
            )
            shop.wait_ready(REPLICAS + 1, seconds=60)
        plane.manage("application", "remove", shop.name)
        shop.wait(lambda: not shop.containers(all_of_them=True), 60)


def _until(true: Callable[[], object], began: float) -> float:
    eventually(true, 120)
    return time.monotonic() - began


def report(figures: Figures) -> None:
    for row, values in figures.items():
        of, _, name = row.rpartition(": ")
        unit = "s" if name.endswith(", s") else "requests"
        at_least, aim = BARS.get(name, (None, None))
        show(name.removesuffix(", s"), values, unit, of=of or OURS, at_least=at_least, aim=aim)


MEASURES: dict[str, Callable[[Hosts, int, Figures], None]] = {
    "pierhead": pierhead, "swarm": swarm, "restart": restart,
}  # fmt: skip

if __name__ == "__main__":
    main()
