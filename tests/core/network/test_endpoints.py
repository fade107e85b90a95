"""Which pods stand behind a service port, how they are reached, and why one is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployer.core.network.endpoints import endpoints, mode, node_label, selected, sni, target_port
from deployer.core.objects.workload import ServicePort
from tests.core.network.sketch import NODE_A, NODE_B, cluster, pods, service


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        pytest.param({"port": 80}, "http", id="by its number"),
        pytest.param({"port": 8080, "name": "web"}, "http", id="a name that says nothing"),
        pytest.param({"port": 5432}, "tcp", id="any other number"),
        pytest.param({"port": 9090, "name": "http-admin"}, "http", id="by its name up to the dash"),
        pytest.param({"port": 80, "name": "tcp-raw"}, "tcp", id="the name before the number"),
        pytest.param({"port": 9000, "name": "grpc"}, "h2", id="grpc"),
        pytest.param({"port": 9000, "name": "grpc-api"}, "h2", id="grpc and more"),
        pytest.param({"port": 9000, "name": "grpc-web"}, "http", id="grpc-web is of HTTP/1.1"),
        pytest.param({"port": 9000, "name": "grpc-web-api"}, "http", id="grpc-web and more"),
        pytest.param({"port": 9000, "name": "grpc-webby"}, "h2", id="grpc, not grpc-web"),
        pytest.param({"port": 9000, "appProtocol": "grpc-web"}, "http", id="grpc-web as appProtocol"),
        pytest.param({"port": 9000, "name": "http2-x"}, "h2", id="http2"),
        pytest.param({"port": 80, "name": "https"}, "tcp", id="TLS is carried as it is"),
        pytest.param({"port": 9000, "name": "http", "appProtocol": "kubernetes.io/h2c"}, "h2", id="appProtocol first"),
        pytest.param({"port": 9000, "appProtocol": "kubernetes.io/ws"}, "http", id="websockets"),
        pytest.param({"port": 80, "appProtocol": "redis"}, "tcp", id="a protocol that is none of these"),
        pytest.param({"port": 80, "name": "httpx"}, "http", id="a prefix is a whole word, then the number"),
        pytest.param({"port": 81, "name": "httpx"}, "tcp", id="a prefix is a whole word"),
    ],
)
def test_how_a_port_is_carried(port: dict[str, Any], expected: str) -> None:
    assert mode(ServicePort.model_validate(port)) == expected


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        pytest.param({"port": 80}, 80, id="its own"),
        pytest.param({"port": 80, "targetPort": 8000}, 8000, id="a number"),
        pytest.param({"port": 80, "targetPort": "web"}, 8080, id="a name"),
        pytest.param({"port": 80, "targetPort": "http"}, None, id="a name that no container has"),
    ],
)
def test_the_port_of_the_pod(port: dict[str, Any], expected: int | None) -> None:
    assert target_port(ServicePort.model_validate(port), pods("web", "a:R")[0]) == expected


def test_who_is_selected() -> None:
    them = (*pods("web", "b:R a:r"), *pods("db", "a:R"), *pods("web", "a:R", namespace="other"))
    assert [pod.key for pod in selected(service("web", 80), them)] == ["shop.web-1", "shop.web-2"]
    assert selected(service("web", 80, selector={}), them) == ()
    assert selected(service("web", type="ExternalName", externalName="a.test", selector={"app": "web"}), them) == ()


UNREACHABLE = replace(NODE_B, reachable=False)
NAMED = {"port": 80, "targetPort": "http"}
NO_ADDRESS = "node b has no mesh address: node add --mesh-address, or remove and add it by tcp:// or ssh://"


@pytest.mark.parametrize(
    ("picture", "port", "node", "reason"),
    [
        pytest.param("a:R", 80, NODE_B, "", id="ready, here"),
        pytest.param("b:R", 80, NODE_B, "", id="ready, there"),
        pytest.param("a:r", 80, NODE_B, "it is not ready", id="not ready"),
        pytest.param("a:t", 80, NODE_B, "it is being deleted", id="deleted, though ready"),
        pytest.param("a:n", 80, NODE_B, "it has no address yet", id="no address"),
        pytest.param("a:R", NAMED, NODE_B, "its container has no port named http", id="no such port"),
        pytest.param("b:R", 80, UNREACHABLE, "node b is not reachable", id="the node is away"),
        pytest.param("a:R", 80, replace(NODE_A, reachable=False), "", id="the own node never is"),
        pytest.param("b:R", 80, replace(NODE_B, mesh_address=""), NO_ADDRESS, id="no way to the node"),
        pytest.param("a:R", 80, replace(NODE_A, mesh_address=""), "", id="the own node needs none"),
        pytest.param(
            "b:R",
            80,
            replace(NODE_B, mesh_address="b.test"),
            'node b has the mesh address "b.test", which no address was found for',
            id="a name that was not resolved",
        ),
        pytest.param("c:R", 80, NODE_B, "its node (uid-c) is not known any more", id="a node that was removed"),
        pytest.param("b:r", 80, UNREACHABLE, "it is not ready", id="the pod's own reason first"),
    ],
)
def test_why_one_is_given_no_traffic(picture: str, port: Any, node: Any, reason: str) -> None:
    here = node if node.uid == NODE_A.uid else NODE_A
    one = service("web", port)
    found = endpoints(one, one.spec.ports[0], cluster(one, pods("web", picture), node=here, nodes=(here, node)))
    assert [(endpoint.ready, endpoint.reason) for endpoint in found] == [(not reason, reason)]


def test_how_each_is_reached() -> None:
    one = service("web", {"port": 80, "targetPort": "web"})
    on_host = replace(pods("web", "a:R")[0], name="on-host", host_network=True, ip="192.0.2.11")
    view = cluster(one, pods("web", "a:R b:R"), on_host)
    found = endpoints(one, one.spec.ports[0], view)
    assert [(each.pod.name, each.address, each.port, each.sni) for each in found] == [
        ("on-host", "10.208.0.1", 8080, ""),
        ("web-1", "10.208.16.2", 8080, ""),
        ("web-2", "192.0.2.12", 8443, sni("uid-web-2", 8080, "uid-b")),
    ]


def test_what_is_not_ready_may_be_wanted_but_never_what_is_deleted() -> None:
    one = service("web", 80, publishNotReadyAddresses=True)
    found = endpoints(one, one.spec.ports[0], cluster(one, pods("web", "a:Rrtn")))
    assert [endpoint.reason for endpoint in found] == ["", "", "it is being deleted", "it has no address yet"]


def test_names_on_the_mesh_are_of_one_label_below_the_nodes() -> None:
    name = sni("uid-web-1", 8080, "uid-b")
    assert name.endswith(f".{node_label('uid-b')}.mesh")
    assert name.count(".") == 2
    assert all(len(label) <= 63 for label in name.split("."))
    assert len({sni(pod, port, node) for pod in "ab" for port in (1, 2) for node in "cd"}) == 8
