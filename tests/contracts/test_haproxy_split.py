"""A Service with a canary on the real HAProxy: who gets how much by each way in, who stays, what nobody notices."""

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

import pytest

from deployer.core.canary.values import HeaderMatch, HeaderRoute, Split, Stickiness
from deployer.core.network.addresses import virtual_address
from deployer.core.network.commands import is_entry
from deployer.core.network.config import router_config
from deployer.core.network.maps import FIRST, map_path
from deployer.core.network.measurements import amounts, read_counters
from deployer.core.network.runtime import Live, moves, read_servers, read_stats
from deployer.core.network.values import Identity, RoutedPod, RouterConfig
from tests.contracts.loopback import (
    LOCAL_RANGE,
    PATIENCE_SECONDS,
    Router,
    eventually,
    free_port,
    get,
    needs_haproxy,
    over_tcp,
    pod,
    scratch,
)
from tests.contracts.mesh_certificates import MeshAuthority
from tests.core.network.sketch import cluster, config, httpget, ingress, pods, policy, service

OLD, NEW = "aaa", "bbb"
LABELS = (("app", "web"),)
HTTP = {"port": 8080, "targetPort": "web", "nodePort": 30080}
H2 = {"port": 9000, "targetPort": "h2", "name": "grpc", "nodePort": 30090}
TCP = {"port": 5432, "targetPort": "web", "nodePort": 30432}
BACKEND = "svc.shop.web.8080"
CANARY = f"{BACKEND}:canary"
REVISIONS = {"shop.web-1": 1, "shop.web-2": 1, "shop.web-3": 2}
INSIDE, ROUTER = virtual_address(LOCAL_RANGE, 1, 1), "127.64.8.1"
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
            "inside": (INSIDE, 8080), "node": (ROUTER, 30080), "ingress": (ROUTER, self.ingress_port), "h2": ("127.0.0.1", BRIDGE),
        }[way]  # fmt: skip
        first = "" if way in ("inside", "h2") else PROXY.format(source=source or "203.0.113.9")
        with socket.create_connection((address, port), PATIENCE_SECONDS, (source, 0) if source else None) as line:
            line.sendall(first.encode())
            reader = line.makefile("rb")
            return Counter(_one(line, reader, headers, host)[0] for _ in range(count))

    def shares(self) -> dict[str, int]:
        """Requests by server, as HAProxy counted them."""
        found = read_counters(self.router.ask("show stat"), "").servers
        return {f"{backend}/{server}": counts[0] for (backend, server), counts in found.items() if counts[0]}


def _one(line: socket.socket, reader: Any, headers: str, host: str = "shop.test") -> tuple[str, dict[str, str]]:
    line.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode())
    status = reader.readline().decode()
    found: dict[str, str] = {}
    while head := reader.readline().decode().strip():
        name, _, value = head.partition(": ")
        found[name.lower()] = value
    body = reader.read(int(found.get("content-length", "0"))).decode()
    return (body.splitlines()[0] if status.startswith("HTTP/1.1 200") else status.strip()), found


@pytest.fixture(scope="module")
def identity() -> Identity:
    return MeshAuthority().identity("uid-a")


@pytest.fixture
def folder() -> Iterator[Path]:
    needs_haproxy()
    with scratch() as found:
        yield found


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


@pytest.fixture
def raise_town(folder: Path, identity: Identity) -> Iterator[Callable[..., Town]]:
    with ExitStack() as stack:
        yield lambda first, *things, **more: _raised(stack, folder, identity, first, *things, **more)


