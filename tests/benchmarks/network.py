"""The router on three real hosts: what a request costs, what a change costs, what is lost. And Swarm beside it.

    .venv/bin/python -m tests.benchmarks.network [--seconds 5] [--only latency|changes|loss|swarm|memory]

Needs root, docker.io, haproxy, dnsmasq-base and wrk. Hosts, control plane, clients and servers share the machine:
compare figures of one run only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.rollouts import in_swarm
from tests.engines.control_plane import ControlPlane, control_plane, deployment, eventually
from tests.engines.hosts import Host, Hosts, hosts
from tests.engines.load import load
from tests.engines.net import SLEEP, Client, address, client, endpoints, served, service
from tests.engines.router_image import router, server
from tests.engines.shop import Shop

READY = "readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1, failureThreshold: 1}"
_LATENCY = re.compile(r"50%\s+([\d.]+)(us|ms|s)")
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
Rows = list[tuple[str, str]]


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
                for row, cell in measure(three, options.seconds):
                    print(f"{row:64}{cell:>16}", flush=True)


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


def latency(three: Hosts, seconds: int) -> Rows:
    rows: Rows = []
    with shop(three, web(1)) as (_, made, at):
        pod = next(one for one in made.pods() if one["metadata"]["name"].startswith("web"))
        virtual = f"http://{address(made, 'web')}/"
        same = pod["spec"]["nodeName"] == at.host.name
        if same:
            direct = _wrk(at, f"http://{pod['status']['podIP']}:8080/", 1, seconds)
            rows.append(("pod to pod, same bridge, p50 ms, 1 client", f"{direct[0]:.3f}"))
        through = _wrk(at, virtual, 1, seconds)
        rows.append((f"through the {'local router' if same else 'mesh'}, p50 ms, 1 client", f"{through[0]:.3f}"))
        if same:
            rows.append(("added by the local router, p50 ms", f"{through[0] - direct[0]:.3f}"))
        rows.append(("through the router, requests/s, 8 clients", f"{_wrk(at, virtual, 8, seconds)[1]:.0f}"))
    with shop(three, web(3)) as (_, made, at):
        rate = _wrk(at, f"http://{address(made, 'web')}/", 8, seconds)[1]
        rows.append(("3 pods on 3 hosts, requests/s, 8 clients", f"{rate:.0f}"))
    return rows


def changes(three: Hosts, seconds: int) -> Rows:
    """From a pod becoming ready (as its record says) to its being in every router, and from its deletion to out."""
    rows: Rows = []
    with shop(three, web(3)) as (plane, made, at):
        entered = [_entering(three, made, size) for size in (4, 5, 6)]
        rows.append(("a ready pod -> in every router, s, median of 3", f"{statistics.median(entered):.2f}"))
        assert at and plane
    return rows


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


def loss(three: Hosts, seconds: int) -> Rows:
    rows: Rows = []
    caller = deployment("caller", image="test/server:1", replicas=1, command=SLEEP)
    with shop(three, web(10)) as (_, made, at):
        with load(at.host, at.container, f"{address(made, 'web')}:80", pause=0.005) as running:
            made.push(web(10, "2"), service("web"), caller)
            made.sync("--wait")
            made.wait_ready(11, seconds=120)
        rows.append(("rolling update of 10 pods: failed of sent", f"{running.result.failed} of {running.result.sent}"))
        with load(at.host, at.container, f"{address(made, 'web')}:80", pause=0.005) as running:
            for number in range(50):
                made.push(web(10, "2"), service("web"), caller, service("extra", app="web", port=9000 + number))
                made.sync("--wait")
        rows.append(("50 configuration pushes: failed of sent", f"{running.result.failed} of {running.result.sent}"))
        victim = client(made, "web")
        with load(at.host, at.container, f"{address(made, 'web')}:80", pause=0.005, post=False) as running:
            victim.host.docker("kill", "-s", "KILL", victim.container)
            until = time.monotonic() + 5
            eventually(lambda: time.monotonic() > until, 7)
        rows.append(("a pod killed hard: failed GETs of sent", f"{running.result.failed} of {running.result.sent}"))
        doomed = next(host for host in three if host is not at.host)
        with load(at.host, at.container, f"{address(made, 'web')}:80", pause=0.005, post=False) as running:
            doomed.power_off()
            until = time.monotonic() + 10
            eventually(lambda: time.monotonic() > until, 12)
            doomed.power_on()
        found = running.result
        rows.append(("a host powered off: seconds with errors", f"{found.last - found.first:.2f}"))
        rows.append(("a host powered off: failed GETs of sent", f"{found.failed} of {found.sent}"))
    return rows


def swarm(three: Hosts, seconds: int) -> Rows:
    """Swarm's ingress (routing mesh) from a host, against our node port from the same host; and its virtual IP."""
    rows: Rows = []
    if Path("/proc/net/ip_vs").exists():
        rows += _swarm_itself(three, seconds)
    else:
        rows.append(("Swarm's ingress and virtual addresses", "need ip_vs, which this kernel lacks"))
    return rows + _beside_swarm(three, seconds)


