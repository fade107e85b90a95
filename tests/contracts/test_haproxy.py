"""The configuration is one that HAProxy takes without a word, and that does on loopback what was meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.core.network.addresses import addresses, virtual_address
from deployer.core.network.config import router_config
from deployer.core.network.latency import TABLE
from deployer.core.network.maps import map_path, policy_map
from deployer.core.network.measurements import read_counters
from deployer.core.network.values import Identity, NetworkCheck, RoutedPod, RouterConfig, TlsPair
from deployer.core.tls_pair import pair_problem, pair_text
from tests.contracts.loopback import LOCAL_RANGE, Router, eventually, get, needs_haproxy, over_tcp, pod, scratch
from tests.contracts.mesh_certificates import MeshAuthority
from tests.core.network.sketch import cluster, config, httpget, ingress, pods, policy, service
from tests.core.test_tls_pair import CHAINS, certificate, key
from tests.ports import free_port

WEB = {"port": 8080, "targetPort": "web"}
DATABASE = {"port": 5432, "targetPort": "web"}


@pytest.fixture(scope="module")
def authority() -> MeshAuthority:
    return MeshAuthority()


@pytest.fixture(scope="module")
def identity(authority: MeshAuthority) -> Identity:
    return authority.identity("uid-a")


@pytest.fixture
def folder() -> Iterator[Path]:
    needs_haproxy()
    with scratch() as found:
        yield found


EVERYTHING = (
    service("web", {"port": 80, "name": "http"}, {"port": 5432, "name": "db"}, type="NodePort"),
    service("db", 5432, index=2, clusterIP="None", pod_indexes={"uid-db-1": 11, "uid-db-2": 12}),
    service("out", type="ExternalName", externalName="outside.test", index=3),
    service("alias", type="ExternalName", externalName="web.shop.svc.cluster.local", index=0),
    service("rpc", {"port": 9000, "name": "grpc"}, index=4, sessionAffinity="ClientIP", type="LoadBalancer"),
    service("early", 8000, index=5, publishNotReadyAddresses=True),
    service("secure", 8443, index=6),
    service("host", 8000, index=7),
    service("none", 8000, index=8, selector={}),
    pods("web", "a:RRr b:R", readiness=httpget(host="web.test", timeout_seconds=3)),
    pods("db", "a:R b:R", readiness=NetworkCheck("tcp", 5433)),
    pods("rpc", "a:R b:R", readiness=httpget()),
    pods("early", "a:r b:r", readiness=httpget()),
    pods("secure", "a:R b:R", readiness=httpget(https=True, headers=())),
    pods("host", "a:R b:R", host_network=True),
    ingress("site", "shop.test/ Prefix web:http", "*.shop.test/x Exact db:5432", "/out Prefix out:80"),
    ingress("lost", "a.test/ Prefix gone:80", tls=[{"hosts": ["a.test"], "secretName": "cert"}]),
    policy(podSelector={"matchLabels": {"app": "db"}}),
)


@pytest.mark.parametrize(
    "things",
    [
        pytest.param((), id="nothing"),
        pytest.param(EVERYTHING, id="everything"),
        *(pytest.param((*EVERYTHING[:number], *EVERYTHING[9:]), id=f"without {number}") for number in range(9)),
    ],
)
def test_haproxy_takes_it_without_a_word(folder: Path, authority: MeshAuthority, things: tuple[Any, ...]) -> None:
    pair = authority.issue("a.test", "a.test")
    secret = TlsPair("shop", "cert", pair.pem, pair.key)
    found = config(*things, identity=authority.identity("uid-a"), tls=(secret,))
    assert Router(folder, found).complaints() == ""
    if things:
        assert found.edge_ports
        assert Router(folder, replace(found, text=found.edge)).complaints() == ""


@pytest.mark.parametrize(("kind", "chain"), [row[:2] for row in CHAINS])
def test_haproxy_takes_every_pair_that_has_no_problem(
    folder: Path, identity: Identity, kind: str, chain: tuple[bytes, ...]
) -> None:
    """What it refuses (its complaint names the certificate's file) is refused when the manifest is read."""
    given = (b"".join(chain), key(kind))
    pair = TlsPair("shop", "cert", *pair_text(*given))
    site = ingress("site", "a.test/ Prefix web:80", tls=[{"hosts": ["a.test"], "secretName": "cert"}])
    complaints = Router(folder, config(service("web", 80), site, identity=identity, tls=(pair,))).complaints()
    assert complaints == "" or pair_problem(*given) is not None
    assert "tls/ingress/" in complaints or not complaints


def test_a_secret_may_have_the_longest_name(folder: Path, identity: Identity) -> None:
    pair = TlsPair("shop", "c" * 253, *pair_text(certificate(), key()))
    found = config(service("web", 80), ingress("site", "a.test/ Prefix web:80"), identity=identity, tls=(pair,))
    assert Router(folder, found).complaints() == ""


def local(identity: Identity, *things: Any, **more: Any) -> RouterConfig:
    desired = cluster(*things, pod_range=LOCAL_RANGE, identity=identity, **more)
    return router_config(replace(desired, mesh_port=more.get("mesh_port", free_port())))


def web_address(index: int = 1) -> str:
    return virtual_address(LOCAL_RANGE, 1, index)


def at(one: RoutedPod, address: str, port: int, **more: Any) -> RoutedPod:
    return replace(one, ip=address, ports={"web": port}, **more)


@pytest.fixture
def two(folder: Path) -> Iterator[tuple[RoutedPod, ...]]:
    """web-1 and web-2, running."""
    with ExitStack() as stack:
        yield tuple(
            at(one, f"127.0.1.{number}", stack.enter_context(pod(f"127.0.1.{number}", one.name)))
            for number, one in enumerate(pods("web", "a:RR"), 1)
        )


def names_seen(address: str, port: int, count: int = 30) -> set[str]:
    answers = [get(address, port) for _ in range(count)]
    assert {status for status, _ in answers} == {200}, answers
    return {body.split("\n")[0] for _, body in answers}


def test_requests_go_to_every_ready_pod_by_every_network(
    folder: Path, identity: Identity, two: tuple[RoutedPod, ...]
) -> None:
    found = local(identity, service("web", WEB, DATABASE), two)
    with Router(folder, found).running():
        assert names_seen(web_address(), 8080) == {"web-1", "web-2"}
        assert names_seen(virtual_address(LOCAL_RANGE, 0, 1), 8080) == {"web-1", "web-2"}
        assert names_seen(web_address(), 5432) == {"web-1", "web-2"}


def test_a_service_may_have_the_port_of_the_mesh(folder: Path, identity: Identity, two: tuple[RoutedPod, ...]) -> None:
    port = free_port()
    found = local(identity, service("web", {**WEB, "port": port}), two, mesh_port=port)
    with Router(folder, found).running():
        assert names_seen(web_address(), port) == {"web-1", "web-2"}


def test_the_router_asks_for_readiness_by_itself(folder: Path, identity: Identity) -> None:
    statuses = [{"/ready": 200}, {"/ready": 200}]
    with ExitStack() as stack:
        running = []
        for number, one in enumerate(pods("web", "a:RR")):
            address = f"127.0.1.{number + 1}"
            port = stack.enter_context(pod(address, one.name, statuses[number]))
            running.append(at(one, address, port, readiness=httpget(port=port, period_seconds=1, fall=1)))
        router = stack.enter_context(Router(folder, local(identity, service("web", WEB), tuple(running))).running())
        assert names_seen(web_address(), 8080) == {"web-1", "web-2"}
        statuses[0]["/ready"] = 503
        eventually(lambda: router.states("svc.shop.web.8080")["shop.web-1"], lambda state: state == "DOWN")
        assert names_seen(web_address(), 8080) == {"web-2"}
        statuses[0]["/ready"] = 204
        eventually(lambda: router.states("svc.shop.web.8080")["shop.web-1"], lambda state: state == "UP")


def test_every_server_can_be_taken_out_and_put_back_while_it_runs(folder: Path, identity: Identity) -> None:
    found = local(identity, *EVERYTHING, mesh_port=free_port())
    changes = {f"{addresses(LOCAL_RANGE, 0).router}:{port} ": f"127.64.8.1:{free_port()} " for port in (80, 443)}
    privileged = {":80\n": f":{free_port()}\n", ":443\n": f":{free_port()}\n"}
    with Router(folder, found, {**changes, **privileged}).running() as router:
        assert sum(map(len, found.servers.values())) >= 15
        for backend, servers in found.servers.items():
            before = dict(router.states(backend))
            for server in servers:
                router.remove(backend, server)
            assert not router.states(backend)
            for server in servers:
                assert router.add(backend, server) == "", server
            assert router.states(backend).keys() == before.keys()


def test_a_pod_enters_and_leaves_without_a_reload(folder: Path, identity: Identity, two: tuple[RoutedPod, ...]) -> None:
    one = local(identity, service("web", WEB), two[:1], mesh_port=8443)
    both = local(identity, service("web", WEB), two, mesh_port=8443)
    assert one.structure == both.structure
    entering = both.servers["svc.shop.web.8080"][1]
    with Router(folder, one, {"bind :8443": f"bind :{free_port()}"}).running() as router:
        assert names_seen(web_address(), 8080) == {"web-1"}
        assert router.add("svc.shop.web.8080", entering) == ""
        eventually(lambda: names_seen(web_address(), 8080), lambda seen: seen == {"web-1", "web-2"})
        router.remove("svc.shop.web.8080", entering)
        assert names_seen(web_address(), 8080) == {"web-1"}


def test_a_policy_lets_in_whom_it_names(folder: Path, identity: Identity, two: tuple[RoutedPod, ...]) -> None:
    client = replace(pods("client", "a:R")[0], ip="127.0.2.1")
    rule = policy(
        podSelector={"matchLabels": {"app": "web"}},
        ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}]}],
    )
    found = local(identity, service("web", WEB, DATABASE), two, client, rule)
    with Router(folder, found).running() as router:
        assert get(web_address(), 8080, source="127.0.2.1")[0] == 200
        assert get(web_address(), 8080, source="127.0.2.2")[0] == 403
        assert get(web_address(), 5432, source="127.0.2.1")[0] == 200
        assert get(web_address(), 5432, source="127.0.2.2")[0] == 0
        file = router.here(map_path(policy_map("svc.shop.web.8080")))
        router.ask(f"add map {file} 127.0.2.2/32 allow")
        assert get(web_address(), 8080, source="127.0.2.2")[0] == 200


