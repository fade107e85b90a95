"""The first pages, without a browser: who sees them, what they say, what their buttons do, what they cost."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from control.dashboard import attempts
from control.models import Application, AuditEntry, Deployment, Repository, Sync, Work
from tests.control import factories, pages_data, people_data

pytestmark = pytest.mark.django_db
OPEN = {"healthz", "sign-in", "sign-in/code", "sign-in/openid", "sign-in/openid/callback"}
PASSWORD = "a long harbour wall"
HOSTILE = "<script>alert('x')</script>\x1b[31m\u202e\"><img src=x>"
QUERIES_AT_MOST = 20


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "NOW", time.time())


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada", password=PASSWORD))
    return client


def page(client: Client, path: str = "/", **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.content
    return response.content.decode()


def words(html: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, prefix + str(one.pattern))
        elif isinstance(one, URLPattern):
            yield prefix + re.sub(r"<[^>]*>", "web", re.sub(r"<int:[^>]*>", "1", str(one.pattern)))


# --- who sees what ---


@pytest.mark.parametrize("method", ["get", "post"])
def test_strangers_are_led_to_the_form_from_every_route(client: Client, method: str) -> None:
    found = set(routes(get_resolver().url_patterns)) - OPEN
    assert "workloads/web/web/undo" in found
    for route in found:
        response = getattr(client, method)(f"/{route}")
        assert response.status_code == 302, route
        assert response["Location"].startswith("/sign-in?next=/"), route


def test_a_session_that_ended_sends_the_whole_page_to_the_form(client: Client) -> None:
    response = client.get("/", headers={"HX-Request": "true"})
    assert response["HX-Redirect"] == "/sign-in"
    assert not response.content


def test_pages_are_strict_and_not_kept(admin: Client) -> None:
    response = admin.get("/")
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "no-store" in response["Cache-Control"]
    html = response.content.decode()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", html)


def test_posts_need_a_token(admin: Client) -> None:
    pages_data.rolled_back(None)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = admin.cookies
    for route in set(routes(get_resolver().url_patterns)) - {"healthz", ""}:
        assert strict.post(f"/{route}").status_code == 403, route


def test_who_is_no_administrator_looks_and_does_not_act(client: Client) -> None:
    pages_data.rolled_back(None)
    client.force_login(people_data.person("vic", {"": "viewer"}))
    html = page(client)
    assert "shop/" in html
    assert "/undo" not in html
    assert client.post("/workloads/shop/api/undo", {"revision": "1"}).status_code == 403
    assert Deployment.objects.get().pin["revision"] == 2


# --- what it says ---


def test_the_story(admin: Client) -> None:
    pages_data.story()
    html = page(admin)
    text = words(html)
    assert "<title>1 degraded, 1 not synced, 1 node not ready - Pierhead</title>" in html
    assert pages_data.ROLLBACK in text
    assert "INFO listening on :8080" in text
    assert "&lt;b&gt;connection&lt;/b&gt; to postgres refused" in text
    assert "1 of 4 new pods ready, 3 old" in text
    assert "Pinned to revision 2, Git is at 3333333. ann rolled back to revision 2. A newer commit" in text
    assert f"search 2 pods, 5m {pages_data.NO_ROOM}" in text
    assert pages_data.REFUSED in text
    assert "deploy/&lt;i&gt;.yaml:3: Deployment shop/web: spec.replica: there is no such field" in text
    assert "harbour-3 Unknown" in text
    assert "3 heartbeats were missed: no answer within 1 s; for 1m" in text
    assert "sim-1 Ready simulated" in text
    assert re.search(r"applied \S+ ago healthy after 9.0 s", text)
    assert "Checkout: retry payments" in text


def test_rollouts_come_first_and_then_the_worst(admin: Client) -> None:
    pages_data.story()
    order = re.findall(r'<tbody id="deployment-shop-([a-z]+)"', page(admin))
    assert order == ["front", "search", "api", "catalog", "mail", "worker"]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        pytest.param("", "manage.py node add", id="nothing: register a host"),
        pytest.param("", "manage.py repository add", id="nothing: connect a repository"),
        pytest.param("repository", "No application follows the repository", id="a repository alone"),
        pytest.param("application", "Nothing was synced yet", id="an application that was never synced"),
    ],
)
def test_an_empty_place_names_the_next_step(admin: Client, there: str, said: str) -> None:
    if there:
        getattr(factories, there)()
    html = page(admin)
    assert said in words(html)
    assert "<title>nothing runs yet - Pierhead</title>" in html


def test_a_repository_that_cannot_be_read_is_trouble(admin: Client) -> None:
    factories.application()
    Repository.objects.update(failures=3, message="the host git.example.com does not answer")
    html = page(admin)
    assert "Git could not be read, 3 times in a row: the host git.example.com does not answer" in words(html)
    assert "<title>1 not synced" in html


def test_what_a_sync_that_went_well_had_to_say_is_no_trouble(admin: Client) -> None:
    factories.attempt(factories.application(sync_status="Synced", message="1 created, 0 changed, 0 pruned"))
    assert "not synced" not in page(admin)


def test_loops_that_stand_still_are_said(admin: Client) -> None:
    now = factories.NOW
    Work.objects.create(loop="sync", key="x", due_at=now - 90)
    factories.node(heartbeat_at=now - 300)
    text = words(page(admin))
    assert "Work has been due for 1m and nobody does it" in text
    assert "No heartbeat was written for 5m" in text


def test_what_was_woken_a_moment_ago_is_not_late(admin: Client) -> None:
    """The page said "Work has been due for 20780d" whenever somebody had woken a loop that was not at work yet."""
    Work.objects.create(loop="sync", key="x", due_at=0)
    assert "nobody does it" not in words(page(admin))


def test_whatever_comes_from_outside_is_shown_and_not_obeyed(admin: Client) -> None:
    row = factories.deployment("web", application=factories.application(message=HOSTILE, namespace="shop"))
    current = factories.replica_set(row, 2)
    factories.crashed_pod(current, log=HOSTILE)
    factories.pin(row, 2, reason=HOSTILE, log_tail=HOSTILE, automatic=True)
    factories.node("lost", ready=False, message=HOSTILE)
    factories.pod(current, "waits", node=None, phase="Pending", message=HOSTILE)
    factories.event(HOSTILE, HOSTILE)
    factories.attempt(
        row.application, Sync.FAILED, commit_message=HOSTILE, commit_author=HOSTILE, actor=HOSTILE, message=HOSTILE,
        errors=[{"file": HOSTILE, "line": 1, "message": HOSTILE}],
    )  # fmt: skip
    for path in ("/", "/workloads/shop/web/undo", "/workloads/shop/web/resume"):
        html = page(admin, path)
        assert not re.search(r"<script>|<img|\x1b|\u202e", html)
    assert "&lt;script&gt;alert" in html


# --- live ---


def test_htmx_gets_the_moving_part_and_nothing_while_nothing_changes(admin: Client) -> None:
    pages_data.healthy(None, "web")
    part = page(admin, "/", **{"HX-Request": "true"})
    assert "<title>all healthy - Pierhead</title>" in part
    assert "<html" not in part
    seen = re.search(r'name="seen" value="([0-9a-f]+)"', part)
    assert seen
    again = f"/?seen={seen[1]}"
    assert admin.get(again, headers={"HX-Request": "true"}).status_code == 204
    pages_data.healthy(None, "new")
    assert "deployment-shop-new" in page(admin, again, **{"HX-Request": "true"})


@pytest.mark.parametrize("count", [1, 50])
def test_queries_do_not_grow(admin: Client, count: int) -> None:
    pages_data.story()
    for number in range(count):
        pages_data.healthy(None, f"web-{number}", replicas=2)
    with CaptureQueriesContext(connection) as queries:
        page(admin)
    assert len(queries) <= QUERIES_AT_MOST, [one["sql"][:100] for one in queries]


def test_showing_pages_loads_no_engine(tmp_path: Path) -> None:
    """In a process of its own, by asking for the first page with a node and a pod on it: some imports are in bodies."""
    program = """
