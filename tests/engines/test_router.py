"""The network as its users have it, on three real hosts: names, balance, readiness, policy, ways in, and no loss."""

from __future__ import annotations

import pytest

from tests.engines.control_plane import deployment, eventually
from tests.engines.load import load
from tests.engines.net import SLEEP, address, client, endpoints, served, service
from tests.engines.shop import HTTPD, OpenShop

pytestmark = pytest.mark.engines
READY = "readinessProbe: {httpGet: {path: /version, port: 8080}, periodSeconds: 1, failureThreshold: 1}"


def web(version: str = "1", replicas: int = 3, *, container: str = "", name: str = "web") -> str:
    return deployment(name, image=f"test/web:{version}", replicas=replicas, command=HTTPD, container=container)


def strict(version: str = "1", replicas: int = 10, name: str = "web") -> str:
    """Pods that end at once on SIGTERM, whatever is under way."""
    return deployment(name, image=f"test/server:{version}", replicas=replicas, container=READY.replace("/version", "/"))


def caller(name: str = "caller", replicas: int = 1) -> str:
    return deployment(name, image="test/web:1", replicas=replicas, command=SLEEP)


def test_a_service_is_found_by_each_of_its_names(open_shop: OpenShop) -> None:
    shop = open_shop(web(), service("web"), caller())
    at = client(shop, "caller")
    virtual = address(shop, "web")
    assert served(shop, at, "web") == "1"
    for name in ("web", f"web.{shop.name}", f"web.{shop.name}.svc", f"web.{shop.name}.svc.cluster.local"):
        eventually(lambda name=name: at.lookup(name) == [virtual], 20, lambda name=name: str(at.run("nslookup", name)))


def test_every_host_reaches_all_pods(open_shop: OpenShop) -> None:
    shop = open_shop(web(container="lifecycle: {}"), service("web"), caller(replicas=3))
    at = client(shop, "caller")
    served(shop, at, "web")
    shop.wait(lambda: endpoints(shop, "web") == 3)


def test_two_tcp_services_on_one_port_are_told_apart(open_shop: OpenShop) -> None:
    other = deployment("blue", image="test/web:2", replicas=1, command=HTTPD)
    pair = (service("one", app="web", port=5432, named="tcp-db"), service("two", app="blue", port=5432, named="tcp-db"))
    shop = open_shop(web(), caller(), other, *pair)
    at = client(shop, "caller")
    for name, version in (("one", "1"), ("two", "2")):
        virtual = address(shop, name)
        eventually(lambda v=virtual, w=version: at.fetch(v, 5432) == w, 30, shop.tell)


def test_a_rolling_update_loses_no_request(open_shop: OpenShop) -> None:
    shop = open_shop(strict(), service("web"), caller())
    at = client(shop, "caller")
    served(shop, at, "web", "/")
    with load(at.host, at.container, f"{address(shop, 'web')}:80") as running:
        shop.push(strict("2"), service("web"), caller())
        shop.sync("--wait")
        shop.wait_ready(11, seconds=90)
        shop.wait(lambda: len(shop.pods()) == 11, 60)
    found = running.result
    assert found.failed == 0, found
    assert found.answers["1"], found
    assert found.answers["2"], found


def test_scaling_down_and_draining_a_host_lose_no_request(open_shop: OpenShop) -> None:
    shop = open_shop(strict(replicas=6), service("web"), caller())
    at = client(shop, "caller")
    served(shop, at, "web", "/")
    away = next(host for host in shop.hosts if host is not at.host)
    with load(at.host, at.container, f"{address(shop, 'web')}:80") as running:
        shop.push(strict(replicas=3), service("web"), caller())
        shop.sync("--wait")
        shop.wait(lambda: len(shop.pods()) == 4, 60)
        shop.plane.manage("node", "drain", away.name)
        shop.wait(lambda: not away.docker("ps", "-q", "--filter", f"name=pierhead-{shop.name}-").split(), 60)
        shop.plane.manage("node", "uncordon", away.name)
    assert running.result.failed == 0, running.result


def test_a_pod_that_is_killed_hard_costs_no_get(open_shop: OpenShop) -> None:
    shop = open_shop(strict(replicas=3), service("web"), caller())
    at = client(shop, "caller")
    served(shop, at, "web", "/")
    victim = client(shop, "web")
    with load(at.host, at.container, f"{address(shop, 'web')}:80", post=False) as running:
        victim.host.docker("kill", "-s", "KILL", victim.container)
        shop.wait(lambda: running.process.poll() is None and shop.ready() == 4, 30)
    assert running.result.failed <= 1, running.result


