"""Channels and incidents for people: the page, the form, the commands; and an address that nobody sees again."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from control.models import NEVER, AuditEntry, Incident, Notice, NotificationChannel, Work
from control.services import notifications
from control.services.audit import Actor
from control.services.refusal import Refused
from tests.control import commands, people_data
from tests.control.commands import Run

pytestmark = pytest.mark.django_db
URL = "jsons://hooks.example.com/s3cr3tpath?+X-Key=hunter2"
TELLING = "slack://T0SECRET/B0SECRET/XXSECRETXX"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return commands.runner(monkeypatch, capsys)


@pytest.fixture
def ann(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html[max(html.rfind("<main"), 0) :]).split())


def channel(name: str = "ops", url: str = URL, **options: Any) -> NotificationChannel:
    return notifications.add_channel(name, url, Actor("ann"), **options)


def incident(name: str = "web", **fields: Any) -> Incident:
    given = {
        "kind": "RolloutFailed", "namespace": "shop", "namespaces": ["shop"], "subject": name, "commit": "3" * 40,
        "title": f"Rollout of Deployment shop/{name} failed", "why": "0 of 3 <b>new</b> pods", "log_tail": "boom",
        "opened_at": time.time() - 300,
    }  # fmt: skip
    return Incident.objects.create(name=name, **{**given, **fields})


def test_an_address_is_sealed_and_shown_to_nobody(ann: Client, caplog: pytest.LogCaptureFixture) -> None:
    given = {"name": "ops", "address": URL, "namespace": "shop", "kinds": ["RolloutFailed"]}
    page = ann.post("/notifications/add", given, follow=True).content.decode()
    assert "ops is added" in page
    told = "jsons://hooks.example.com/*** is told of rollouts that fail, rolled back or not, in namespace shop"
    assert told in words(page)
    refused = ann.post("/notifications/add", given)
    assert refused.status_code == 409
    assert "channel ops exists already" in refused.content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM control_notificationchannel")
        stored = str(cursor.fetchall())
    audit = str(list(AuditEntry.objects.values()))
    for text in (page, refused.content.decode(), ann.get("/audit").content.decode(), stored, audit, caplog.text,
                 repr(NotificationChannel.objects.get())):  # fmt: skip
        assert "s3cr3t" not in text
        assert "hunter2" not in text
    assert NotificationChannel.objects.get().address.load() == {"url": URL}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"address": "file:///etc/passwd"}, "channel ops: file:// is not admitted"),
        ({"address": "json://127.0.0.1/hunter2"}, "127.0.0.1 is a loopback address"),
        ({"name": "-x"}, "is not valid: lower-case letters"),
        ({"namespace": "../x"}, "is not valid: lower-case letters"),
        ({"kinds": ["Everything"]}, "not one of the available choices"),
        ({"address": ""}, "This field is required"),
    ],
)
def test_what_is_not_admitted_is_said(ann: Client, given: dict[str, Any], sentence: str) -> None:
    answer = ann.post("/notifications/add", {"name": "ops", "address": URL, **given})
    assert answer.status_code in (400, 409)
    assert sentence in answer.content.decode()
    assert "hunter2" not in answer.content.decode()
    assert not NotificationChannel.objects.exists()


def test_the_page_says_what_failed_who_was_told_and_what_was_not(ann: Client) -> None:
    row, found = channel(), incident()
    incident("done", closed_at=time.time(), outcome="normal", flaps=1)
    incident("node", kind="NodeDead", namespace="", namespaces=[], title="Node node is dead")
    incident("suspected", opened_at=0)
    Notice.objects.create(channel=row, incident=found, what="opened", sent_at=time.time() - 60, due_at=NEVER)
    Notice.objects.create(channel=row, what="test", due_at=NEVER, attempts=1, message="error=500 <i>")
    html = ann.get("/notifications").content.decode()
    text = words(html)
    assert "2 open incidents" in text
    assert "Rollout of Deployment shop/web failed" in text
    assert 'href="/workloads/shop/web"' in html
    assert "0 of 3 &lt;b&gt;new&lt;/b&gt; pods" in html
    assert "To ops: Told" in text
    assert "Back to normal Rollout of Deployment shop/done failed" in text
    assert "Nobody was told." in text
    assert "Not told error=500 &lt;i&gt;" in text
    assert "suspected" not in text


def test_who_sees_a_namespace_sees_what_failed_there_and_no_more() -> None:
    channel("all"), channel("shop", namespace="shop"), channel("mail", namespace="mail")
    incident(), incident("other", namespaces=["mail"]), incident("node", namespaces=[], kind="NodeDead")
    bob = people_data.signed_in(people_data.person("bob", {"shop": "operator"}))
    text = words(bob.get("/notifications").content.decode())
    assert "1 open incident " in text
    assert "Deployment shop/web" in text
    assert "shop/other" not in text
    assert "Send a test" not in text
    assert not re.search(r"\b(all|mail) Not tried", text)
    for path in ("/notifications/add", "/notifications/shop/test", "/notifications/shop/remove"):
        assert bob.post(path).status_code in (403, 404)


def test_a_test_is_asked_for_and_a_channel_removed(ann: Client) -> None:
    row = channel()
    assert "A test is on its way to ops" in ann.post("/notifications/ops/test", follow=True).content.decode()
    assert Notice.objects.get().what == Notice.TEST
    assert Work.objects.get(loop="notify").key == row.uid
    assert "ops is removed" in ann.post("/notifications/ops/remove", follow=True).content.decode()
    assert not (Notice.objects.exists() or Work.objects.filter(loop="notify").exists())
    assert ann.post("/notifications/ops/test").status_code == 404
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {
        "notification add", "notification test", "notification remove",
    }  # fmt: skip


def test_commands(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "url"
    file.write_text(f"{TELLING}\n")
    added = run("notification", "add", "ops", "--url-file", str(file), "--kind", "NodeDead", "-n", "shop")
    assert added.out.startswith("notification/ops added: slack://*** (Slack); `notification test ops` tries it")
    listed = run("notification", "list")
    assert [cell.strip() for cell in listed.lines[1][:3]] == ["ops", "slack://*** (Slack)", "shop"]
    assert "SECRET" not in added.out + listed.out
    assert run("notification", "add", "ops", "--url-file", str(file)).err.startswith(
        "error: channel ops exists already"
    )
    assert "holds no" not in run("notification", "remove", "ops").out
    assert run("notification", "remove", "ops").err == "error: channel ops does not exist; there are: none\n"
    assert "No channels; add one" in run("notification", "list").err
    file.write_text("\n")
    assert "is empty: it should hold the apprise URL" in run("notification", "add", "x", "--url-file", str(file)).err
    with pytest.raises(Refused):
        notifications.outcome(999)


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"sent_at": 5.0, "due_at": NEVER}, 0, "notification/ops was told\n"),
        ({"due_at": NEVER, "message": "error=500"}, 1, "error: channel ops: error=500\n"),
        ({}, 1, "error: channel ops: nothing came of the test within 20 s\n"),
    ],
)
def test_a_command_waits_for_what_comes_of_a_test(
    run: Run, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], code: int, said: str
) -> None:
    channel()
    world = commands.world(monkeypatch)
    world.seconds = 5.0
    world.plays(lambda: None, lambda: Notice.objects.update(**fields) if fields else None)
    ran = run("notification", "test", "ops", "--timeout", "20s")
    assert (ran.code, (ran.out + ran.err).removeprefix("no worker")[-len(said) :]) == (code, said)