def test_how_long_requests_took_is_counted(folder: Path, identity: Identity, two: tuple[RoutedPod, ...]) -> None:
    found = local(identity, service("web", WEB), (two[0], replace(two[1], revision=2)))
    with Router(folder, found).running() as router:
        names_seen(web_address(), 8080, 40)
        quick = measured(router)
        assert get(web_address(), 8080, "/wait/40")[0] == 200  # more than 32 ms and, but for a slow machine, up to 64
        slow = measured(router)
    assert set(quick) == {("svc.shop.web.8080", 1), ("svc.shop.web.8080", 2)}
    assert sum(map(sum, quick.values())) == 40
    added = [sum(counts[place] for counts in slow.values()) for place in range(16)]
    added = [now - sum(counts[place] for counts in quick.values()) for place, now in enumerate(added)]
    assert sum(added) == 1
    assert sum(added[:6]) == 0


def measured(router: Router) -> dict[tuple[str, int], tuple[int, ...]]:
    return dict(read_counters("", router.ask(f"show table {TABLE}")).latencies)


@pytest.mark.parametrize(
    ("host", "path", "status", "backend"),
    [
        pytest.param("shop.test", "/", 200, "web-1", id="the host's root"),
        pytest.param("SHOP.test.:80", "/any?x=1", 200, "web-1", id="case, port and final dot of the host"),
        pytest.param("shop.test", "/cart", 200, "web-2", id="a prefix itself"),
        pytest.param("shop.test", "/cart/", 200, "web-2", id="a prefix with a slash"),
        pytest.param("shop.test", "/cart/a/b?q=/", 200, "web-2", id="below a prefix"),
        pytest.param("shop.test", "/carts", 200, "web-1", id="a prefix ends at a path's element"),
        pytest.param("shop.test", "/cart/exact", 200, "web-1", id="an exact path before a prefix"),
        pytest.param("shop.test", "/cart/exact/", 200, "web-2", id="an exact path is exact"),
        pytest.param("a.wild.test", "/x", 200, "web-2", id="a wildcard"),
        pytest.param("b.wild.test", "/x", 200, "web-1", id="a host before a wildcard"),
        pytest.param("a.b.wild.test", "/x", 404, "Nothing is served at this address.", id="a wildcard is one label"),
        pytest.param("wild.test", "/x", 404, "Nothing is served at this address.", id="a wildcard is not its parent"),
        pytest.param("other.test", "/everywhere", 200, "web-2", id="any host"),
        pytest.param("other.test", "/", 404, "Nothing is served at this address.", id="no rule"),
        pytest.param("gone.test", "/", 503, "The service of this address is missing.", id="no Service"),
        pytest.param("tls.test:80", "/a?b=c", 308, "https://tls.test/a?b=c", id="to https"),
        pytest.param("x.tls.test", "/", 308, "https://x.tls.test/", id="a wildcard to https"),
        pytest.param("plain.tls.test", "/", 200, "web-1", id="a host below it that has its own rule without TLS"),
    ],
)
def test_ingress(web_site: Router, host: str, path: str, status: int, backend: str) -> None:
    port = int(web_site.here("PORT"))
    found = over_tcp("127.64.8.1", port, f"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n{request(host, path)}")
    head, _, body = found.partition("\r\n\r\n")
    assert head.split(" ")[1] == str(status)
    place = next((line[10:] for line in head.splitlines() if line.lower().startswith("location: ")), "")
    assert (place or body.splitlines()[0]) == backend
    if status == 200:
        assert {"x-forwarded-for: 203.0.113.9", "x-forwarded-proto: http"} <= set(body.splitlines())
        assert f"x-forwarded-host: {host}" in body.splitlines()
        assert "evil" not in body


