"""What the first page says of services, ingresses and routers: only those that are in trouble, each with its reason."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from control.models import Service
from tests.control import factories, pages_data

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert('x')</script>\x1b[31m"
QUERIES_AT_MOST = 25


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "NOW", time.time())


@pytest.fixture
def page(client: Client) -> Any:
    client.force_login(User.objects.create_superuser("ada", password="a long harbour wall"))
    return lambda: client.get("/").content.decode()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_what_is_well_is_not_listed(page: Any) -> None:
    pages_data.healthy(None, "web")
    factories.service(), factories.ingress()
    factories.router(factories.Node.objects.get())
    html = page()
    assert "connections-title" not in html
    assert "<title>all healthy - Pierhead</title>" in html


def test_services_and_ingresses_in_trouble_say_why(page: Any) -> None:
    pages_data.healthy(None, "web")
    factories.service("api", spec={"selector": {"app": "nobody"}})
    factories.service("slow", spec={"selector": {"app": "slow"}})
    factories.pod(name="slow", labels={"app": "slow"}, ready=False)
    factories.ingress("shop", spec={"rules": [], "defaultBackend": {"service": {"name": HOSTILE}}})
    html = page()
    text = words(html[html.index('id="connections-title"') :])
    assert "shop/ api Service Degraded its selector finds no pod" in text
    assert "shop/ slow Service Progressing none of 1 pod that it selects is ready" in text
    assert text.index("api Service") < text.index("slow Service")
    assert "it leads to service &lt;script&gt;" in html
    assert "<script>alert" not in html
    assert "\x1b" not in html
    assert "1 service degraded, 1 ingress degraded - Pierhead</title>" in html


def test_a_node_whose_router_has_a_problem_says_so(page: Any) -> None:
    row = factories.node()
    factories.router(row, "Service shop/web: port 80 is taken")
    assert "Router: Service shop/web: port 80 is taken" in words(page())
    factories.router(row, ready=False, reason="RouterImageMissing", message=f"no image {HOSTILE}")
    html = page()
    assert "Its router is not ready: RouterImageMissing: no image &lt;script&gt;" in html
    assert "<title>1 router not ready - Pierhead</title>" in html


def test_of_a_host_that_is_not_seen_the_router_is_no_news(page: Any) -> None:
    row = factories.node(ready=False, reason="Unknown", message="3 heartbeats were missed")
    factories.router(row, "odd", ready=False, reason="RouterUnreachable", message="no answer")
    html = page()
    assert "router" not in words(html[html.index('id="nodes-title"') :]).lower()


@pytest.mark.parametrize("count", [1, 40])
def test_queries_do_not_grow(page: Any, count: int) -> None:
    pages_data.story()
    for number in range(count):
        factories.service(f"s{number}", spec={"ports": [{"port": 80, "targetPort": "http"}]})
        factories.ingress(f"i{number}", spec={"tls": [{"secretName": "cert"}]})
    assert Service.objects.count() == count
    with CaptureQueriesContext(connection) as queries:
        page()
    assert len(queries) <= QUERIES_AT_MOST, len(queries)
