"""The router on three real hosts: what a request costs, what a change costs, what is lost. And Swarm beside it.

    .venv/bin/python -m tests.benchmarks.network [--seconds 5] [--only latency|changes|loss|swarm|memory]

Needs root, docker.io, haproxy, dnsmasq-base and wrk. Hosts, control plane, clients and servers share the machine:
compare figures of one run only.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.beside_swarm import Way, compare, swarm_ways
from tests.benchmarks.figures import OURS, show
from tests.benchmarks.wrk import wrk
from tests.engines.control_plane import ControlPlane, control_plane, deployment, eventually
from tests.engines.hosts import Host, Hosts, hosts
from tests.engines.load import Result, load
from tests.engines.net import SLEEP, Client, address, client, endpoints, served, service
from tests.engines.router_image import router, server
from tests.engines.shop import Shop

READY = "readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1, failureThreshold: 1}"
PORT = 31500
ROUNDS = 5
"""In which we and Swarm are asked in turns."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", choices=tuple(MEASURES))
    options = parser.parse_args()
    with hosts(3) as three:
        for archive in (router(), server("test/server:1"), server("test/server:2")):
            three.load(archive)
        for name, measure in MEASURES.items():
            if options.only in (None, name):
                measure(three, options.seconds)


def web(replicas: int, version: str = "1") -> str:
    return deployment("web", image=f"test/server:{version}", replicas=replicas, container=READY)


@contextlib.contextmanager
def shop(three: Hosts, *documents: str) -> Iterator[tuple[ControlPlane, Shop, Client]]:
    """A control plane, an application of these documents with a Service `web`, and a pod to ask from."""
    caller = deployment("caller", image="test/server:1", replicas=1, command=SLEEP)
    with control_plane() as plane, tempfile.TemporaryDirectory() as folder:
        for host in three:
            plane.add(host)
        made = Shop.open(plane, three, Path(folder), *documents, service("web"), caller)
        made.sync("--wait")
        at = client(made, "caller")
        served(made, at, "web", "/")
        yield plane, made, at
        plane.manage("application", "remove", made.name)
        made.wait(lambda: not made.containers(all_of_them=True), 60)


def latency(three: Hosts, seconds: int) -> None:
    with shop(three, web(1)) as (_, made, at):
        pod = next(one for one in made.pods() if one["metadata"]["name"].startswith("web"))
        virtual = f"http://{address(made, 'web')}/"
        same = pod["spec"]["nodeName"] == at.host.name
        if same:
            direct = wrk(f"http://{pod['status']['podIP']}:8080/", 1, seconds, at=at)
            show("pod to pod, same bridge, 1 client, p50", direct[0], "ms")
        through = wrk(virtual, 1, seconds, at=at)
        show(f"through the {'local router' if same else 'mesh'}, 1 client, p50", through[0], "ms")
        if same:
            show("added by the local router, p50", through[0] - direct[0], "ms", at_least=0.15, aim=0.06)
        show("through the router, 8 clients", wrk(virtual, 8, seconds, at=at)[1], "requests/s", more=True)
    with shop(three, web(3)) as (_, made, at):
        rate = wrk(f"http://{address(made, 'web')}/", 8, seconds, at=at)[1]
        show("3 pods on 3 hosts, 8 clients", rate, "requests/s", more=True)


def changes(three: Hosts, seconds: int) -> None:
    """From a pod becoming ready (as its record says) to its being in every router, and from its deletion to out."""
    with shop(three, web(3)) as (plane, made, at):
        entered = [_entering(three, made, size) for size in (4, 5, 6)]
        show("a ready pod -> in every router", entered, "s", at_least=1, aim=0.3)
        assert at and plane


def _entering(three: Hosts, made: Shop, size: int) -> float:
    made.push(web(size), service("web"), deployment("caller", image="test/server:1", replicas=1, command=SLEEP))
    made.sync()
    eventually(lambda: endpoints(made, "web") == size, 60, made.tell)
    began = time.time()
    eventually(lambda: all(_servers(host) >= size for host in three), 30, made.tell)
    return time.time() - began


