"""Docker Swarm's ways in with the kernel's NAT in the place of ip_vs: for kernels that lack ip_vs, and to check it by.

Everything else is what Swarm itself has set up: the sandbox of its ingress network on the host, the overlay network
between hosts (VXLAN), the tasks' own redirection and filter. NAT chooses a task for each connection, in turns, as ip_vs
does, and both track connections. Where both are there, how far apart they are is measured.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from tests.engines import cgroups
from tests.engines.control_plane import eventually
from tests.engines.hosts import Hosts
from tests.engines.net import Client

_INGRESS, _SECONDS = "ingress", 60


def publish(three: Hosts, service: str, published: int, port: int) -> str:
    """At `port` of the first host: what Swarm has published at `published`, of a service with a task on every host."""
    first, tasks = three[0], _tasks(three, service, _INGRESS)
    engine = min(cgroups.members(f"{first.group}/engine"))  # only its view of the mounts has the sandbox's name
    sandbox = ["nsenter", f"--net=/proc/{engine}/root{first.folder}/exec/netns/ingress_sbox"]
    host = ["ip", "netns", "exec", first.namespace]
    to_sandbox = ["-m", "addrtype", "--dst-type", "LOCAL", "-j", "DNAT", "--to", f"{_address(sandbox, 'eth1')}:{port}"]
    _nat(host, "-I", "PREROUTING", "-p", "tcp", "--dport", str(port), *to_sandbox)
    for side in ("--dport", "--sport"):
        _run(*host, "iptables", "-I", "FORWARD", "-p", "tcp", side, str(port), "-j", "ACCEPT")
    for where in (host, sandbox):
        _run(*where, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    _share(sandbox, "PREROUTING", ["-p", "tcp", "--dport", str(port)], [f"{task}:{published}" for task in tasks])
    answers = ["-j", "SNAT", "--to", _address(sandbox, "eth0")]
    for task in tasks:
        _nat(sandbox, "-A", "POSTROUTING", "-d", task, "-p", "tcp", "--dport", str(published), *answers)
    return f"http://{first.ip}:{port}/"


def address(three: Hosts, service: str, network: str, at: Client, port: int) -> str:
    """For the network of `at`: an address that leads to the service's tasks, on a network that both are on."""
    tasks = _tasks(three, service, network)
    virtual = ".".join([*tasks[0].split(".")[:3], "250"])
    inside = ["nsenter", "-t", at.host.docker("inspect", "-f", "{{.State.Pid}}", at.container), "-n"]
    meant = ["-d", virtual, "-p", "tcp", "--dport", str(port)]
    _share(inside, "OUTPUT", meant, [f"{task}:{port}" for task in tasks])
    return f"http://{virtual}:{port}/"


def _tasks(three: Hosts, service: str, network: str) -> list[str]:
    """The tasks' addresses on one of their networks, when there is one on every host."""
    found: list[str] = []

    def all_there() -> bool:
        found[:] = [
            json.loads(host.docker("inspect", name))[0]["NetworkSettings"]["Networks"][network]["IPAddress"]
            for host in three
            for name in host.docker("ps", "-q", "--filter", f"name={service}.").split()
        ]
        return len(found) == len(three)

    eventually(all_there, _SECONDS, lambda: f"{service} has tasks at {found}")
    return found


def _share(where: Sequence[str], chain: str, meant: Sequence[str], targets: Sequence[str]) -> None:
    """In turns: of three targets the first takes every third connection, the next every second of the rest."""
    for number, target in enumerate(targets):
        turn = ["-m", "statistic", "--mode", "nth", "--every", str(len(targets) - number), "--packet", "0"]
        _nat(where, "-A", chain, *meant, *turn, "-j", "DNAT", "--to", target)


def _nat(where: Sequence[str], *rule: str) -> None:
    _run(*where, "iptables", "-t", "nat", *rule)


def _address(where: Sequence[str], device: str) -> str:
    """Of a device in a sandbox: eth0 is on Swarm's own network, eth1 on the host's bridge."""
    found = json.loads(_run(*where, "ip", "-j", "-4", "addr", "show", device))
    return str(found[0]["addr_info"][0]["local"])


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
