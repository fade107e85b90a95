"""A Service with a canary on the real HAProxy: who gets how much by each way in, and who stays."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.core.canary.values import HeaderMatch, HeaderRoute, Stickiness
from deployer.core.network.header_words import regex_fault, route_key
from deployer.core.network.maps import HEADER_ROUTES
from deployer.core.network.measurements import amounts, read_counters
from deployer.core.network.values import Identity
from tests.contracts.loopback import (
    PATIENCE_SECONDS,
    Router,
    get,
    needs_haproxy,
    over_tcp,
    scratch,
)
from tests.contracts.split_town import (
    BACKEND,
    CANARY,
    H2,
    HTTP,
    IDLE,
    INSIDE,
    NEW,
    OLD,
    PROXY,
    REVISIONS,
    ROUTER,
    TCP,
    Town,
    ask_once,
    raised,
    share,
    split,
)
from tests.core.network.sketch import config, httpget, ingress, pods, policy, service


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
        return ask_once(line, line.makefile("rb"), headers)


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


def test_the_service_of_the_stable_pods_is_split_for_an_ingress_that_is_named(raise_town: Callable[..., Town]) -> None:
    """2,000 at 30 %: a standard deviation of one point."""
    town = raise_town(split(3000, stable_service="web", ingresses=("site",)))
    assert set(town.asked(50)) == set(town.asked(50, way="node")) == {"web-1", "web-2"}
    found = [share(town.asked(2000, way="ingress", host=host)) for host in ("shop.test", "bytes.test")]
    assert all(0.25 <= one <= 0.35 for one in found), found
    town.become(split(0, stable_service="web", ingresses=("site",), withdrawn=True))
    assert set(town.asked(50, way="ingress")) == {"web-1", "web-2"}


REGEXES = st.text("aB.*+?()[]^$|\\dws{2,9}-\u00fc ", min_size=1, max_size=20).filter(lambda text: not regex_fault(text))


@given(st.lists(REGEXES, min_size=40, max_size=80))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_regex_a_manifest_may_have_haproxy_takes(identity: Identity, texts: list[str]) -> None:
    routes = tuple(HeaderRoute(str(n), (HeaderMatch("x-v", "regex", text),)) for n, text in enumerate(texts))
    found = config(service("web", HTTP), pods("web", "a:R"), identity=identity, splits=(split(500, headers=routes),))
    assert len(found.maps[HEADER_ROUTES]) == len({regex_key(text) for text in texts})
    with scratch() as folder:
        assert Router(folder, found).complaints() == ""


def regex_key(text: str) -> str:
    return route_key(BACKEND, HeaderRoute("r", (HeaderMatch("x-v", "regex", text),)))


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


# The last ones: their town stands until the end of this file, on the addresses of all.


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
        yield raised(stack, folder, identity, split(0, headers=ROUTES))
