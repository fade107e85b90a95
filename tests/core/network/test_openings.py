"""Which ports a node opens, and who has one that two want."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.network.openings import NODE_PORTS, node_ports
from deployer.core.network.values import RoutedNode
from tests.core.network.sketch import NODE_A, NODE_B, config, ingress, pods, section, service

EDGE_A = replace(NODE_A, labels={"pierhead.io/ingress": "true", "zone": "a", "disk": "ssd"})


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([None, 30001, 30002])), unique_by=lambda x: x[0])
)
def test_every_node_port_has_one_owner_and_keeps_it(wishes: list[tuple[str, int | None]]) -> None:
    services = [
        service(name, {"port": 80} if number is None else {"port": 80, "nodePort": number}, type="NodePort")
        for name, number in wishes
    ]
    given_ports = node_ports(services)
    assert given_ports == node_ports(reversed(services))
    assert len(set(given_ports.values())) == len(given_ports)
    assert all(number in NODE_PORTS for number in given_ports.values())
    assert all((f"uid-shop-{name}", 80) in given_ports for name, number in wishes if number is None)


def test_a_number_given_by_hash_gives_way_to_a_manifest() -> None:
    one = service("a", 80, type="NodePort")
    (number,) = node_ports([one]).values()
    other = service("b", {"port": 80, "nodePort": number}, type="NodePort")
    found = node_ports([one, other])
    assert found[other.uid, 80] == number
    assert found[one.uid, 80] not in (0, number)


def test_a_new_service_does_not_move_the_number_of_an_older_one() -> None:
    """Whatever their names: "a" is the newer one, and both hashes lead to one number."""
    old = service("z", 80, type="NodePort", index=7)
    new = replace(service("a", 80, type="NodePort", index=8), uid=_same_place(old.uid))
    (number,) = node_ports([old]).values()
    assert node_ports([new]) == {(new.uid, 80): number}
    found = node_ports([new, old])
    assert found[old.uid, 80] == number != found[new.uid, 80]
    assert node_ports([replace(new, index=0), old])[old.uid, 80] == number, "one without an index comes last"


def _same_place(uid: str) -> str:
    (wanted,) = node_ports([replace(service("z", 80, type="NodePort"), uid=uid)]).values()
    tried = (replace(service("a", 80, type="NodePort"), uid=f"uid-{number}") for number in range(100_000))
    return str(next(one.uid for one in tried if node_ports([one])[one.uid, 80] == wanted))


@pytest.mark.parametrize(
    ("kind", "node", "annotation", "is_open"),
    [
        pytest.param("NodePort", NODE_A, "", True, id="a node port everywhere"),
        pytest.param("LoadBalancer", NODE_A, "", True, id="everywhere while no node is labelled"),
        pytest.param("LoadBalancer", EDGE_A, "", True, id="on the labelled node"),
        pytest.param("NodePort", EDGE_A, "zone=a, disk=ssd", True, id="on nodes that were chosen"),
        pytest.param("NodePort", NODE_A, "zone=a", False, id="not on others"),
        pytest.param("LoadBalancer", EDGE_A, "zone=b", False, id="another value"),
        pytest.param("LoadBalancer", EDGE_A, "zone", False, id="no selector"),
    ],
)
def test_where_ports_are_opened(kind: str, node: RoutedNode, annotation: str, is_open: bool) -> None:
    annotations = {"pierhead.io/nodes": annotation} if annotation else {}
    one = service("web", {"port": 5000, "nodePort": 30500}, type=kind, annotations=annotations)
    found = config(one, node=node, nodes=(node, NODE_B))
    expected = (30500,) if kind == "NodePort" else (5000, 30500)
    assert found.edge_ports == (expected if is_open else ())
    assert bool(section(found, "frontend node.30500")) == is_open


def test_a_balancer_is_not_opened_beside_labelled_nodes() -> None:
    labelled = replace(NODE_B, labels={"pierhead.io/ingress": "true"})
    site = ingress("site", "/ Prefix web:80")
    assert config(service("web", 80, type="LoadBalancer"), site, nodes=(NODE_A, labelled)).edge_ports == ()
    assert config(service("web", 80), site, nodes=(NODE_A, NODE_B)).edge_ports == (80, 443)


def test_one_of_two_that_want_a_node_port_has_it() -> None:
    port = {"port": 80, "nodePort": 30080}
    found = config(service("b", port, type="NodePort"), service("a", port, type="NodePort", index=2))
    assert section(found, "frontend node.30080")[-1] == "default_backend svc.shop.a.80"
    assert found.problems == (
        "Service shop/b: port 30080 of the node belongs to Service shop/a; give port 80 another number",
    )


@pytest.mark.parametrize(
    ("port", "owner"),
    [
        pytest.param(80, "Ingress", id="ingress"),
        pytest.param(8443, "the mesh between nodes", id="mesh"),
        pytest.param(53, "the cluster's resolver", id="the resolver"),
    ],
)
def test_ports_that_are_taken(port: int, owner: str) -> None:
    site = ingress("site", "/ Prefix web:9")
    found = config(service("web", 9), service("own", port, 9000, type="LoadBalancer", index=2), site)
    assert found.edge_ports == (80, 443, 9000)
    assert found.problems == (
        f"Service shop/own: port {port} of the node belongs to {owner}; give port {port} another number",
    )


def test_the_edge_sends_on_who_is_asking() -> None:
    found = config(service("db", {"port": 5432, "nodePort": 30432}, type="NodePort"), pods("db", "a:R"))
    assert section(found.edge, "frontend edge.30432 from tcp") == ["bind :30432", "default_backend router.30432"]
    assert section(found.edge, "backend router.30432") == ["server router 10.208.8.1:30432 send-proxy-v2"]
    assert section(found, "frontend node.30432") == [
        "bind 10.208.8.1:30432 accept-proxy",
        "default_backend svc.shop.db.5432",
    ]
    assert config(service("db", 5432)).edge == ""
