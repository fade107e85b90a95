"""What somebody with a role in one namespace sees: that namespace, on every page, and nothing of any other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from control.models import Application, AuditEntry, Incident, RoleBinding
from tests.control import factories, pages_data

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "NOW", time.time())


@pytest.fixture
def vic(client: Client) -> Client:
    """A viewer of `shop`; beside it there is `mint`, where something of everything is in trouble."""
    pages_data.story()
    mint = factories.application("mint-app", namespace="mint", sync_status="OutOfSync", message="mint: refused")
    factories.attempt(mint, "Failed", message="mint: refused")
    row = factories.deployment("mint-web", namespace="mint", application=mint)
    owner = factories.replica_set(row)
    factories.pod(owner, "mint-pod", namespace="mint", ready=False, waiting="ImagePullBackOff", phase="Pending")
    factories.pod(None, "mint-job", namespace="mint", ready=False, phase="Failed", message="mint broke")
    factories.service("mint-service", namespace="mint")
    factories.event("BackOff", "mint backs off", type="Warning", namespace="mint", name="mint-pod")
    person = User.objects.create_user("vic")
    RoleBinding.objects.create(subject=person, namespace="shop", role="viewer")
    client.force_login(person)
    return client


async def _whole(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize(
    "path", ["/", "/applications", "/network", "/events", "/events.csv", "/find?words=mint", "/audit", "/nodes"]
)
def test_lists_hold_nothing_of_another_namespace(vic: Client, path: str) -> None:
    answer = vic.get(path)
    body = asyncio.run(_whole(answer.streaming_content)) if answer.streaming else answer.content
    assert b"mint" not in body.replace(b"/find?words=mint", b"")
    assert answer.status_code in (200, 403)


@pytest.mark.parametrize(
    "path",
    ["/applications/mint-app", "/workloads/mint/mint-web", "/pods/mint/mint-pod", "/pods/mint/mint-pod/logs?as=file",
     "/network/mint/mint-service", "/workloads/mint/mint-web/logs", "/workloads/mint/mint-web/undo"],
)  # fmt: skip
def test_what_is_elsewhere_is_not_there(vic: Client, path: str) -> None:
    assert vic.get(path).status_code == 404
    assert vic.post(path).status_code == 404


def test_an_application_is_seen_and_changed_with_all_that_it_holds(vic: Client) -> None:
    """Its own namespace is `shop`; it also holds something in `mint`, which its page would tell of."""
    shop = Application.objects.get(name="shop")
    factories.deployment("mint-db", namespace="mint", application=shop)
    paths = ("/applications/shop", "/applications/shop/manifests", "/applications/shop/sync")
    assert [vic.get(path).status_code for path in paths] == [404, 404, 404]
    for path in ("/", "/applications", "/find?words=shop"):
        assert b"/applications/shop" not in vic.get(path).content, path
    RoleBinding.objects.create(subject=User.objects.get(username="vic"), namespace="mint", role="viewer")
    page = vic.get("/applications/shop")
    assert page.status_code == 200 and b"mint-db" in page.content
    RoleBinding.objects.filter(namespace="shop").update(role="operator")
    refused = vic.post("/applications/shop/resume")
    assert (refused.status_code, b"takes the role operator in namespace mint" in refused.content) == (403, True)
    assert b"/applications/shop/sync" not in vic.get("/applications/shop").content


def test_an_incident_of_an_application_is_told_to_who_may_see_that(vic: Client) -> None:
    """Its reason names what it holds, in whichever namespace that is."""
    told = {"kind": "SyncFailed", "namespace": "shop", "name": "shop", "namespaces": ["shop"], "opened_at": time.time()}
    Incident.objects.create(**told, subject="1", title="Application shop: sync failed", why="Deployment mint/db broke")
    assert b"sync failed" in vic.get("/notifications").content
    factories.deployment("mint-db", namespace="mint", application=Application.objects.get(name="shop"))
    assert b"mint" not in vic.get("/notifications").content


def test_nodes_are_not_found_by_who_may_not_see_them(vic: Client) -> None:
    """They belong to no namespace, and neither their pages nor the first one show them to somebody of one."""
    assert vic.get("/find?words=harbour").json() == {"found": []}
    RoleBinding.objects.update(namespace="")
    assert [kind for kind, *_ in vic.get("/find?words=harbour").json()["found"]] == ["Node"] * 3


def test_the_audit_trail_is_read_by_the_namespaces_of_objects_and_not_by_names_that_look_alike(vic: Client) -> None:
    """A repository and a person may be called as a namespace is."""
    for target in ("Webhook shop/github", "Token shop/ci", "Repository shop", "Node shop"):
        AuditEntry.objects.create(actor="eve", action="x", object=target, detail="of another matter")
    AuditEntry.objects.create(actor="eve", action="x", object="Rollout shop/web", detail="of this namespace")
    AuditEntry.objects.create(actor="eve", action="x", object="Namespace shop", detail="the namespace itself")
    body = vic.get("/audit").content
    assert b"of another matter" not in body
    assert b"of this namespace" in body and b"the namespace itself" in body


def test_in_the_namespace_all_is_seen_and_nothing_is_pressed(vic: Client) -> None:
    for path in ("/", "/applications/shop", "/workloads/shop/api", "/pods/shop/api-0"):
        answer = vic.get(path)
        assert answer.status_code == 200, path
        assert b"/undo" not in answer.content
        assert b"/sync" not in answer.content
    refused = vic.post("/workloads/shop/api/undo", {"seen": "hash2", "revision": "1"})
    assert (refused.status_code, b"takes the role operator in namespace shop" in refused.content) == (403, True)


def test_an_operator_of_a_namespace_presses_there(vic: Client) -> None:
    RoleBinding.objects.update(role="operator")
    assert b"/workloads/shop/api/restart" in vic.get("/workloads/shop/api").content
    assert vic.post("/workloads/shop/catalog/pause").status_code == 302