def _swarm_itself(three: Hosts, seconds: int) -> Rows:
    rows: Rows = []
    with in_swarm(three):
        first = three[0]
        first.docker("network", "create", "-d", "overlay", "--attachable", "app")
        first.docker(
            "service",
            "create",
            "-d",
            "--name",
            "sw",
            "--replicas",
            "3",
            "--network",
            "app",
            "-p",
            "31500:8080",
            "test/server:1",
        )
        asked = f"http://{first.ip}:31500/"
        eventually(lambda: _answers(asked), 60)
        rows.append(("Swarm, published port, requests/s, 8 clients", f"{_wrk_outside(asked, 8, seconds)[1]:.0f}"))
        first.docker("run", "-d", "--name", "asker", "--network", "app", "test/server:1", "sleep", "3600")
        at = Client(first, "asker")
        virtual = json.loads(first.docker("service", "inspect", "sw"))[0]["Endpoint"]["VirtualIPs"][-1]["Addr"]
        rate = _wrk(at, f"http://{virtual.partition('/')[0]}:8080/", 8, seconds)[1]
        rows.append(("Swarm, virtual IP on an overlay network, requests/s, 8 clients", f"{rate:.0f}"))
        first.docker("rm", "-f", "asker")
        first.docker("service", "rm", "sw")
    return rows


def _beside_swarm(three: Hosts, seconds: int) -> Rows:
    rows: Rows = []
    port = service("web", more="type: NodePort").replace("port: 80,", "port: 80, nodePort: 31500,")
    with shop(three, web(3)) as (_, made, at):
        made.push(web(3), port, deployment("caller", image="test/server:1", replicas=1, command=SLEEP))
        made.sync("--wait")
        asked = f"http://{three[0].ip}:31500/"
        eventually(lambda: _answers(asked), 60)
        rows.append(("Pierhead, node port, requests/s, 8 clients", f"{_wrk_outside(asked, 8, seconds)[1]:.0f}"))
        rate = _wrk(at, f"http://{address(made, 'web')}/", 8, seconds)[1]
        rows.append(("Pierhead, virtual address, requests/s, 8 clients", f"{rate:.0f}"))
    return rows


def memory(three: Hosts, seconds: int) -> Rows:
    with shop(three, web(60)) as (_, made, _at):
        made.wait(lambda: endpoints(made, "web") == 60, 120)
        used = [_router_memory(host) for host in three]
    return [("router, 60 pods (40 remote), MB (most of three hosts)", f"{max(used):.0f}")]


def _router_memory(host: Host) -> float:
    """All of the router's own processes: HAProxy's master and worker, and dnsmasq."""
    total = 0.0
    for name in ("pierhead-router", "pierhead-router-dns"):
        for line in host.docker("top", name, "-o", "pid").splitlines()[1:]:
            for row in Path(f"/proc/{int(line)}/smaps_rollup").read_text().splitlines():
                total += int(row.split()[1]) / 1024 if row.startswith("Pss:") else 0
    return total


def _wrk(at: Client, url: str, clients: int, seconds: int) -> tuple[float, float]:
    pid = at.host.docker("inspect", "-f", "{{.State.Pid}}", at.container)
    return _measured(["nsenter", "-t", pid, "-n", "--"], url, clients, seconds)


def _wrk_outside(url: str, clients: int, seconds: int) -> tuple[float, float]:
    return _measured([], url, clients, seconds)


def _measured(where: list[str], url: str, clients: int, seconds: int) -> tuple[float, float]:
    """Median latency in ms, and requests a second."""
    command = [*where, "wrk", "--latency", "-t", "1", "-c", str(clients), "-d", f"{seconds}s", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    median, rate = _LATENCY.search(said), _RATE.search(said)
    assert median is not None, said
    assert rate is not None, said
    return float(median[1]) * _MILLISECONDS[median[2]], float(rate[1])


def _answers(url: str) -> bool:
    return subprocess.run(["curl", "-sf", "-m", "2", "-o", "/dev/null", url], check=False).returncode == 0


MEASURES = {"latency": latency, "changes": changes, "loss": loss, "swarm": swarm, "memory": memory}

if __name__ == "__main__":
    main()