def _raised(
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
    base = cluster(web, site, *things, pod_range=LOCAL_RANGE, identity=identity, mesh_port=free_port())

    def build(wanted: Split, pods: Sequence[RoutedPod]) -> RouterConfig:
        return router_config(replace(base, pods=(*pods, *base.pods), splits=(wanted,)))

    http, https = free_port(), free_port()
    changes = {f"{ROUTER}:80 ": f"{ROUTER}:{http} ", f"{ROUTER}:443 ": f"{ROUTER}:{https} "}
    router = stack.enter_context(Router(folder, build(first, there), changes).running())
    return Town(router, tuple(there), build, http)


def share(answers: Counter[str], name: str = "web-3") -> float:
    assert set(answers) <= {"web-1", "web-2", "web-3"}, answers
    return answers[name] / answers.total()


def test_five_percent_are_five_percent_by_each_way_in(raise_town: Callable[..., Town]) -> None:
    """10,000 requests each: a share of 5 % has a standard deviation of 0.22 points."""
    town = raise_town(split(500))
    found = {way: share(town.asked(10_000, way=way)) for way in ("inside", "node", "ingress")}
    assert all(0.040 <= one <= 0.060 for one in found.values()), found
    assert 0.043 <= sum(found.values()) / 3 <= 0.057, found
    counted = town.shares()
    assert set(counted) == {f"{BACKEND}/shop.web-1", f"{BACKEND}/shop.web-2", f"{CANARY}/shop.web-3"}
    told = amounts(read_counters(town.router.ask("show stat"), town.router.ask("show table table.latency")), REVISIONS)
    new = counted[f"{CANARY}/shop.web-3"]
    seen = {one.revision: (them.requests, sum(them.buckets)) for one, them in told.items() if one.port == "8080"}
    assert seen == {1: (30_000 - new, 30_000 - new), 2: (new, new)}


def test_connections_and_http2_are_split_too(raise_town: Callable[..., Town]) -> None:
    """2,000 at 20 %: a standard deviation of 0.9 points."""
    town = raise_town(split(2000))
    found = {
        "tcp": Counter(get(INSIDE, 5432)[1].strip() for _ in range(2000)),
        "tcp by node": Counter(over_node(30432) for _ in range(2000)),
        "tcp by ingress": town.asked(2000, way="ingress", host="bytes.test"),
        "h2": town.asked(2000, way="h2"),
    }
    assert all(0.16 <= share(one) <= 0.24 for one in found.values()), found
    assert {name.partition("/")[0] for name in town.shares()} == {
        f"{kind}{side}" for kind in ("svc.shop.web.5432", "svc.shop.web.9000", "ingress.shop.web.5432")
        for side in ("", ":canary")
    }  # fmt: skip


def over_node(port: int) -> str:
    request = "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
    return over_tcp(ROUTER, port, PROXY.format(source="203.0.113.9") + request).splitlines()[-1]


USERS = [f"user-{number}" for number in range(200)]


@pytest.mark.parametrize(
    ("sticky", "headers"),
    [
        pytest.param(Stickiness("cookie", "uid"), "Cookie: a=b; uid={}; c=d\r\n", id="cookie"),
        pytest.param(Stickiness("header", "X-User"), "X-User: {}\r\n", id="header"),
        pytest.param(Stickiness("cookie"), "Cookie: pierhead-canary={}\r\n", id="our own cookie"),
    ],
)
def test_whoever_is_at_the_canary_stays_there_while_its_weight_grows(
    raise_town: Callable[..., Town], sticky: Stickiness, headers: str
) -> None:
    town = raise_town(split(0, sticky=sticky))
    before: set[str] = set()
    for weight in (0, 1000, 3000, 10_000):
        town.become(split(weight, sticky=sticky))
        now = {user for user in USERS if at_canary(town, headers.format(user))}
        assert before <= now
        assert abs(len(now) / len(USERS) - weight / 10_000) < 0.12, weight
        before = now
    assert at_canary(town, headers.format("user-1"), way="node") and at_canary(
        town, headers.format("user-1"), way="ingress"
    )


def at_canary(town: Town, headers: str = "", **more: str) -> bool:
    """All of three requests go to one side."""
    found = town.asked(3, headers, **more)
    assert set(found) in ({"web-3"}, {"web-1"}, {"web-2"}, {"web-1", "web-2"}), found
    return "web-3" in found


def test_a_user_is_at_one_side_by_every_way_in(raise_town: Callable[..., Town]) -> None:
    town = raise_town(split(4000, sticky=Stickiness("cookie", "uid")))
    sides = {user: at_canary(town, f"Cookie: uid={user}\r\n") for user in USERS[:60]}
    assert set(sides.values()) == {True, False}
    for way, host in (("node", "shop.test"), ("ingress", "shop.test"), ("ingress", "bytes.test")):
        assert {user: at_canary(town, f"Cookie: uid={user}\r\n", way=way, host=host) for user in sides} == sides


def test_who_has_no_such_cookie_draws_a_lot_each_time(raise_town: Callable[..., Town]) -> None:
    town = raise_town(split(5000, sticky=Stickiness("cookie", "uid")))
    assert 0.35 < share(town.asked(400)) < 0.65


def test_our_own_cookie_is_given_to_whoever_has_none(raise_town: Callable[..., Town]) -> None:
    town = raise_town(split(5000, sticky=Stickiness("cookie")))
    for way in ("inside", "ingress"):
        first = [_alone(town, way) for _ in range(20)]
        given = [headers["set-cookie"].partition(";")[0] for _, headers in first]
        assert len(set(given)) == 20 and all(one.startswith("pierhead-canary=") for one in given)
        assert {name == "web-3" for name, _ in first} == {True, False}
        for (name, _), cookie in zip(first, given, strict=True):
            assert at_canary(town, f"Cookie: {cookie}\r\n") is (name == "web-3")
            assert "set-cookie" not in _alone(town, way, f"Cookie: {cookie}\r\n")[1]
    town.become(split(0, sticky=Stickiness("cookie")))
    assert "set-cookie" not in _alone(town, "inside")[1]


def _alone(town: Town, way: str, headers: str = "") -> tuple[str, dict[str, str]]:
    address, port = (INSIDE, 8080) if way == "inside" else (ROUTER, town.ingress_port)
    with socket.create_connection((address, port), PATIENCE_SECONDS) as line:
        line.sendall(b"" if way == "inside" else PROXY.format(source="203.0.113.9").encode())
        return _one(line, line.makefile("rb"), headers)


@pytest.mark.parametrize("spec", [{}, {"sessionAffinity": "ClientIP"}], ids=["a strategy says so", "a Service says so"])
def test_clients_stay_by_their_address_also_over_tcp(raise_town: Callable[..., Town], spec: dict[str, str]) -> None:
    sticky = None if spec else Stickiness("client")
    town = raise_town(split(0, sticky=sticky), **spec)
    clients = [f"127.0.2.{number}" for number in range(1, 101)]
    before: set[str] = set()
    for weight in (2000, 6000, 10_000):
        town.become(split(weight, sticky=sticky))
        now = {one for one in clients if at_canary(town, source=one)}
        assert now == {one for one in clients if get(INSIDE, 5432, source=one)[1].strip() == "web-3"}
        assert now == {one for one in clients if at_canary(town, way="ingress", source=one)}
        assert before <= now and abs(len(now) / 100 - weight / 10_000) < 0.17
        before = now


ROUTES = (
    HeaderRoute("exact", (HeaderMatch("X-Team", "exact", "our own; #1"),)),
    HeaderRoute("prefix", (HeaderMatch("x-build", "prefix", "2.1-"),)),
    HeaderRoute("regex", (HeaderMatch("User-Agent", "regex", r".*(Firefox|Chrome)/1\d{2}.*"),)),
    HeaderRoute("both", (HeaderMatch("x-a", "exact", "1"), HeaderMatch("x-b", "prefix", ""))),
    HeaderRoute("gone"),
    HeaderRoute("wrong", (HeaderMatch("x-c", "regex", "(a+)+"),)),
)


@pytest.mark.parametrize(
    ("headers", "leads"),
    [
        pytest.param("", False, id="none"),
        pytest.param("X-Team: our own; #1\r\n", True, id="exact"),
        pytest.param("x-team:   our own; #1  \r\n", True, id="case of the name, blanks around"),
        pytest.param("X-Team: our own; #12\r\n", False, id="exact is all of it"),
        pytest.param("X-Team: Our own; #1\r\n", False, id="case of the value"),
        pytest.param("Not-X-Team: our own; #1\r\n", False, id="another name"),
        pytest.param("X-Other: a|x-team: our own; #1\r\n", False, id="a name within a value"),
        pytest.param("X-Build: 2.1-rc4\r\n", True, id="prefix"),
        pytest.param("X-Build: 2x1-rc4\r\n", False, id="a dot is a dot"),
        pytest.param("User-Agent: Mozilla Chrome/118.2\r\n", True, id="regex"),
        pytest.param("User-Agent: Mozilla Chrome/98.2\r\n", False, id="regex that does not match"),
        pytest.param("User-Agent: curl\r\nX-D: Chrome/118\r\n", False, id="a regex does not reach the next line"),
        pytest.param("X-B: \r\nX-A: 1\r\n", True, id="all of several, in another order"),
        pytest.param("X-A: 1\r\n", False, id="one of several"),
        pytest.param("X-C: aaa\r\n", False, id="a route that was refused"),
    ],
)
def test_header_routes(routed: Town, headers: str, leads: bool) -> None:
    for way, host in (
        ("inside", "shop.test"),
        ("node", "shop.test"),
        ("ingress", "shop.test"),
        ("ingress", "bytes.test"),
    ):
        assert at_canary(routed, headers, way=way, host=host) is leads, (way, host)


@pytest.fixture(scope="module")
def routed(identity: Identity) -> Iterator[Town]:
    needs_haproxy()
    with scratch() as folder, ExitStack() as stack:
        yield _raised(stack, folder, identity, split(0, headers=ROUTES))


def test_header_routes_of_http2_come_and_go_without_a_reload(raise_town: Callable[..., Town]) -> None:
    town = raise_town(split(0))
    wanted = "X-Team: our own; #1\r\n"
    assert not at_canary(town, wanted, way="h2")
    town.become(split(0, headers=ROUTES))
    assert at_canary(town, wanted, way="h2")
    assert not at_canary(town, way="h2")
    town.become(split(0, headers=ROUTES, withdrawn=True))
    assert not at_canary(town, wanted, way="h2")


def test_a_service_of_the_canary_alone_and_one_of_the_stable_pods(raise_town: Callable[..., Town]) -> None:
    town = raise_town(split(3000, canary_service="web"))
    assert set(town.asked(50)) == set(town.asked(50, way="ingress")) == {"web-3"}
    assert {get(INSIDE, 5432)[1].strip() for _ in range(20)} == {"web-3"}
    town.become(split(0, canary_service="web", withdrawn=True))
    assert set(town.asked(50)) == {"web-1", "web-2"}
    town.become(replace(IDLE, canary_service="web"))
    assert set(town.asked(50)) == {"web-1", "web-2", "web-3"}


def test_the_service_of_the_stable_pods_knows_no_canary(raise_town: Callable[..., Town]) -> None:
    town = raise_town(split(9000, stable_service="web", headers=ROUTES))
    assert set(town.asked(50, "X-Build: 2.1-\r\n")) == {"web-1", "web-2"}


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
        """The answers to at least so many requests from now on."""
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


def test_nobody_notices_that_a_canary_dies_nor_that_the_others_do(
    raise_town: Callable[..., Town], folder: Path
) -> None:
    """But for those whose answer had begun when its pod died: at most one of each client for each pod."""
    with ExitStack() as stack:
        there, ends = slow_pods(stack)
        town = raise_town(split(3000), there=there)
        with Load() as load:
            load.more()
            ends[2].close()
            load.more()
            eventually(lambda: town.router.states(CANARY)["shop.web-3"], lambda state: state == "DOWN")
            assert set(load.more(200)) == {"web-1", "web-2"}
        assert load.failed.total() <= len(load.clients), load.failed
        ends[2].enter_context(back(there[2]))
        eventually(lambda: town.router.states(CANARY)["shop.web-3"], lambda state: state.startswith("UP"))
        with Load() as load:
            load.more()
            ends[0].close()
            ends[1].close()
            eventually(lambda: town.router.states(BACKEND)["shop.web-2"], lambda state: state == "DOWN")
            assert set(load.more(100)) == {"web-3"}
        assert load.failed.total() <= 2 * len(load.clients), load.failed


@contextmanager
def back(one: RoutedPod) -> Iterator[None]:
    """The pod again, at its address and port."""
    with pod(one.ip, one.name, port=one.ports["web"]):
        yield


def test_a_whole_rollout_loses_no_request_and_needs_no_reload(raise_town: Callable[..., Town]) -> None:
    with ExitStack() as stack:
        (one, two, three_, four), _ = slow_pods(stack, 4)
        stable = (one, two)
        town = raise_town(IDLE, there=stable)
        pid = town.router.ask("show info").partition("Pid: ")[2].split()[0]
        with Load() as load:
            assert set(load.more()) == {"web-1", "web-2"}
            town.become(split(0), stable)
            town.become(split(0), (*stable, three_))
            town.become(split(5000), (*stable, three_))
            assert load.more(200).keys() >= {"web-3"}
            town.become(split(5000), (*stable, three_, four))
            town.become(split(10_000), (one, replace(two, leaving=True), three_, four))
            town.become(split(10_000), (replace(one, leaving=True), three_, four))
            assert set(load.more(100)) == {"web-3", "web-4"}
            town.become(IDLE, (three_, four))
            assert set(load.more(100)) == {"web-3", "web-4"}
            town.become(replace(split(1000), canary_hash=OLD, stable_hash=NEW), (one, three_, four))
            town.become(replace(split(0), canary_hash=OLD, stable_hash=NEW, withdrawn=True), (one, three_, four))
            assert set(load.more(100)) == {"web-3", "web-4"}
            town.become(IDLE, (three_, four))
        assert load.failed == Counter()
        assert town.router.ask("show info").partition("Pid: ")[2].split()[0] == pid
        assert set(town.router.states(BACKEND)) == {"shop.web-3", "shop.web-4"}
        assert town.router.states(CANARY) == {}


def test_a_client_stays_with_its_pod_and_returns_from_the_reserve(raise_town: Callable[..., Town]) -> None:
    with ExitStack() as stack:
        there, ends = slow_pods(stack)
        town = raise_town(split(10_000), there=there, sessionAffinity="ClientIP")
        clients = [f"127.0.2.{number}" for number in range(1, 9)]
        assert {name for one in clients for name in town.asked(2, source=one)} == {"web-3"}
        ends[2].close()
        eventually(lambda: town.router.states(CANARY)["shop.web-3"], lambda state: state == "DOWN")
        assert {name for one in clients for name in town.asked(2, source=one)} <= {"web-1", "web-2"}
        ends[2].enter_context(back(there[2]))
        eventually(lambda: town.router.states(CANARY)["shop.web-3"], lambda state: state.startswith("UP"))
        assert {name for one in clients for name in town.asked(2, source=one)} == {"web-3"}
        assert {get(INSIDE, 5432, source=one)[1].split("\n")[0] for one in clients} == {"web-3"}
        town.become(split(0), there)
        homes = {one: set(town.asked(5, source=one)) for one in clients}
        assert all(len(names) == 1 and names <= {"web-1", "web-2"} for names in homes.values())


def test_a_policy_holds_on_both_sides(raise_town: Callable[..., Town]) -> None:
    rule = policy(
        podSelector={"matchLabels": {"app": "web"}}, ingress=[{"from": [{"ipBlock": {"cidr": "127.0.2.1/32"}}]}]
    )
    town = raise_town(split(0), rule)
    for weight in (0, 10_000):
        town.become(split(weight))
        assert get(INSIDE, 8080, source="127.0.2.1")[0] == get(INSIDE, 5432, source="127.0.2.1")[0] == 200
        assert (get(INSIDE, 8080, source="127.0.2.2")[0], get(INSIDE, 5432, source="127.0.2.2")[0]) == (403, 0)


@pytest.mark.parametrize("sticky", [None, Stickiness("client"), Stickiness("cookie"), Stickiness("header", "x-user")])
@pytest.mark.parametrize("spec", [{}, {"sessionAffinity": "ClientIP"}, {"publishNotReadyAddresses": True}])
def test_haproxy_takes_it_without_a_word(
    folder: Path, identity: Identity, sticky: Stickiness | None, spec: dict[str, Any]
) -> None:
    checked = pods("web", "a:RRr b:R", owner="Rollout/web", template_hash=NEW, readiness=httpget(host="web.test"))
    things = (
        service("web", HTTP, H2, TCP, type="NodePort", **spec),
        service("other", HTTP, type="LoadBalancer", index=2, selector={"app": "web"}),
        service("head", 80, index=0, clusterIP="None", selector={"app": "web"}, pod_indexes={"uid-web-1": 11}),
        checked, pods("web", "a:R b:R", owner="Rollout/web", template_hash=OLD, namespace="else"),
        ingress("site", "shop.test/ Prefix web:8080", "a.test/ Prefix web:5432", "b.test/ Prefix web:9000"),
        policy(podSelector={"matchLabels": {"app": "web"}}),
    )  # fmt: skip
    for wanted in (IDLE, split(500, headers=ROUTES), split(0, withdrawn=True), split(1, canary_service="other")):
        found = config(*things, identity=identity, splits=(replace(wanted, sticky=sticky),))
        assert Router(folder, found).complaints() == ""