def test_readiness_is_judged_on_the_host_also_without_a_control_plane(open_shop: OpenShop) -> None:
    shop = open_shop(web(replicas=2, container=READY), service("web"), caller())
    at, sick = client(shop, "caller"), client(shop, "web")
    served(shop, at, "web")
    shop.wait(lambda: endpoints(shop, "web") == 2)
    sick.run("rm", "/version")
    shop.wait(lambda: endpoints(shop, "web") == 1, 20)
    said = shop.plane.manage("describe", "service", "web", "-n", shop.name)
    assert "404" in said, said
    sick.run("sh", "-c", "echo 1 > /version")
    shop.wait(lambda: endpoints(shop, "web") == 2, 20)
    virtual = address(shop, "web")
    shop.plane.stop()
    try:
        sick.run("rm", "/version")
        good = 0

        def steady() -> bool:
            nonlocal good
            good = good + 1 if at.fetch(virtual) == "1" else 0
            return good >= 20

        eventually(steady, 30)
        sick.run("sh", "-c", "echo 1 > /version")
    finally:
        shop.plane.start()


def test_a_failing_liveness_probe_restarts_the_container(open_shop: OpenShop) -> None:
    probe = "livenessProbe: {httpGet: {path: /version, port: 8080}, periodSeconds: 1, failureThreshold: 2}"
    shop = open_shop(web(replicas=1, container=probe), service("web"), caller())
    sick = client(shop, "web")
    time_before = sick.host.docker("inspect", "-f", "{{.State.StartedAt}}", sick.container)
    sick.run("rm", "/version")
    eventually(
        lambda: sick.host.docker("inspect", "-f", "{{.State.StartedAt}}", sick.container) != time_before, 30, shop.tell
    )
    shop.wait(lambda: "liveness probe" in shop.plane.manage("describe", "pods", "-n", shop.name), 10)


def test_only_the_web_app_reaches_the_database(open_shop: OpenShop) -> None:
    policy = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: database}
spec:
  podSelector: {matchLabels: {app: database}}
  ingress:
    - from: [{podSelector: {matchLabels: {app: web-app}}}]
      ports: [{port: 8080}]
"""
    database = deployment("database", image="test/web:1", replicas=2, command=HTTPD)
    everything = (database, service("database", port=5432, named="tcp-sql"), caller("web-app"), caller("other"))
    shop = open_shop(*everything)
    allowed, denied = client(shop, "web-app"), client(shop, "other")
    virtual = address(shop, "database")
    for one in (allowed, denied):
        eventually(lambda one=one: one.fetch(virtual, 5432) == "1", 30, shop.tell)
    shop.push(*everything, policy)
    shop.sync("--wait")
    shop.wait(lambda: shop.ready() == 4 == len(shop.pods()), 60)
    allowed, denied = client(shop, "web-app"), client(shop, "other")
    eventually(lambda: denied.fetch(virtual, 5432) == "", 30, shop.tell)
    eventually(lambda: allowed.fetch(virtual, 5432) == "1", 30, shop.tell)
    for pod in shop.pods():
        if pod["metadata"]["name"].startswith("database"):
            assert not denied.fetch(pod["status"]["podIP"], 8080), "the pod's own address must not be a way around"
    code, said, _ = shop.plane.attempt("reach", "deployment/other", "service/database", "-n", shop.name)
    assert code == 1, said
    assert "NetworkPolicy" in said


def test_a_router_that_is_removed_by_hand_comes_back(open_shop: OpenShop) -> None:
    shop = open_shop(web(), service("web"), caller())
    at = client(shop, "caller")
    served(shop, at, "web")
    at.host.docker("rm", "-f", "pierhead-router", "pierhead-router-dns", "pierhead-router-net")
    eventually(lambda: at.fetch(address(shop, "web")) == "1", 60, shop.tell)
    assert at.lookup("web")


def test_pushes_of_configuration_lose_no_request(open_shop: OpenShop) -> None:
    """Each makes every router reload; fifty of them are in `tests/benchmarks/network.py`."""
    shop = open_shop(strict(replicas=3), service("web"), caller())
    at = client(shop, "caller")
    served(shop, at, "web", "/")
    with load(at.host, at.container, f"{address(shop, 'web')}:80") as running:
        for number in range(12):
            extra = [service(f"extra{number % 3}", app="web", port=9000 + number)]
            shop.push(strict(replicas=3), service("web"), caller(), *extra)
            shop.sync("--wait")
    assert running.result.failed == 0, running.result
