"""What stands behind services and ingresses: the pages' count and the routers' rules say the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from control.models import Application, ReplicaSet, Service
from control.selectors.backing import backings
from control.selectors.endpoints import endpoints_of_services, nearest_pods
from control.selectors.health import application_health, health_of_service, network_health
from control.selectors.kubernetes_objects import render_all
from control.selectors.openings import openings
from tests.control import factories
from tests.control.factories import NOW

pytestmark = pytest.mark.django_db
NAMED = [{"port": 80, "targetPort": "http"}]


def containers(*names: str, **more: Any) -> dict[str, Any]:
    ports = [{"name": name, "containerPort": 8000 + at} for at, name in enumerate(names)]
    return {"containers": [{"name": "web", "image": "web", "ports": ports}], **more}


SCENES: dict[str, tuple[dict[str, Any], list[dict[str, Any]], tuple[int, int, str]]] = {
    # the service's spec, pods, (ready, selected, status)
    "ready": ({}, [{}, {}], (2, 2, "Healthy")),
    "one is not ready": ({}, [{}, {"ready": False}], (1, 2, "Healthy")),
    "none is ready": ({}, [{"ready": False}], (0, 1, "Progressing")),
    "none is selected": ({"selector": {"app": "x"}}, [{}], (0, 0, "Degraded")),
    "a pod that leaves is none": ({}, [{"deleted_at": NOW}, {"ready": False}], (0, 1, "Progressing")),
    "of another namespace": ({}, [{"namespace": "other"}], (0, 0, "Degraded")),
    "no selector": ({"selector": {}}, [{}], (0, 0, "Healthy")),
    "outside": ({"type": "ExternalName", "externalName": "x.y", "selector": {}}, [{}], (0, 0, "Healthy")),
    "named port": ({"ports": NAMED}, [{"spec": containers("http")}], (1, 1, "Healthy")),
    "a port of that name is nowhere": ({"ports": NAMED}, [{"spec": containers("web")}], (0, 1, "Degraded")),
    "one pod has the port": (
        {"ports": NAMED}, [{"spec": containers("web")}, {"spec": containers("http")}], (1, 2, "Healthy"),
    ),
    "a sidecar's port": (
        {"ports": NAMED},
        [{"spec": containers("web", initContainers=[
            {"name": "s", "restartPolicy": "Always", "ports": [{"name": "http", "containerPort": 1}]}])}],
        (1, 1, "Healthy"),
    ),
    "an init container's port does not count": (
        {"ports": NAMED},
        [{"spec": containers("web", initContainers=[{"name": "s", "ports": [{"name": "http", "containerPort": 1}]}])}],
        (0, 1, "Degraded"),
    ),
    "early": ({"publishNotReadyAddresses": True}, [{"ready": False, "ip": "10.0.0.9"}], (1, 1, "Healthy")),
    "two ports, one works": ({"ports": [{"port": 1}, {"port": 2, "targetPort": "http"}]},
                             [{"spec": containers("http")}, {"spec": containers("http")}], (2, 2, "Healthy")),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENES)
def test_pages_and_routers_count_alike(name: str) -> None:
    spec, pods, (ready, selected, status) = SCENES[name]
    row = factories.service(spec=spec)
    for pod in pods:
        factories.pod(**pod)
    counted, found = backings([row])[0], endpoints_of_services([row])[0]
    assert (counted.ready, counted.selected) == (found.ready_pods, len(found.pods)) == (ready, selected)
    assert counted.has_selector == found.has_selector
    assert health_of_service(row).status == status
    for port in found.ports:
        assert counted.by_port.get(port.port.port, 0) == sum(one.ready for one in port.endpoints)


def test_ports_are_named_by_the_template_of_the_pods_replica_set() -> None:
    _, current, _ = factories.shop(1)
    ReplicaSet.objects.update(spec={"template": {"spec": containers("http")}})
    row = factories.service(spec={"ports": NAMED})
    found = endpoints_of_services([row])[0].ports[0].endpoints
    assert [(str(one), one.ready) for one in found] == [("172.18.0.7:8000", True)]
    assert current.replicas == 1


def test_a_port_by_a_name_that_nobody_has_says_so() -> None:
    factories.pod(spec=containers("web"))
    row = factories.service(spec={"ports": NAMED})
    assert health_of_service(row).message == "the pod that it selects has no port named http"
    reason = endpoints_of_services([row])[0].ports[0].endpoints[0].reason
    assert reason == "its container has no port named http"


def test_the_nearest_pods_come_first() -> None:
    row = factories.service(spec={"selector": {"app": "web", "tier": "front"}})
    pods = [
        factories.pod(name="a", labels={}),
        factories.pod(name="b", labels={"app": "web", "tier": "back"}),
        factories.pod(name="c", labels={"app": "api", "tier": "front"}),
    ]
    assert nearest_pods(endpoints_of_services([row])[0], pods) == [
        "pod c lacks app=web (it has app=api)",
        "pod b lacks tier=front (it has tier=back)",
        "pod a lacks app=web, tier=front",
    ]


def test_endpoints_with_several_numbers_and_ports_are_packed_as_kubernetes_does() -> None:
    for name, ports in (("a", ("http", "other")), ("b", ("other", "http"))):
        factories.pod(name=name, spec=containers(*ports), ip=f"10.0.0.{ord(name)}")
    named = [{"port": 80, "name": "web", "targetPort": "http"}, {"port": 81, "name": "raw", "targetPort": 9000}]
    row = factories.service(spec={"ports": [*named, {"port": 82, "name": "same", "targetPort": 9000}]})
    subsets = render_all("Endpoints", [row], NOW)[0]["subsets"]
    json.dumps(subsets)
    assert [([one["ip"] for one in part["addresses"]], [one["name"] for one in part["ports"]]) for part in subsets] == [
        (["10.0.0.97"], ["web"]), (["10.0.0.98"], ["web"]), (["10.0.0.97", "10.0.0.98"], ["raw", "same"]),
    ]  # fmt: skip


def test_queries_do_not_grow(django_assert_max_num_queries: Any) -> None:
    factories.shop(3)
    for number in range(20):
        factories.service(f"s{number}", spec={"ports": NAMED})
        factories.ingress(f"i{number}")
    rows = list(Service.objects.all())
    with django_assert_max_num_queries(7):
        endpoints_of_services(rows)
    with django_assert_max_num_queries(7):
        network_health()


# --- health of ingresses, and of applications ---


def health(**fields: Any) -> tuple[str, str]:
    row = factories.ingress(**fields)
    found = next(one for judged, one in network_health() if judged.key == row.key)
    return found.status, found.message


def test_an_ingress_is_healthy_only_with_ready_endpoints() -> None:
    assert health() == ("Degraded", "it leads to service web, which does not exist")
    factories.service()
    assert health(name="b") == ("Progressing", "0 of 1 service has a ready endpoint")
    factories.pod()
    assert health(name="c") == ("Healthy", "1 service with ready endpoints")


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (None, "its TLS Secret cert does not exist"),
        ({"tls.crt": "x"}, "its TLS Secret cert has no tls.key"),
        ({}, "its TLS Secret cert has no tls.crt and tls.key"),
    ],
)
def test_an_ingress_without_its_certificate_is_degraded(secret: dict[str, str] | None, said: str) -> None:
    factories.service(), factories.pod()
    if secret is not None:
        factories.secret("cert", secret)
    assert health(spec={"tls": [{"secretName": "cert"}]}) == ("Degraded", said)


def test_an_ingress_whose_path_belongs_to_another_is_degraded() -> None:
    factories.service(), factories.pod()
    said = "Ingress shop/new: x/ (Prefix) belongs to Ingress shop/old, which is older; remove it from one of them"
    factories.router(factories.Node.objects.get(), said)
    assert health(name="new") == ("Degraded", said)
    assert health(name="old")[0] == "Healthy"
    assert health(name="ne")[0] == "Healthy"


@pytest.mark.parametrize(
    ("name", "port", "status"),
    [
        ("web", {"number": 80}, "Healthy"),
        ("web", {"name": "http"}, "Degraded"),
        ("out", {"number": 443}, "Healthy"),
        ("out", {"number": 9}, "Degraded"),
    ],
)
def test_backends_are_found_by_number_or_name(name: str, port: dict[str, Any], status: str) -> None:
    spec = {"rules": [{"host": "x"}], "defaultBackend": {"service": {"name": name, "port": port}}}
    factories.service(), factories.pod()
    factories.service("out", spec={"type": "ExternalName", "externalName": "x.y", "selector": {}, "ports": []})
    assert health(spec=spec)[0] == status


def test_an_application_names_the_ingress_that_is_in_trouble() -> None:
    row, *_ = factories.shop()
    factories.ingress(application=row.application)
    factories.service("elsewhere", spec={"selector": {"app": "nobody"}})
    found = next(iter(application_health(list(Application.objects.all())).values()))
    said = "caused by Ingress shop/web: it leads to service web, which does not exist"
    assert (found.status, found.message) == ("Degraded", said)


# --- ports of hosts ---


def test_load_balancers_are_opened_on_the_nodes_chosen_by_label() -> None:
    factories.node("a"), factories.node("b", labels={"pierhead.io/ingress": "true"}), factories.node("c")
    first = factories.service("first", spec={"type": "LoadBalancer", "ports": [{"port": 443}]})
    second = factories.service("second", spec={"type": "LoadBalancer", "ports": [{"port": 443}]})
    node_port = factories.service("third", spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})
    found = openings()
    assert {uid: [node.name for node in nodes] for uid, nodes in found.nodes.items()} == {
        first.uid: ["b"], node_port.uid: ["a", "b", "c"],
    }  # fmt: skip
    assert found.ports == {(node_port.uid, 80): 30080}
    assert [node.name for node in found.ingress] == ["b"]
    assert found.problems[second.uid] == (
        "Service shop/second: port 443 of the node belongs to Service shop/first; give port 443 another number",
    )
    assert render_all("Service", [second], NOW)[0]["status"]["loadBalancer"] == {}


def test_an_ingress_takes_the_port_of_the_nodes_that_serve_it() -> None:
    factories.node("a")
    row = factories.service("first", spec={"type": "LoadBalancer", "ports": [{"port": 80}]})
    factories.ingress()
    assert openings().problems[row.uid][0].startswith("Service shop/first: port 80 of the node belongs to Ingress;")
