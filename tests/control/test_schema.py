"""schemathesis asks every route and every webhook for what their descriptions allow: nothing of it may break one."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import HealthCheck, given, settings

from control.services import webhooks
from control.services.audit import Actor
from control.webhooks.intake import Intake, Request
from tests.control import factories, openapi
from tests.control.test_access import ALL, FILLED, everybody, shop
from tests.core.hooks import samples
from tests.environment import require

pytestmark = pytest.mark.django_db
__all__ = ["everybody", "shop"]  # fixtures

UNASKED = {"sign-in/openid", "sign-in/openid/callback"}
"""They ask an identity provider."""
FEW = settings(
    max_examples=4, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)  # fmt: skip


def each(document: Mapping[str, Any], method: str, ask: Callable[[str, Any], None]) -> None:
    """`ask(path, case)` for some cases of every path."""
    require(importlib.util.find_spec("schemathesis"), "schemathesis is missing: manage.py test installs it")
    import schemathesis

    schema = schemathesis.openapi.from_dict(dict(document))
    for path in sorted(document["paths"]):
        FEW(given(schema[path][method].as_strategy())(_asking(ask, path)))()


def _asking(ask: Callable[[str, Any], None], path: str) -> Callable[[Any], None]:
    return lambda case: ask(path, case)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_question_breaks_a_page(shop: None, method: str) -> None:
    ada = User.objects.create_superuser("ada")
    client = Client()

    def ask(path: str, case: Any) -> None:
        client.force_login(ada)  # some of what is asked signs out
        answer = (client.get if method == "GET" else client.post)(
            case.formatted_path, case.query if method == "GET" else case.body
        )
        assert answer.status_code < 500, path

    routes = {route: one for route, one in ALL.items() if route not in UNASKED}
    each(openapi.document(routes, {**FILLED, "name": "api"}), method, ask)


def test_no_payload_breaks_a_webhook() -> None:
    """Signed, and of the shape that the provider sends, more or less."""
    repository, intake = factories.repository("hooked"), Intake()
    hooks = {one: webhooks.make(repository.name, one, Actor("ada")) for one in samples.SAMPLES}

    def ask(path: str, case: Any) -> None:
        provider = path.rpartition("/")[2]
        hook, secret = hooks[provider]
        received = samples.delivery(provider, body=json.dumps(case.body).encode(), secret=secret, at=time.time())
        request = Request(hook.uid, "203.0.113.7", replace(received, at=time.time()))
        intake.take([request])
        assert request.answer.result(0).status in (200, 202, 400), provider

    each(openapi.hooks({name: openapi.shape_of(one) for name, one in samples.SAMPLES.items()}), "POST", ask)
