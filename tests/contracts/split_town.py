"""A Service with a canary and a real HAProxy before it; clients by each way in, pods that can be ended."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deployer.core.canary.values import Split
from deployer.core.network.addresses import addresses, virtual_address
from deployer.core.network.commands import is_entry
from deployer.core.network.config import router_config
from deployer.core.network.maps import FIRST, map_path
from deployer.core.network.measurements import read_counters
from deployer.core.network.runtime import Live, moves, read_servers, read_stats
from deployer.core.network.values import Identity, RoutedPod, RouterConfig
from tests.contracts.loopback import PATIENCE_SECONDS, Router, eventually, get, pod
from tests.core.network.sketch import cluster, ingress, pods, service
from tests.ports import free_port

OLD, NEW = "aaa", "bbb"
LABELS = (("app", "web"),)
HTTP = {"port": 8080, "targetPort": "web", "nodePort": 30080}
H2 = {"port": 9000, "targetPort": "h2", "name": "grpc", "nodePort": 30090}
TCP = {"port": 5432, "targetPort": "web", "nodePort": 30432}
BACKEND = "svc.shop.web.8080"
CANARY = f"{BACKEND}:canary"
REVISIONS = {"shop.web-1": 1, "shop.web-2": 1, "shop.web-3": 2}
SPLIT_RANGE = "127.96.0.0/12"
INSIDE, ROUTER = virtual_address(SPLIT_RANGE, 1, 1), addresses(SPLIT_RANGE, 0).router
BRIDGE = free_port()
"""What is asked there over HTTP/1.1 is asked of the router over HTTP/2."""
PROXY = "PROXY TCP4 {source} 192.0.2.1 4711 80\r\n"


def split(weight: int = 500, **more: Any) -> Split:
    return Split("shop/web", NEW, weight, **{"stable_hash": OLD, "labels": LABELS, **more})


IDLE = Split("shop/web", labels=LABELS)
"""Between two canaries."""


@dataclass
class Town:
    """Two stable pods (web-1, web-2) and a canary (web-3), and a router that leads to them."""

    router: Router
    pods: tuple[RoutedPod, ...]
    build: Callable[[Split, Sequence[RoutedPod]], RouterConfig]
    ingress_port: int

    def become(self, wanted: Split, pods: Sequence[RoutedPod] | None = None) -> None:
        """Without a reload: maps first, then servers."""
        found = self.build(wanted, self.pods if pods is None else pods)
        assert found.structure == self.router.config.structure
        for name in sorted(found.maps, key=lambda name: name not in FIRST):
            self._put(map_path(name), found.maps[name])
        eventually(lambda: self._moved(found))

    def _put(self, path: str, entries: Any) -> None:
        where = self.router.here(path)
        said = self.router.ask(f"prepare map {where}")
        if said.startswith("Unknown map identifier"):
            return  # nothing that runs reads it
        version = said.rpartition(": ")[2].strip()
        lines = "".join(f"{key} {value}\n" for key, value in sorted(entries.items()) if is_entry(key, value))
        if lines:
            assert self.router.ask(f"add map @{version} {where} <<\n{lines}").strip() == ""
        assert self.router.ask(f"commit map @{version} {where}").strip() == ""

    def _moved(self, found: RouterConfig) -> bool:
        live = Live(
            read_servers(self.router.ask("show servers state")), tuple(read_stats(self.router.ask("show stat"))), 0
        )
        todo = moves(found, live)
        for command in todo.commands:
            self.router.ask(self.router.here(command))
        return todo.wake_at is None

    def asked(
        self, count: int, headers: str = "", *, way: str = "inside", source: str = "", host: str = "shop.test"
    ) -> Counter[str]:
        """Who answered so many requests over one connection; a status in place of a name for what failed."""
        address, port = {
            "inside": (INSIDE, 8080), "node": (ROUTER, 30080), "ingress": (ROUTER, self.ingress_port),
            "h2": ("127.0.0.1", BRIDGE),
        }[way]  # fmt: skip
        first = "" if way in ("inside", "h2") else PROXY.format(source=source or "203.0.113.9")
        with socket.create_connection((address, port), PATIENCE_SECONDS, (source, 0) if source else None) as line:
            line.sendall(first.encode())
            reader = line.makefile("rb")
            return Counter(ask_once(line, reader, headers, host)[0] for _ in range(count))

    def shares(self) -> dict[str, int]:
        """Requests by server, as HAProxy counted them."""
        found = read_counters(self.router.ask("show stat"), "").servers
        return {f"{backend}/{server}": counts[0] for (backend, server), counts in found.items() if counts[0]}


def ask_once(line: socket.socket, reader: Any, headers: str, host: str = "shop.test") -> tuple[str, dict[str, str]]:
    line.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode())
    status = reader.readline().decode()
    found: dict[str, str] = {}
    while head := reader.readline().decode().strip():
        name, _, value = head.partition(": ")
        found[name.lower()] = value
    body = reader.read(int(found.get("content-length", "0"))).decode()
    return (body.splitlines()[0] if status.startswith("HTTP/1.1 200") else status.strip()), found


@contextmanager
def quick_pods(folder: Path, names: Sequence[str]) -> Iterator[list[tuple[int, int]]]:
    """Pods that answer with their name; the ports for HTTP/1.1 and HTTP/2 of each."""
    ports = [(free_port(), free_port()) for _ in names]
    text = "defaults\n    mode http\n    timeout connect 1s\n    timeout client 60s\n    timeout server 60s\n"
    for name, (http, h2) in zip(names, ports, strict=True):
        text += f"frontend {name}\n    bind 127.0.0.1:{http}\n    bind 127.0.0.1:{h2} proto h2\n"
        text += f'    http-request return status 200 content-type text/plain string "{name}"\n'
    text += f"listen http2\n    bind 127.0.0.1:{BRIDGE}\n    server router {INSIDE}:9000 proto h2\n"
    file = folder / "pods.cfg"
    file.write_text(text)
    with subprocess.Popen(["haproxy", "-db", "-f", str(file)]) as process:
        try:
            for port in (port for pair in ports for port in pair):
                eventually(lambda port=port: _is_open(port))  # type: ignore[misc]
            yield ports
        finally:
            process.terminate()


def _is_open(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def three(ports: Sequence[tuple[int, int]]) -> tuple[RoutedPod, ...]:
    made = pods("web", "a:RRR", owner="Rollout/web")
    hashes = (OLD, OLD, NEW)
    return tuple(
        replace(
            one, ip="127.0.0.1", ports={"web": http, "h2": h2}, template_hash=made_from, revision=1 + (made_from == NEW)
        )
        for one, made_from, (http, h2) in zip(made, hashes, ports, strict=True)
    )


def raised(
    stack: ExitStack,
    folder: Path,
    identity: Identity,
    first: Split,
    *things: Any,
    there: Sequence[RoutedPod] = (),
    **spec: Any,
) -> Town:
    there = there or three(stack.enter_context(quick_pods(folder, ("web-1", "web-2", "web-3"))))
    web = service("web", HTTP, TCP, H2, type="NodePort", **spec)
    site = ingress("site", "shop.test/ Prefix web:8080", "bytes.test/ Prefix web:5432")
    base = cluster(web, site, *things, pod_range=SPLIT_RANGE, identity=identity, mesh_port=free_port())

    def build(wanted: Split, pods: Sequence[RoutedPod]) -> RouterConfig:
        return router_config(replace(base, pods=(*pods, *base.pods), splits=(wanted,)))

    http, https = free_port(), free_port()
    changes = {f"{ROUTER}:80 ": f"{ROUTER}:{http} ", f"{ROUTER}:443 ": f"{ROUTER}:{https} "}
    router = stack.enter_context(Router(folder, build(first, there), changes).running())
    return Town(router, tuple(there), build, http)


def share(answers: Counter[str], name: str = "web-3") -> float:
    assert set(answers) <= {"web-1", "web-2", "web-3"}, answers
    return answers[name] / answers.total()


def slow_pods(stack: ExitStack, count: int = 3) -> tuple[tuple[RoutedPod, ...], list[ExitStack]]:
    """Pods that can be ended one by one, each at an address of its own."""
    made, ends = [], []
    hashes = (OLD, OLD, NEW, NEW)
    for number, one in enumerate(pods("web", f"a:{'R' * count}", owner="Rollout/web"), 1):
        end = stack.enter_context(ExitStack())
        port = end.enter_context(pod(f"127.0.1.{number}", one.name))
        ends.append(end)
        ports = {"web": port, "h2": port}
        made.append(replace(one, ip=f"127.0.1.{number}", ports=ports, template_hash=hashes[number - 1]))
    return tuple(made), ends


class Load:
    """Four clients who ask all the time; what each was answered."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self._over, self.clients = threading.Event(), [threading.Thread(target=self._ask) for _ in range(4)]

    def __enter__(self) -> Load:
        for one in self.clients:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self.clients:
            one.join()

    def more(self, count: int = 60) -> Counter[str]:
        """The answers to at least so many requests from now on; those that are under way do not count."""
        under_way = self.answers.total() + 2 * len(self.clients)
        eventually(lambda: self.answers.total() >= under_way)
        before = self.answers.copy()
        eventually(lambda: self.answers.total() >= before.total() + count)
        return self.answers - before

    @property
    def failed(self) -> Counter[str]:
        return Counter({name: count for name, count in self.answers.items() if not name.startswith("web-")})

    def _ask(self) -> None:
        while not self._over.is_set():
            status, body = get(INSIDE, 8080)
            self.answers[body.split("\n")[0] if status == 200 else f"{status} {body[:40]}"] += 1


@contextmanager
def back(one: RoutedPod) -> Iterator[None]:
    """The pod again, at its address and port."""
    with pod(one.ip, one.name, port=one.ports["web"]):
        yield