def request(host: str, path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: evil\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def web_site(identity: Identity) -> Iterator[Router]:
    needs_haproxy()
    port = free_port()
    rules = (
        *("shop.test/ Prefix one:8080", "shop.test/cart/ Prefix two:5432", "shop.test/cart/exact Exact one:8080"),
        *(
            "*.wild.test/ Prefix two:5432",
            "b.wild.test/x Exact one:8080",
            "/everywhere ImplementationSpecific two:5432",
        ),
        *("gone.test/ Prefix gone:80", "tls.test/ Prefix one:8080", "*.tls.test/ Prefix one:8080"),
    )
    site = ingress("site", *rules, tls=[{"hosts": ["tls.test", "*.tls.test"]}])
    plain = ingress("plain", "plain.tls.test/ Prefix one:8080")
    changes = {
        "127.64.8.1:80 ": f"127.64.8.1:{port} ",
        "127.64.8.1:443 ": f"127.64.8.1:{free_port()} ",
        "PORT": str(port),
    }
    with scratch() as folder, pod("127.0.1.1", "web-1") as first, pod("127.0.1.2", "web-2") as second:
        one = at(pods("one", "a:R")[0], "127.0.1.1", first)
        two = at(pods("two", "a:R")[0], "127.0.1.2", second)
        services = (service("one", WEB), service("two", DATABASE, index=2))
        with Router(folder, local(identity, *services, (one, two), site, plain), changes).running() as router:
            yield router