import sys, django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth import get_user_model
from django.test import Client
from control.models import Deployment, Node, Pod, ReplicaSet
import control.selectors.overview_nodes, control.selectors.overview_workloads, control.dashboard.urls
node = Node.objects.create(name="n1", address="sim://n1", engine_id="1", ready=True, memory_bytes=1 << 33)
owner = Deployment.objects.create(namespace="shop", name="web", spec={"replicas": 1})
rs = ReplicaSet.objects.create(namespace="shop", name="web-1", deployment=owner, template_hash="1")
Pod.objects.create(namespace="shop", name="web-1-a", replica_set=rs, node=node, placement={"memory": 1 << 30})
client = Client(HTTP_HOST="localhost")
client.force_login(get_user_model().objects.create_superuser("ada"))
page = client.get("/")
assert page.status_code == 200 and b"n1" in page.content and b"web" in page.content, page
heavy = ("docker", "urllib3", "requests", "git", "celery", "kombu", "redis", "pydantic", "yaml", "jsonschema_rs")
print([one for one in heavy if one in sys.modules])
"""
    environment = {"DJANGO_SETTINGS_MODULE": "control.settings", "PIERHEAD_DATA": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


# --- buttons ---


def test_undo_asks_then_goes_back_and_is_audited(admin: Client) -> None:
    pages_data.healthy(None, "web")
    assert 'href="/workloads/shop/web/undo"' in page(admin)
    form = page(admin, "/workloads/shop/web/undo")
    assert "Revision 1 , healthy, commit 1111111" in words(form)
    answer = admin.post("/workloads/shop/web/undo", {"seen": "hash2", "revision": "1"}, follow=True)
    assert answer.redirect_chain == [("/workloads/shop/web", 302)]
    assert "shop/web goes back to revision 1." in answer.content.decode()
    assert Deployment.objects.get().pin["revision"] == 1
    entry = AuditEntry.objects.get(action="rollout undo")
    assert (entry.actor, entry.source) == ("ada", "127.0.0.1")


def test_the_second_of_two_is_told(admin: Client) -> None:
    pages_data.healthy(None, "web")
    pressed = {"seen": "hash2", "revision": "1"}
    assert admin.post("/workloads/shop/web/undo", pressed).status_code == 302
    second = admin.post("/workloads/shop/web/undo", pressed)
    assert second.status_code == 409
    assert "It has changed since you opened this page" in second.content.decode()
    assert AuditEntry.objects.filter(action="rollout undo").count() == 1


@pytest.mark.parametrize(
    ("revision", "status", "said"),
    [
        pytest.param("9", 409, "revision 9 is not kept", id="one that is not kept"),
        pytest.param("2", 409, "is the one that is asked for already", id="the current one"),
        pytest.param("", 400, "Choose a revision", id="none"),
        pytest.param("-1", 400, "Choose a revision", id="no number"),
        pytest.param("9" * 40, 400, "Choose a revision", id="a number that no column holds"),
    ],
)
def test_undo_refuses(admin: Client, revision: str, status: int, said: str) -> None:
    pages_data.healthy(None, "web")
    answer = admin.post("/workloads/shop/web/undo", {"seen": "hash2", "revision": revision})
    assert (answer.status_code, said in answer.content.decode()) == (status, True)
    assert not Deployment.objects.get().pin


def test_resume_ends_a_pin(admin: Client) -> None:
    pages_data.rolled_back(None)
    assert "That commit failed before" in page(admin, "/workloads/shop/api/resume")
    assert admin.post("/workloads/shop/api/resume").status_code == 302
    assert not Deployment.objects.get().pin
    assert AuditEntry.objects.get(action="rollout resume").actor == "ada"
    assert admin.post("/workloads/shop/api/resume").status_code == 404


def test_resume_of_an_application(admin: Client) -> None:
    pin = {"commit": "a" * 40, "skipped_commit": "b" * 40, "by": "ada", "reason": "rolled back by ada"}
    row = factories.application(pin=pin)
    assert "pinned to aaaaaaa, Git is at bbbbbbb" in page(admin)
    assert "commit aaaaaaa" in page(admin, "/applications/shop/resume")
    assert admin.post("/applications/shop/resume").status_code == 302
    row.refresh_from_db()
    assert row.pin == {}
    assert row.request["trigger"] == "resume"


def test_a_pin_that_was_made_meanwhile_is_not_ended(admin: Client) -> None:
    """Whoever presses has read of another one: the rollback after it would have been undone unseen."""
    pages_data.rolled_back(row := factories.application(pin={"commit": "a" * 40, "at": 1.0}))
    for path, model in (("/applications/shop/resume", Application), ("/workloads/shop/api/resume", Deployment)):
        found = re.search(r'name="seen" value="([^"]+)"', page(admin, path))
        assert found is not None
        model.objects.update(pin={**model.objects.get().pin, "at": 2.0})
        answer = admin.post(path, {"seen": found[1]})
        assert (answer.status_code, "somebody was faster" in answer.content.decode()) == (409, True)
        assert model.objects.get().pin["at"] == 2.0
    assert not Application.objects.get(pk=row.pk).request


# --- signing in ---


def sign_in(client: Client, name: str = "ada", password: str = "wrong", **extra: Any) -> int:
    client.logout()
    return client.post("/sign-in", {"username": name, "password": password}, **extra).status_code


def test_the_right_password_leads_where_one_wanted_to_go(client: Client) -> None:
    User.objects.create_superuser("ada", password=PASSWORD)
    given = {"username": "ada", "password": PASSWORD, "next": "/workloads/shop/web/undo"}
    assert client.post("/sign-in", given)["Location"] == "/workloads/shop/web/undo"
    assert client.post("/sign-out")["Location"] == "/sign-in"
    assert client.post("/sign-in", {**given, "next": "https://evil.example.com/"})["Location"] == "/"


def test_guessing_ends_after_five(client: Client) -> None:
    User.objects.create_superuser("ada", password=PASSWORD)
    assert [sign_in(client) for _ in range(6)] == [200] * 5 + [429]
    assert sign_in(client, password=PASSWORD) == 429
    assert sign_in(client, password=PASSWORD, REMOTE_ADDR="10.0.0.9") == 302  # elsewhere, at the same time
    AuditEntry.objects.update(at=time.time() - attempts.WINDOW_SECONDS - 1)
    assert sign_in(client, password=PASSWORD) == 302


def test_coming_in_forgets_what_was_mistyped(client: Client) -> None:
    User.objects.create_superuser("ada", password=PASSWORD)
    for _ in range(3):
        assert [sign_in(client) for _ in range(4)] == [200] * 4
        assert sign_in(client, password=PASSWORD) == 302


def test_an_address_ends_whatever_the_names(client: Client) -> None:
    codes = [sign_in(client, name=f"name-{number}") for number in range(attempts.FAILURES_OF_ADDRESS + 1)]
    assert codes == [200] * attempts.FAILURES_OF_ADDRESS + [429]


def test_a_name_ends_whatever_the_addresses_but_not_at_its_own_desk(client: Client) -> None:
    User.objects.create_superuser("ada", password=PASSWORD)
    assert sign_in(client, password=PASSWORD) == 302
    codes = [sign_in(client, REMOTE_ADDR=f"10.0.0.{number}") for number in range(attempts.FAILURES_OF_NAME + 1)]
    assert codes == [200] * attempts.FAILURES_OF_NAME + [429]
    assert sign_in(client, password=PASSWORD) == 302


def test_a_name_that_nobody_has_is_not_kept(client: Client) -> None:
    sign_in(client, name="hunter2-typed-in-the-wrong-field")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("unknown", "sign-in failed")
    assert "hunter2" not in entry.object


@pytest.mark.parametrize(
    ("proxy", "forwarded", "source"),
    [
        pytest.param(False, "1.2.3.4", "127.0.0.1", id="no proxy: the header is anybody's"),
        pytest.param(True, "6.6.6.6, 1.2.3.4", "1.2.3.4", id="a proxy: what it wrote itself"),
        pytest.param(True, "nonsense", "127.0.0.1", id="a proxy that wrote nonsense"),
    ],
)
def test_where_an_attempt_came_from(client: Client, settings: Any, proxy: bool, forwarded: str, source: str) -> None:
    settings.TLS_PROXY = proxy
    sign_in(client, headers={"X-Forwarded-For": forwarded})
    assert AuditEntry.objects.get().source == source