def _servers(host: Host) -> int:
    """How many pods stand behind `web` in the configuration file of a host's router."""
    text = host.docker("exec", "pierhead-router", "cat", "/pierhead/haproxy.cfg")
    backend = re.search(r"\nbackend svc\.[^\n]*\.web\.80[^\n]*\n(.*?)(?:\n\S|\Z)", text, re.DOTALL)
    return len(re.findall(r"^\s+server ", backend[1], re.MULTILINE)) if backend else 0


def loss(three: Hosts, seconds: int) -> None:
    caller = deployment("caller", image="test/server:1", replicas=1, command=SLEEP)
    with shop(three, web(10)) as (_, made, at):
        with load(at.host, at.container, f"{address(made, 'web')}:80", pause=0.005) as running:
            made.push(web(10, "2"), service("web"), caller)
            made.sync("--wait")
            made.wait_ready(11, seconds=120)
        _lost("a rolling update of 10 pods", running.result, 0)
        with load(at.host, at.container, f"{address(made, 'web')}:80", pause=0.005) as running:
            for number in range(50):
                made.push(web(10, "2"), service("web"), caller, service("extra", app="web", port=9000 + number))
                made.sync("--wait")
        _lost("50 configuration pushes", running.result, 0)
        victim = client(made, "web")
        with load(at.host, at.container, f"{address(made, 'web')}:80", pause=0.005, post=False) as running:
            victim.host.docker("kill", "-s", "KILL", victim.container)
            until = time.monotonic() + 5
            eventually(lambda: time.monotonic() > until, 7)
        _lost("a pod killed hard, GETs", running.result, 1)
        doomed = next(host for host in three if host is not at.host)
        with load(at.host, at.container, f"{address(made, 'web')}:80", pause=0.005, post=False) as running:
            doomed.power_off()
            until = time.monotonic() + 10
            eventually(lambda: time.monotonic() > until, 12)
            doomed.power_on()
        found = running.result
        show("a host powered off: time with errors", found.last - found.first, "s", at_least=3, aim=2)
        _lost("a host powered off, GETs", found)


def _lost(what: str, found: Result, at_least: float | None = None) -> None:
    show(f"{what}: failed of {found.sent:,} requests", found.failed, "requests", at_least=at_least)


def swarm(three: Hosts, seconds: int) -> None:
    """Swarm's ingress (routing mesh) from a host, against our node port from the same host; and its virtual IP."""
    port = service("web", more="type: NodePort").replace("port: 80,", f"port: 80, nodePort: {PORT},")
    with shop(three, web(3)) as (_, made, at):
        made.push(web(3), port, deployment("caller", image="test/server:1", replicas=1, command=SLEEP))
        made.sync("--wait")
        nodes = {pod["spec"]["nodeName"] for pod in made.pods() if pod["metadata"]["name"].startswith("web")}
        assert len(nodes) == len(three), f"not a pod on each host: {nodes}"
        ours = Way(OURS, f"http://{three[0].ip}:{PORT}/", f"http://{address(made, 'web')}/", at)
        with swarm_ways(three) as theirs:
            compare([ours, *theirs], seconds, ROUNDS)


def memory(three: Hosts, seconds: int) -> None:
    with shop(three, web(60)) as (_, made, _at):
        made.wait(lambda: endpoints(made, "web") == 60, 120)
        used = [_router_memory(host) for host in three]
    show("a router's memory, 60 pods of which 40 are remote", used, "MB", at_least=80, aim=50)


def _router_memory(host: Host) -> float:
    """All of the router's own processes: HAProxy's master and worker, and dnsmasq."""
    total = 0.0
    for name in ("pierhead-router", "pierhead-router-dns"):
        for line in host.docker("top", name, "-o", "pid").splitlines()[1:]:
            for row in Path(f"/proc/{int(line)}/smaps_rollup").read_text().splitlines():
                total += int(row.split()[1]) / 1024 if row.startswith("Pss:") else 0
    return total


MEASURES = {"latency": latency, "changes": changes, "loss": loss, "swarm": swarm, "memory": memory}

if __name__ == "__main__":
    main()
