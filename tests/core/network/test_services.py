"""What becomes of a Service: frontends, backends, servers, names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployer.core.network.values import NetworkCheck, Server
from tests.core.network.sketch import cluster, config, httpget, pods, policy, section, service

USUAL = "check inter 1s fastinter 300ms fall 2 rise 1"
PROBED = "check inter 10s downinter 1s fall 3 rise 1"
PROBED_FAR = "check check-ssl inter 10s downinter 5s fall 3 rise 1"
FAR = "check-ssl inter 5s fastinter 1s fall 2 rise 1"


def test_a_service_has_one_address_on_each_network_of_the_node() -> None:
    found = config(service("web", 80, {"port": 443, "name": "https"}, index=7))
    assert section(found, "frontend vip.shop.web.80 from http") == [
        "bind 10.208.8.8:80",
        "bind 10.208.24.8:80",
        "default_backend svc.shop.web.80",
    ]
    assert section(found, "frontend vip.shop.web.443 from tcp")[0] == "bind 10.208.8.8:443"
    assert [(one.network, one.address, one.virtual_range) for one in found.attachments] == [
        ("00-pierhead-mesh", "10.208.8.1", "10.208.8.0/21"),
        ("pierhead-shop", "10.208.24.1", "10.208.24.0/21"),
    ]


def words(server: Server) -> str:
    """Of its checks, and of HTTP/2; without what all servers say."""
    said = " ".join(server.arguments)
    for name in (word for word in server.arguments if word.endswith(".mesh")):
        said = said.replace(f"check-sni {name} ", "").replace(f"sni str({name}) verifyhost {name}", "far")
    return said.partition(" observe")[0].partition(" agent-addr")[0].rpartition("far ")[2]


@pytest.mark.parametrize(
    ("port", "check", "here", "there", "asks"),
    [
        pytest.param(80, None, USUAL, f"check {FAR}", False, id="no readiness check"),
        pytest.param(80, httpget(port=80), PROBED, PROBED_FAR, True, id="http"),
        pytest.param(5432, httpget(port=5432), PROBED, PROBED_FAR, True, id="http of a tcp port"),
        pytest.param(
            80,
            httpget(port=81, period_seconds=2, fall=5, rise=2),
            "check port 81 inter 2s downinter 1s fall 5 rise 2",
            "check check-ssl inter 5s downinter 5s fall 5 rise 2",
            True,
            id="another port and rhythm",
        ),
        pytest.param(
            80,
            httpget(port=443, https=True),
            "check port 443 check-ssl verify none inter 10s downinter 1s fall 3 rise 1",
            None,
            True,
            id="https is not asked for from afar",
        ),
        pytest.param(
            80, httpget(port=80, headers=(("A", "b"),)), USUAL, f"check {FAR}", False, id="headers of its own"
        ),
        pytest.param(80, NetworkCheck("tcp", 80), PROBED, f"check {FAR}", False, id="tcp"),
        pytest.param(
            80,
            NetworkCheck("tcp", 81),
            PROBED.replace("check", "check port 81"),
            f"check {FAR}",
            False,
            id="tcp of another port",
        ),
        pytest.param(
            {"port": 9000, "name": "grpc"}, httpget(port=80), f"proto h2 {USUAL}", f"check {FAR}", False, id="HTTP/2"
        ),
    ],
)
def test_how_servers_are_watched(
    port: Any, check: NetworkCheck | None, here: str, there: str | None, asks: bool
) -> None:
    one = service("web", port)
    found = config(one, pods("web", "a:R b:R", readiness=check))
    name = f"svc.shop.web.{one.spec.ports[0].port}"
    near, far = found.servers[name]
    pooled = "pool-max-conn 100 pool-purge-delay 1s "
    assert (pooled in words(near)) == (name.endswith(".5432") is False), "http keeps connections for the next request"
    assert words(near).replace(pooled, "") == here
    assert words(far).replace(pooled, "") == (there if there is not None else words(far).replace(pooled, ""))
    assert ("check" in far.arguments) == (there is not None)
    assert ("option httpchk" in section(found, f"backend {name}")) == asks
    assert not asks or found.maps["maps/check-path.map"]["shop.web-1"] == "/ready"


def test_where_checks_are_http_a_pod_without_one_is_not_checked() -> None:
    first, second = pods("web", "a:RR")
    found = config(service("web", 80), (replace(first, readiness=httpget(port=80, timeout_seconds=4)), second))
    assert [server.is_checked for server in found.servers["svc.shop.web.80"]] == [True, False]
    assert "timeout check 4s" in section(found, "backend svc.shop.web.80")
    assert found.maps["maps/check-host.map"] == {"shop.web-1": "10.208.16.2:80"}


def test_only_what_is_ready_is_a_server_and_the_rest_is_still_reached_by_the_mesh() -> None:
    found = config(service("web", 80), pods("web", "a:Rrtn b:Rr"))
    assert [server.name for server in found.servers["svc.shop.web.80"]] == ["shop.web-1", "shop.web-5"]
    assert sorted(found.maps["maps/mesh.map"].values()) == ["10.208.16.2|80", "10.208.16.3|80", "10.208.16.4|80"]


def test_of_two_pods_of_one_name_the_ready_one_is_the_server() -> None:
    old = replace(pods("web", "a:t")[0], uid="uid-old")
    found = config(service("web", 80), old, pods("web", "a:R"))
    assert [server.pod_uid for server in found.servers["svc.shop.web.80"]] == ["uid-web-1"]


def test_what_is_not_ready_is_a_server_when_it_is_wanted_so() -> None:
    found = config(service("web", 80, publishNotReadyAddresses=True), pods("web", "a:r b:r", readiness=httpget()))
    assert [server.is_checked for server in found.servers["svc.shop.web.80"]] == [False, False]
    assert "option httpchk" not in section(found, "backend svc.shop.web.80")


def test_a_headless_service_leads_to_each_pod_by_an_address_of_its_own() -> None:
    found = config(
        service("db", 5432, index=0, clusterIP="None", pod_indexes={"uid-db-1": 11, "uid-db-2": 12}), pods("db", "a:Rr")
    )
    assert section(found, "frontend vip.shop.db.5432.db-1")[1] == "bind 10.208.24.12:5432"
    assert section(found, "frontend vip.shop.db.5432.db-2")[-1] == "default_backend svc.shop.db.5432.db-2"
    assert [len(servers) for name, servers in found.servers.items() if name.startswith("svc.")] == [1, 0]
    assert found.files["names/pierhead-shop"].decode().splitlines()[1:] == [
        "10.208.24.12 db.shop.svc.cluster.local db.shop.svc db.shop",
        "10.208.24.12 db-1.db.shop.svc.cluster.local db-1.db.shop.svc db-1.db.shop",
    ]


def test_a_policy_about_one_pod_of_a_headless_service_closes_only_that_one() -> None:
    first, second = pods("db", "a:RR")
    first = replace(first, labels={"app": "db", "role": "leader"})
    found = config(
        service("db", 5432, index=0, clusterIP="None", pod_indexes={"uid-db-1": 11, "uid-db-2": 12}),
        (first, second), policy(podSelector={"matchLabels": {"role": "leader"}}),
    )  # fmt: skip
    only_itself, everyone = {"10.208.16.2/32": "allow"}, {"0.0.0.0/0": "allow", "::/0": "allow"}
    assert {name: entries for name, entries in found.maps.items() if ".db." in name} == {
        "maps/policy.svc.shop.db.5432.map": only_itself,
        "maps/policy.svc.shop.db.5432.db-1.map": only_itself,
        "maps/policy.svc.shop.db.5432.db-2.map": everyone,
    }
    for name in ("db-1", "db-2"):
        line = section(found, f"backend svc.shop.db.5432.{name}")[0]
        assert f"src,map_ip(/pierhead/maps/policy.svc.shop.db.5432.{name}.map,deny)" in line


def test_clients_stay_where_they_are() -> None:
    lasting = {"clientIP": {"timeoutSeconds": 60}}
    found = config(service("web", 80, sessionAffinity="ClientIP", sessionAffinityConfig=lasting))
    assert section(found, "backend svc.shop.web.80") == [
        "stick-table type ipv6 size 100k expire 60s peers local",
        "stick on src",
    ]


def test_a_policy_is_a_rule_as_soon_as_the_namespace_has_one() -> None:
    about_web = policy(podSelector={"matchLabels": {"app": "web"}})
    services = (service("web", 80), service("db", 5432, index=2), service("far", 80, namespace="other"))
    found = config(*services, pods("web", "a:R"), pods("db", "a:R"), about_web)
    assert found.maps["maps/policy.svc.shop.web.80.map"].get("0.0.0.0/0") != "allow"
    assert found.maps["maps/policy.svc.shop.db.5432.map"] == {"0.0.0.0/0": "allow", "::/0": "allow"}
    assert section(found, "backend svc.shop.web.80")[0].startswith(
        "http-request deny deny_status 403 unless { src,map_ip("
    )
    assert section(found, "backend svc.shop.db.5432")[0].startswith("tcp-request content reject unless { src,map_ip(")
    assert not section(found, "backend svc.other.far.80")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        pytest.param({"externalName": "db.test"}, "lists no ports, so 80 and 443 are forwarded", id="no ports"),
        pytest.param({"externalName": "a.b.svc"}, "means the Service b/a, which does not exist", id="no such Service"),
        pytest.param({"externalName": "out.shop.svc"}, "or is itself an alias", id="an alias of itself"),
        pytest.param({"externalName": "db test"}, "is left out: its externalName is no host name", id="no name"),
    ],
)
def test_what_is_wrong_with_an_external_name(spec: dict[str, str], sentence: str) -> None:
    (problem,) = config(service("out", type="ExternalName", **spec)).problems
    assert problem.startswith("Service shop/out")
    assert sentence in problem


def test_an_external_name_is_forwarded_and_its_server_is_nobody_elses_business() -> None:
    found = config(service("out", {"port": 5432, "targetPort": 6432}, type="ExternalName", externalName="db.test."))
    (line,) = section(found, "backend svc.shop.out.5432")
    assert line.startswith("server external db.test:6432 resolvers host ")
    assert "svc.shop.out.5432" not in found.servers
    assert found.problems == ()


@pytest.mark.parametrize(
    ("things", "sentence"),
    [
        pytest.param((service("web", 80, index=2041),), "has no virtual address: there are 2040", id="too many"),
        pytest.param((service("a", 80), service("b", 80)), "has no virtual address of its own", id="one for two"),
        pytest.param((service("web", clusterIP="None"),), "(headless) lists no ports", id="nothing to connect to"),
    ],
)
def test_services_without_an_address_are_told_so_and_keep_their_backends(things: Any, sentence: str) -> None:
    found = config(*things)
    assert any(sentence in problem for problem in found.problems)
    assert {f"svc.{one.namespace}.{one.name}.{port.port}" for one in things for port in one.spec.ports} <= set(
        found.servers
    )


def test_pods_come_and_go_without_a_reload() -> None:
    here = (service("web", 80, type="NodePort"), service("db", 5432, index=2), policy(podSelector={}))
    empty, full = config(*here), config(*here, pods("web", "a:RRr b:R"), pods("db", "a:R"), pods("client", "a:R"))
    assert empty.structure == full.structure
    assert empty.text != full.text
    assert full.structure != config(*here, service("more", 80, index=3)).structure
    other = replace(cluster(*here).identity, certificate="ANOTHER\n")
    assert full.structure != config(*here, identity=other).structure
    assert f"set-var proc.structure str({full.structure})" in section(full, "global")


def test_the_hosts_own_pods_are_reached_at_the_gateway() -> None:
    found = config(service("web", 80), pods("web", "a:R", host_network=True))
    assert found.servers["svc.shop.web.80"][0].address == "10.208.0.1:80"
    assert list(found.maps["maps/mesh.map"].values()) == ["10.208.0.1|80"]
