"""`get`, `describe` and `reach` for what connects: services, endpoints, ingresses, policies, routers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from control.models import Measurement, Node, Pod
from tests.control import factories
from tests.control.commands import Run, runner
from tests.control.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


def shop() -> list[Pod]:
    """Service web at 10.208.24.8 with two pods, of which the second is not ready."""
    _, current, pods = factories.shop(1)
    pods.append(factories.pod(current, "web-2", ready=False, waiting="Unready", message="HTTP 503 from /healthz"))
    for number, pod in enumerate(pods, 2):
        Pod.objects.filter(pk=pod.pk).update(ip=f"10.208.16.{number}", network="pierhead-shop")
    factories.virtual_address(factories.service())
    return pods


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in text.splitlines()]


def test_services_show_address_ports_and_endpoints(run: Run) -> None:
    shop()
    factories.service("db", spec={"clusterIP": "None", "selector": {"app": "db"}})
    factories.service("pay", spec={"type": "ExternalName", "externalName": "pay.example.com", "selector": {}})
    factories.service("out", spec={"type": "LoadBalancer", "ports": [{"port": 443, "nodePort": 30443}]})
    assert cells(run("get", "svc", "-n", "shop").out) == [
        ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "ENDPOINTS", "AGE"],
        ["db", "ClusterIP", "None", "<none>", "80/TCP", "0/0", "60m"],
        ["out", "LoadBalancer", "<none>", "10.0.0.5", "443:30443/TCP", "1/2", "60m"],
        ["pay", "ExternalName", "<none>", "pay.example.com", "80/TCP", "<none>", "60m"],
        ["web", "ClusterIP", "10.208.24.8", "<none>", "80/TCP", "1/2", "60m"],
    ]
    assert cells(run("get", "svc", "web", "-n", "shop", "-o", "wide").out)[1][-1] == "app=web"


@pytest.mark.parametrize("kind", ["endpoints", "ep"])
def test_endpoints_are_addresses(run: Run, kind: str) -> None:
    shop()
    assert cells(run("get", kind, "-n", "shop").out) == [
        ["NAME", "ENDPOINTS", "NOT READY", "AGE"],
        ["web", "10.208.16.2:8080", "10.208.16.3:8080", "60m"],
    ]
    subset = json.loads(run("get", "ep", "web", "-n", "shop", "-o", "json").out)["subsets"][0]
    assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert [(one["ip"], one["nodeName"], one["targetRef"]["name"]) for one in subset["addresses"]] == [
        ("10.208.16.2", "n1", "web-1")
    ]
    assert [one["targetRef"]["name"] for one in subset["notReadyAddresses"]] == ["web-2"]


@pytest.mark.parametrize("kind", ["ingress", "ing", "ingresses.networking.k8s.io"])
def test_ingresses_show_where_they_lead(run: Run, kind: str) -> None:
    shop()
    factories.ingress()
    factories.ingress("bad", "x.example.com", spec={"tls": [{"secretName": "cert", "hosts": ["x.example.com"]}]})
    assert cells(run("get", kind, "-n", "shop").out) == [
        ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "READY", "AGE"],
        ["bad", "<none>", "x.example.com", "10.0.0.5", "80, 443", "1/1", "60m"],
        ["web", "<none>", "shop.example.com", "10.0.0.5", "80", "1/1", "60m"],
    ]
    wide = cells(run("get", kind, "-n", "shop", "-o", "wide").out)
    assert wide[1][-1] == "Degraded: its TLS Secret cert does not exist"


def test_policies_show_whom_they_select(run: Run) -> None:
    factories.shop(1)
    factories.policy("all", spec={"podSelector": {}})
    rows = [{"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"}]
    factories.policy("some", spec={"podSelector": {"matchLabels": {"app": "x"}, "matchExpressions": rows}})
    assert cells(run("get", "netpol", "-n", "shop").out) == [
        ["NAME", "POD-SELECTOR", "PODS", "AGE"],
        ["all", "all pods", "1", "60m"],
        ["some", "app=x,tier in (a,b),!old", "0", "60m"],
    ]


def test_services_in_json_are_kubernetes(run: Run) -> None:
    shop()
    factories.service("out", spec={"type": "LoadBalancer", "ports": [{"port": 443, "name": "tls", "targetPort": "x"}]})
    web = json.loads(run("get", "svc", "web", "-n", "shop", "-o", "json").out)
    assert web["spec"] == {
        "type": "ClusterIP", "sessionAffinity": "None", "selector": {"app": "web"}, "clusterIP": "10.208.24.8",
        "clusterIPs": ["10.208.24.8"], "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}],
    }  # fmt: skip
    out = json.loads(run("get", "svc", "out", "-n", "shop", "-o", "json").out)
    assert out["status"] == {"loadBalancer": {"ingress": [{"ip": "10.0.0.5"}]}}
    assert "clusterIP" not in out["spec"]


def test_describe_service_says_why_an_endpoint_is_not_ready(run: Run) -> None:
    shop()
    shown = run("describe", "svc", "web", "-n", "shop").out
    for line in (
        "IP:                10.208.24.8",
        "Endpoints:         1 ready of 2 selected pods",
        "Health:            Healthy: 1 endpoint ready",
        "Port 80/TCP -> 8080, carried as http (HTTP/1.1 and websockets; by its number):",
        "  web-1   10.208.16.2:8080   n1     yes     -",
        "  web-2   10.208.16.3:8080   n1     no      it is not ready: Unready: HTTP 503 from /healthz",
        "Traffic, last 5 minutes:  <none>",
    ):
        assert line in shown, shown
    assert "Problems" not in shown
    Node.objects.update(ready=False)
    assert "no      node n1 does not answer" in run("describe", "svc", "web", "-n", "shop").out


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ({"port": 5432}, "5432, carried as tcp (TCP, as it is; nothing says otherwise)"),
        ({"port": 9000, "name": "grpc-api"}, "9000, carried as h2 (HTTP/2 without TLS, gRPC; by its name)"),
        ({"port": 80, "appProtocol": "tcp"}, "80, carried as tcp (TCP, as it is; by its appProtocol)"),
        ({"port": 8443, "name": "https"}, "8443, carried as tcp (TCP, as it is; by its name)"),
        ({"port": 9, "appProtocol": "x", "name": "http"}, "9, carried as http (HTTP/1.1 and websockets; by its name)"),
        ({"port": 80, "name": "tcp-raw"}, "80, carried as tcp (TCP, as it is; by its name)"),
        ({"port": 8080, "name": "web"}, "8080, carried as http (HTTP/1.1 and websockets; by its number)"),
    ],
)
def test_describe_service_says_how_a_port_is_carried(run: Run, port: dict[str, Any], said: str) -> None:
    factories.service(spec={"ports": [port]})
    assert said in run("describe", "svc", "web", "-n", "shop").out


def test_describe_service_names_the_label_that_is_missing(run: Run) -> None:
    shop()
    factories.service("api", spec={"selector": {"app": "web", "tier": "front"}})
    factories.pod(name="other", labels={"app": "api"})
    shown = run("describe", "svc", "api", "-n", "shop").out
    assert "Health:            Degraded: its selector finds no pod" in shown
    assert (
        "Problems:\n"
        "  its selector app=web,tier=front finds no pod: none of the 3 pods there has these labels\n"
        "  pod web-1 lacks tier=front\n"
        "  pod web-2 lacks tier=front\n"
        "  pod other lacks app=web (it has app=api), tier=front\n"
    ) in shown


def test_describe_service_tells_its_traffic_by_revision(run: Run) -> None:
    shop()
    for revision, requests, errors in ((1, 300, 3), (2, 30, 0)):
        buckets = [requests - 30, 0, 0, 0, 0, 0, 30, *[0] * 9]
        Measurement.objects.create(
            resolution=15, at=int(NOW) - 60 - int(NOW) % 15, namespace="shop", service="web", port="80",
            revision=revision, requests=requests, errors=errors, buckets=buckets,
        )  # fmt: skip
    shown = run("describe", "svc", "web", "-n", "shop").out
    assert cells(shown[shown.index("Traffic") :])[1:4] == [
        ["Port", "Revision", "Rate", "Errors", "p50", "p95", "p99"],
        ["80", "1", "1/s", "1% (3)", "<= 1 ms", "<= 64 ms", "<= 64 ms"],
        ["80", "2", "0.1/s", "0% (0)", "<= 64 ms", "<= 64 ms", "<= 64 ms"],
    ]


def test_describe_service_passes_on_what_routers_say_of_it(run: Run) -> None:
    shop()
    node = Node.objects.get()
    factories.router(node, "Service shop/web: odd", "Service shop/web-2: other", "Ingress shop/web: not this")
    assert "Problems:\n  Service shop/web: odd (node n1)\nEvents" in run("describe", "svc", "web", "-n", "shop").out
    factories.router(node, ready=False, reason="RouterImageMissing", message="no such image")
    shown = run("describe", "svc", "web", "-n", "shop").out
    assert "  the router of node n1 is not ready: RouterImageMissing: no such image\n" in shown


def test_describe_ingress_lists_its_routes(run: Run) -> None:
    shop()
    more = [
        {"path": "/api", "pathType": "Prefix", "backend": {"service": {"name": "api", "port": {"name": "http"}}}},
        {"path": "/x", "pathType": "Exact", "backend": {"service": {"name": "web", "port": {"number": 81}}}},
    ]
    factories.ingress(spec={"rules": [{"host": "shop.example.com", "http": {"paths": more}}]})
    shown = run("describe", "ing", "web", "-n", "shop").out
    routes = cells(shown[shown.index("Routes:") : shown.index("Problems:")])[2:]
    assert routes == [
        ["shop.example.com", "/api", "api", "http", "0", "it leads to service api, which does not exist"],
        ["shop.example.com", "/x", "web", "81", "0", "it leads to port 81 of service web, which has 80"],
    ]
    assert "  it leads to port 81 of service web, which has 80\n" in shown[shown.index("Problems") :]


def test_describe_policy_says_whom_it_lets_in(run: Run) -> None:
    factories.policy()
    shown = run("describe", "netpol", "database", "-n", "shop").out
    assert "Pod Selector:   app=database\n" in shown
    assert "Selected Pods:  none yet\n" in shown
    assert "Allowed:\n  pods with app=web-app on port 5432\n" in shown
    factories.policy("closed", spec={"ingress": []})
    assert "Allowed:\n  nothing: no rule lets anybody in\n" in run("describe", "netpol", "closed", "-n", "shop").out


def test_nodes_show_their_router(run: Run) -> None:
    node = factories.node()
    assert cells(run("get", "nodes", "-o", "wide").out)[1][-2:] == ["<none>", "<none>"]
    factories.router(node, "Service shop/web: port 80 is taken")
    assert cells(run("get", "nodes", "-o", "wide").out)[1][-2:] == ["Ready", "<none>"]
    shown = run("describe", "node", "n1").out
    assert "  RouterReady   True     RouterReady   it has all that is to be in it" in shown
    assert "  Problems:    Service shop/web: port 80 is taken" in shown
    factories.router(node, ready=False, reason="PortTaken", message="port 8443 is taken", failures=3)
    assert cells(run("get", "nodes", "-o", "wide").out)[1][-2:] == ["PortTaken", "port 8443 is taken"]
    conditions = json.loads(run("get", "node", "n1", "-o", "json").out)["status"]["conditions"]
    assert [(one["type"], one["status"]) for one in conditions] == [("Ready", "True"), ("RouterReady", "False")]
    assert "Failures:    3 in a row" in run("describe", "node", "n1").out


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param({}, "not found out yet", id="nothing found"),
        pytest.param({"passing": True, "message": ""}, "passes", id="passes"),
        pytest.param({"passing": False, "message": "HTTP 503 from /healthz"}, "fails: HTTP 503 from /healthz", id="no"),
        pytest.param({"passing": None, "message": ""}, "not found out yet", id="undecided"),
        pytest.param({"passing": True, "started_at": 1.0}, "not found out yet", id="of an earlier run"),
    ],
)
def test_describe_pod_tells_what_its_probes_found(run: Run, found: dict[str, Any], said: str) -> None:
    spec = factories.template()["spec"]
    spec["containers"][0]["readinessProbe"] = {"httpGet": {"path": "/healthz", "port": 8080}}
    result = {"started_at": NOW - 280, **found}
    factories.pod(name="web-1", spec=spec, probes={"web/readiness": result} if found else {})
    shown = run("describe", "pod", "web-1", "-n", "shop").out
    at = shown.index("Readiness:")
    assert shown[at:].splitlines()[1].strip() == said


# --- reach ---


def test_reach_prints_the_way(run: Run) -> None:
    shop()
    factories.pod(name="front", labels={"app": "front"}, ip="10.208.16.9", network="pierhead-shop")
    found = run("reach", "pod/front", "web:80", "-n", "shop")
    assert (found.code, found.err) == (0, "")
    assert found.out == (
        "  ok    pod shop/front asks the router of node n1\n"
        "  ok    Service shop/web has port 80, and its selector finds 2 pods\n"
        "  ok    1 of 2 endpoints is ready: 1 is out because it is not ready\n"
        "  ok    no NetworkPolicy is about these pods\n"
        "pod shop/front reaches Service shop/web on port 80\n"
    )


def test_reach_says_which_rule_stops_it(run: Run) -> None:
    shop()
    factories.policy(spec={"podSelector": {"matchLabels": {"app": "web"}}})
    factories.pod(name="front", labels={"app": "front"}, ip="10.208.16.9", network="pierhead-shop")
    found = run("reach", "shop/pod/front", "service/web", "-n", "shop", "-o", "json")
    said = json.loads(found.out)
    assert (found.code, said["possible"], said["from"], said["to"], said["port"]) == (
        1, False, "pod shop/front", "Service shop/web", 80,
    )  # fmt: skip
    assert "NetworkPolicy shop/database" in said["steps"][-1]
    assert run("reach", "pod/front", "web", "-n", "shop").out.splitlines()[-2].startswith("  STOP  refused")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("deployment/web", "web.shop"), 0, "pod shop/web-1 reaches Service shop/web on port 80"),
        (("deploy/web", "web.shop.svc.cluster.local:80"), 0, "reaches Service shop/web on port 80"),
        (("deployment/web", "pod/web-2:8080"), 0, "is on the same network"),
        (("deployment/web", "web:81"), 1, "Service shop/web has no port 81; it has 80"),
        (("deployment/web", "wbe"), 1, "no Service is named wbe, as seen from namespace shop; there is web.shop"),
        (("192.168.1.7", "web"), 0, "192.168.1.7 reaches Service shop/web on port 80"),
    ],
)
def test_reach_understands_places(run: Run, words: tuple[str, ...], code: int, said: str) -> None:
    shop()
    found = run("reach", *words, "-n", "shop")
    assert (found.code, found.err) == (code, "")
    assert said in found.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ("node/n1", "web"),
            2,
            "'node/n1' is no place: write pod/NAME, deployment/NAME, rollout/NAME, NAMESPACE/pod/NAME, or an IP",
        ),
        (("web", "web"), 2, "'web' is no place"),
        (("deployment/web", "web:0"), 2, "'web:0': a port is a number from 1 to 65535"),
        (("deployment/web", "web:"), 2, "a port is a number"),
        (("deployment/web", "pod/web-1"), 2, "pod shop/web-1 needs a port, as in NAME:PORT: none is named"),
        (("pod/nobody", "web"), 1, "pod nobody does not exist in namespace shop"),
        (("deployment/web", "service/api"), 1, "service api does not exist in namespace shop"),
        (("deployment/web",), 2, "TO[:PORT]"),
    ],
)
def test_reach_refuses_what_it_cannot_read(run: Run, words: tuple[str, ...], code: int, said: str) -> None:
    shop()
    found = run("reach", *words, "-n", "shop")
    assert (found.code, found.out) == (code, "")
    assert said in found.err
