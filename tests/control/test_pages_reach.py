"""The network: services, ingresses, policies, certificates; one Service; may one reach another."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from control.models import Authority, Measurement, Pod, Service
from control.selectors.reach import namespaces_of
from deployer.adapters import authority
from deployer.core.network.measurements import FINE_SECONDS
from tests.control import factories

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert('x')</script>\x1b[31m\u202e\"><img src=x>"
QUERIES_AT_MOST = 20
DAY = 86400.0


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "NOW", time.time())


@pytest.fixture(autouse=True)
def _no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks an engine from a page finds it broken."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a page asked a host")

    monkeypatch.setattr("deployer.adapters.docker.open_engine", refuse)


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada", password="a long harbour wall"))
    return client


def page(client: Client, path: str = "/network", **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.content
    return response.content.decode()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def harbour() -> None:
    """A shop that is well behind an Ingress, a database that only it reaches, and one that selects nobody."""
    now = factories.NOW
    factories.shop()
    factories.virtual_address(factories.service())
    factories.router(factories.Node.objects.get(), expires_at=now + 80 * DAY)
    tls = {"tls": [{"hosts": ["shop.example.com"], "secretName": "cert"}]}
    factories.ingress(spec={**factories.ingress("other").spec, **tls})
    factories.secret("cert", {"tls.crt": certificate(now, 10 * DAY), "tls.key": "k"})
    factories.service("lost", spec={"selector": {"app": "nobody"}})
    factories.service("database", spec={"selector": {"app": "database"}, "ports": [{"port": 5432}]})
    factories.pod(name="db-1", labels={"app": "database"}, ready=False, waiting="CrashLoopBackOff", message="no disk")
    factories.policy()


def certificate(now: float, seconds: float) -> str:
    made = authority.make_authority("test", now)
    signer = type("Signer", (), {"certificate": made.certificate, "key": made.key})()
    return str(authority.issue(signer, "shop", ("shop.example.com",), now, seconds).certificate)


# --- all of it ---


def test_services_say_what_gets_no_traffic_and_why(admin: Client) -> None:
    harbour()
    html = page(admin)
    text = words(html)
    assert "<title>3 services, 2 in trouble - Pierhead</title>" in html
    assert "shop/ web Healthy ClusterIP 10.208.24.8 80 → 8080 3 of 3" in text
    assert "shop/ lost Degraded ClusterIP no address yet 80 → 8080 0 of 0 its selector finds no pod" in text
    assert "db-1 gets none: CrashLoopBackOff: no disk" in text
    assert html.index('id="service-shop-lost"') < html.index('id="service-shop-web"')


def test_ingresses_policies_and_certificates(admin: Client) -> None:
    harbour()
    made = authority.make_authority("Pierhead", factories.NOW)
    row = Authority(pk=1, control_expires_at=factories.NOW + 60 * DAY)
    row.ca.store({"certificate": made.certificate, "key": made.key})
    row.save()
    text = words(page(admin))
    assert "shop.example.com/ → web :80" in text
    assert "TLS for shop.example.com: Secret cert ends in 9d" in text
    assert "shop/ database 1 pod About pods with app=database . Lets in:" in text
    assert "pods with app=web-app" in text
    assert "The cluster&#x27;s authority ends in 3649d" in text
    assert "The control plane ends in 59d" in text
    assert "Router of n1 ends in 79d" in text


def test_a_certificate_that_ended_or_cannot_be_read(admin: Client) -> None:
    for name, text in (("old", certificate(factories.NOW - 9 * DAY, 8 * DAY)), ("odd", "nonsense")):
        factories.secret(name, {"tls.crt": text, "tls.key": "k"})
        factories.ingress(name, spec={"tls": [{"secretName": name}]})
    factories.ingress("none", spec={"tls": [{"secretName": "none"}]})
    text = words(page(admin))
    assert "Secret old ended 24h ago" in text
    assert "Secret odd its certificate cannot be read" in text
    assert "Secret none does not exist" in text


def test_filters_and_pages(admin: Client) -> None:
    harbour()
    assert "1 service of 3" in words(page(admin, "/network?words=lost"))
    assert "1 service of 3" in words(page(admin, "/network?health=Healthy"))
    assert "No service is like that. Show all 3" in words(page(admin, "/network?namespace=bank"))
    for number in range(120):
        factories.service(f"s{number:03}", spec={"selector": {}})
        factories.ingress(f"i{number:03}")
    html = page(admin)
    assert html.count('<tbody id="service-') == 50
    assert html.count('<li id="ingress-') == 50
    assert page(admin, "/network?page=3&ingresses=3").count('<tbody id="service-') == 23
    assert page(admin, "/network?page=3&ingresses=3").count('<li id="ingress-') == 22


def test_an_empty_place(admin: Client) -> None:
    text = words(page(admin))
    assert "No manifest has a Service yet." in text
    assert "every pod reaches every service" in text


# --- one Service ---


def test_one_service_tells_all(admin: Client) -> None:
    harbour()
    now = int(factories.NOW) // FINE_SECONDS * FINE_SECONDS
    for at in (now - 30, now - 60, now - 600):
        Measurement.objects.create(
            resolution=FINE_SECONDS, namespace="shop", service="web", at=at, port="80", revision=2, requests=150,
            errors=3, buckets=[0, 0, 150, *[0] * 13],
        )  # fmt: skip
    html = page(admin, "/network/shop/web")
    text = words(html)
    assert "<title>shop/web: Healthy - Pierhead</title>" in html
    assert "3 of 3 ready; carried as HTTP/1.1 and websockets, by its number" in text
    assert "web-1 Ready" in text
    assert 'href="/nodes/n1"' in html
    assert "shop.example.com/ → web :80" in text
    assert "No NetworkPolicy is about its pods" in text
    assert "revision 2" in text
    assert "Errors" in text
    assert "<polyline" in html


def test_endpoints_say_why_they_get_nothing(admin: Client) -> None:
    harbour()
    text = words(page(admin, "/network/shop/database"))
    assert "db-1 Not ready" in text
    assert "CrashLoopBackOff: no disk" in text
    assert "database 1 pod About pods with app=database" in text
    assert "its selector app=nobody finds no pod: none of the 4 pods there has these labels" in words(
        page(admin, "/network/shop/lost")
    )


def test_endpoints_are_cut_by_the_server(admin: Client) -> None:
    factories.service()
    for number in range(60):
        factories.pod(name=f"w{number:02}")
    Pod.objects.filter(name="w59").update(ready=False)
    html = page(admin, "/network/shop/web")
    assert html.count("<tbody") == 50
    assert html.index("w59") < html.index("w00")
    assert page(admin, "/network/shop/web?page=2").count("<tbody") == 10


def test_a_service_that_is_not_there(admin: Client) -> None:
    assert admin.get("/network/shop/none").status_code == 404


# --- may one reach another ---


@pytest.mark.parametrize(
    ("question", "said"),
    [
        pytest.param("from=shop/deployment/web&to=web&port=80", "reaches Service shop/web on port 80", id="yes"),
        pytest.param(
            "from=deployment/web&to=service/database&in=shop", "does not reach Service shop/database on port", id="no"
        ),
        pytest.param("from=deployment/web&to=nobody&in=shop", "no Service is named nobody", id="a name of nothing"),
        pytest.param("from=pod/none&to=web&in=shop", "pod none does not exist in namespace shop", id="not there"),
        pytest.param("from=web&to=web", "is no place: write pod/NAME, deployment/NAME, rollout/NAME", id="no place"),
        pytest.param("from=shop/pod/web-1&to=web&port=x", "a port is a number from 1 to 65535", id="no port"),
    ],
)  # fmt: skip
def test_reach_answers_on_the_same_page(admin: Client, question: str, said: str) -> None:
    harbour()
    assert said in words(page(admin, f"/network?{question}"))


def test_reach_keeps_the_question_and_is_not_asked_again_by_the_part_that_moves(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    harbour()
    html = page(admin, "/network?from=shop/pod/web-1&to=database&port=5432")
    assert 'value="shop/pod/web-1"' in html
    assert 'value="5432"' in html
    monkeypatch.setattr("control.selectors.reach.reach", None)
    page(admin, "/network?from=shop/pod/web-1&to=database&port=5432", **{"HX-Request": "true"})


@pytest.mark.parametrize(
    ("source", "target", "named"),
    [
        ("pod/a", "web", {"own"}),
        ("shop/pod/a", "web:80", {"own", "shop"}),
        ("10.0.0.1", "web.bank", {"own", "bank"}),
        ("pod/a", "web.bank.svc.cluster.local:80", {"own", "bank"}),
        ("pod/a", "bank/service/web", {"own", "bank"}),
        ("a/b/c/d", "", {"own"}),
    ],
)
def test_which_namespaces_a_question_names(source: str, target: str, named: set[str]) -> None:
    assert namespaces_of(source, target, "own") == named


# --- who sees what ---


def test_namespaces_that_one_may_not_see_are_left_out(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    harbour()
    factories.service("vault", namespace="bank")
    monkeypatch.setattr("control.dashboard.network.namespaces", lambda _: frozenset({"bank"}))
    html = page(admin)
    assert "vault" in html
    assert "database" not in html.replace("service/database", "").replace("database or", "")
    assert "certificates-title" not in html
    assert admin.get("/network/shop/web").status_code == 404
    for question in ("from=shop/pod/web-1&to=web", "from=pod/x&to=web.shop&in=bank", "from=10.0.0.1&to=web&in=shop"):
        assert "That is in a namespace that you may not see." in words(page(admin, f"/network?{question}"))
    assert "shop" not in words(page(admin, "/network?from=pod/web-1&to=vault&in=bank")).replace("web.shop", "")


def test_whatever_comes_from_outside_is_shown_and_not_obeyed(admin: Client) -> None:
    backend = {"service": {"name": HOSTILE, "port": {"name": HOSTILE}}}
    rule = {"host": HOSTILE, "http": {"paths": [{"path": HOSTILE, "backend": backend}]}}
    factories.ingress(spec={"rules": [rule], "tls": [{"secretName": HOSTILE, "hosts": [HOSTILE]}]})
    factories.service(spec={"ports": [{"port": 80, "name": HOSTILE, "targetPort": HOSTILE}]})
    factories.pod(name="p", ready=False, message=HOSTILE, waiting=HOSTILE)
    factories.policy(spec={"podSelector": {"matchLabels": {"app": HOSTILE}}})
    said = f"Service shop/web: {HOSTILE}"
    factories.router(factories.Node.objects.get(), said, ready=False, reason="Odd", message=HOSTILE)
    for path in ("/network", "/network?from=%3Cscript%3E&to=%1b[31m%E2%80%AE", "/network/shop/web"):
        html = page(admin, path)
        assert not re.search(r"<script>|<img|\x1b|\u202e", html), path


def test_queries_do_not_grow(admin: Client) -> None:
    counts: dict[str, int] = {}
    factories.service(), factories.policy()
    for many in (1, 50):
        for number in range(Service.objects.count() - 1, many):
            factories.service(f"s{number}", spec={"ports": [{"port": 80, "targetPort": "http"}]})
            factories.ingress(f"i{number}", spec={"tls": [{"secretName": "cert"}]})
            factories.policy(f"p{number}")
            factories.pod(name=f"w{number}", ready=number % 2 == 0)
            factories.router(factories.node(f"x{number}"), "odd", expires_at=factories.NOW + DAY)
        for path in ("/network", "/network/shop/s0", "/network?from=shop/pod/w0&to=s0&port=80"):
            with CaptureQueriesContext(connection) as queries:
                page(admin, path)
            assert counts.setdefault(path, len(queries)) == len(queries), path
    assert max(counts.values()) <= QUERIES_AT_MOST + 7, counts
    del counts["/network?from=shop/pod/w0&to=s0&port=80"]  # a question costs seven more
    assert max(counts.values()) <= QUERIES_AT_MOST, counts
