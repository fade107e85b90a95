"""Can A reach B, and which sentence says why not."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.network.reach import reach
from deployer.core.network.values import Cluster, RoutedNode
from tests.core.network.towns import IDENTITY, NODE_A, cluster, network, pod, policy, service

param = pytest.param
WEB = service("x/web", {"app": "web", "tier": "front"}, [{"port": 80, "name": "http", "targetPort": 8080}])
FRONT = {"app": "web", "tier": "front"}
ASKS = pod("x/asks", network="pierhead-x")


def town(*pods: Any, **more: Any) -> Cluster:
    values: dict[str, Any] = {"services": (WEB,), "networks": (network("pierhead-x"),), **more}
    return cluster((ASKS, *pods), **values)


@pytest.mark.parametrize(
    ("target", "port", "pods", "reason"),
    [
        param("web", 80, [pod("x/w1", labels=FRONT), pod("x/w2", labels=FRONT)], "", id="it can"),
        param("web.x.svc.cluster.local", 80, [pod("x/w", labels=FRONT)], "", id="by its full name"),
        param("wep", 80, [], "no Service is named wep, as seen from namespace x; there is web.x", id="a typing error"),
        param("web.y", 80, [], "no Service is named web.y, as seen from namespace x; there is web.x", id="namespace"),
        param("web", 81, [], "Service x/web has no port 81; it has 80 (http)", id="port"),
        param("web", 80, [pod(f"x/w{n}", labels={**FRONT, "app": "web2"}) for n in range(3)],
              "its selector app=web,tier=front finds no pod; 3 pods have app=web2", id="another value"),
        param("web", 80, [pod("x/w", labels={"app": "web"}), pod("y/w", labels=FRONT)],
              "its selector app=web,tier=front finds no pod; 1 pod has no label tier", id="a label is missing"),
        param("web", 80, [pod("x/w", labels={})],
              "its selector app=web,tier=front finds no pod; 1 pod has app=asks and no label tier", id="far off"),
        param("web", 80, [pod("x/w1", labels=FRONT, ready=False), pod("x/w2", labels=FRONT, ready=False),
                          pod("x/w3", labels=FRONT, leaving=True)],
              "0 of 3 endpoints are ready: 2 are out because it is not ready, 1 is out because it is being deleted",
              id="none is ready"),
    ],
)  # fmt: skip
def test_the_way_to_a_service(target: str, port: int, pods: list[Any], reason: str) -> None:
    found = reach(ASKS, target, port, town(*pods))
    assert found.possible == (not reason), found.steps
    assert not reason or found.steps[-1] == reason


def test_every_step_is_told() -> None:
    pods = [pod("x/w1", labels=FRONT), pod("x/w2", labels=FRONT, ready=False)]
    assert reach(ASKS, "web", 80, town(*pods)).steps == (
        "pod x/asks asks the router of node a",
        "the name means Service x/web",
        "Service x/web has port 80, and its selector finds 2 pods",
        "1 of 2 endpoints is ready: 1 is out because it is not ready",
        "no NetworkPolicy is about these pods",
    )


def test_a_policy_that_stands_in_the_way() -> None:
    closed = policy("x/front", {
        "podSelector": {"matchLabels": {"tier": "front"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "edge"}}}], "ports": [{"port": 8080}]}],
    })  # fmt: skip
    seen = town(pod("x/w1", labels=FRONT), policies=(closed,))
    refused = reach(ASKS, WEB, 80, seen)
    assert refused.steps[-1] == (
        "refused for 1 of 1 pod under a NetworkPolicy: no rule of NetworkPolicy x/front allows it:"
        " rule 1 asks for app=edge, pod x/asks has app=asks"
    )
    edge = pod("x/edge")
    assert reach(edge, WEB, 80, seen).steps[-1] == "NetworkPolicy x/front, rule 1, allows pods with app=edge on 8080"
    assert not reach("198.51.100.1", WEB, 80, seen).possible


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        param(pod("x/s", node=""), "pod x/s is on no node yet", id="not placed"),
        param(pod("x/s", node="node-gone"), "the node of pod x/s is not known any more", id="node gone"),
        param(pod("x/s", ip=""), "pod x/s has no address yet", id="no address"),
        param(pod("x/s", host_network=True), "pod x/s is on its host's network, where names of Services are not known",
              id="host network"),
        param(pod("x/s", network="pierhead-q"), "pod x/s is on network pierhead-q, which the router of node a is not "
              "attached to", id="another network"),
        param("198.51.100.1", "198.51.100.1 is outside of the cluster, where the name web is not known", id="outside"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_ask(source: Any, reason: str) -> None:
    assert reach(source, "web", 80, town(pod("x/w", labels=FRONT))).steps[-1] == reason


def test_what_the_sources_node_sees_counts() -> None:
    dark = RoutedNode("node-b", "b", "192.0.2.2", reachable=False)
    far = pod("x/far", node="node-b", labels=FRONT)
    seen = Cluster("c", NODE_A, IDENTITY, nodes=(NODE_A, dark), pods=(ASKS, far), services=(WEB,))
    assert reach(ASKS, "web", 80, seen).steps[-1] == (
        "0 of 1 endpoint is ready: 1 is out because node b is not reachable"
    )
    asks = pod("x/asks", node="node-b")
    assert reach(asks, "web", 80, seen).steps[-1] == (
        "node b is not reachable: its router goes on with what it was told last"
    )


def test_from_outside_a_connection_enters_at_the_node_that_serves_best() -> None:
    alone, nowhere = RoutedNode("node-a", "a"), RoutedNode("", "")
    seen = Cluster("c", nowhere, IDENTITY, nodes=(alone,), pods=(ASKS, pod("x/w", labels=FRONT)), services=(WEB,))
    assert reach("198.51.100.1", WEB, 80, seen).possible, "a node alone needs no mesh address"
    assert reach(pod("x/s", node=""), WEB, 80, seen).steps == ("pod x/s is on no node yet",)


def test_a_pod_directly_and_through_a_service() -> None:
    web = pod("x/w", labels=FRONT)
    assert reach(ASKS, web, 8080, town(web)).steps[-1] == (
        "pod x/w is on the same network, pierhead-x: nothing stands in between"
    )
    apart = pod("x/w", labels=FRONT, network="pierhead-x-00000000")
    assert "Service x/web, port 80, leads to port 8080 of pod x/w" in reach(ASKS, apart, 8080, town(apart)).steps
    assert reach(ASKS, apart, 9, town(apart)).steps[-1] == (
        "pod x/w is on another network, and no Service leads to its port 9"
    )
    assert reach(ASKS, pod("x/w", ip="", labels=FRONT), 9, town()).steps[-1] == "pod x/w has no address yet"


def test_what_is_outside_of_the_cluster() -> None:
    mail = service("x/mail", {}, (), type="ExternalName", externalName="mail.test")
    found = reach(ASKS, "mail", 25, town(services=(mail,)))
    assert found.possible
    assert found.steps[-1] == "Service x/mail stands for the host mail.test, outside of the cluster"
