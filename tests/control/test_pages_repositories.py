"""Repositories, webhooks and deliveries, as pages and commands."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from control.models import Delivery, Repository, Webhook, Work
from control.services import webhooks
from control.services.audit import Actor
from tests.control import factories
from tests.control.commands import Run, runner

pytestmark = pytest.mark.django_db
ADA = Actor("ada")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setattr(factories, "NOW", time.time())
    row = factories.repository(url="https://bot:s3cr3t@git.example.com/shop.git", polled_at=time.time() - 5)
    factories.application("shop", repository=row)
    Work.objects.create(loop="poll", key=row.uid, due_at=5e9)
    return row


@pytest.fixture
def ada(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def text(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status, response.content
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def delivered(hook: Webhook, **fields: Any) -> Delivery:
    given = {
        "at": time.time() - 3, "name": "d-1", "event": "push", "pushes": [["refs/heads/main", "c" * 40]],
        "commit": "c" * 40, "source": "203.0.113.7", "size": 812, "status": 202, "proven": True, "accepted": True,
        "message": "accepted: the repository is looked at now", "payload": '{"ref": "refs/heads/main"}',
    }  # fmt: skip
    return Delivery.objects.create(webhook=hook, **{**given, **fields})


# --- pages ---


def test_the_list_says_which_can_be_read_and_who_tells(ada: Client, repository: Repository) -> None:
    factories.repository("broken", failures=3, message="git.example.com does not answer", polled_at=time.time() - 9)
    webhooks.make("shop", "github", ADA)
    words = text(ada, "/repositories")
    assert words.index("broken") < words.index("shop")
    assert "Cannot be read" in words and "git.example.com does not answer" in words
    assert "waiting for the first delivery" in words and "none: found by polling alone" in words
    assert "s3cr3t" not in words


def test_the_page_waits_for_the_first_delivery_and_then_shows_it(ada: Client, repository: Repository) -> None:
    assert "None: a push is found by polling, every 30 s" in text(ada, "/repositories/shop")
    hook, _ = webhooks.make("shop", "gitlab", ADA, ["203.0.113.0/24"])
    words = text(ada, "/repositories/shop")
    assert "GitLab waiting for the first delivery" in words and f"http://testserver/hooks/{hook.uid}" in words
    assert "From 203.0.113.0/24 only" in words
    delivered(hook)
    words = text(ada, "/repositories/shop")
    assert "waiting for the first" not in words and "refs/heads/main" in words and "Accepted" in words


def test_the_address_is_the_public_one(ada: Client, repository: Repository, settings: Any) -> None:
    settings.PUBLIC_URL = "https://deploy.example.com"
    hook, _ = webhooks.make("shop", "gitea", ADA)
    assert f"https://deploy.example.com/hooks/{hook.uid}" in text(ada, "/repositories/shop")


def test_setting_one_up_shows_address_secret_and_steps_once(ada: Client, repository: Repository) -> None:
    assert "Bitbucket Data Center" in text(ada, "/repositories/shop/webhooks/add")
    made = ada.post("/repositories/shop/webhooks/add", {"provider": "github", "allowed": "203.0.113.7"})
    hook = Webhook.objects.get()
    secret = hook.secrets.load()["current"]
    page = made.content.decode()
    assert secret in page and hook.uid in page and "Settings, Webhooks, Add webhook" in page
    assert hook.allowed == ["203.0.113.7/32"]
    assert secret not in text(ada, "/repositories/shop") and made["Cache-Control"].count("no-store")


def test_what_cannot_be_set_up_says_why_and_keeps_what_was_typed(ada: Client, repository: Repository) -> None:
    refused = ada.post("/repositories/shop/webhooks/add", {"provider": "gitea", "allowed": "everywhere"})
    assert refused.status_code == 409 and b"write a network such as" in refused.content
    assert b'value="everywhere"' in refused.content and not Webhook.objects.exists()


def test_a_secret_is_rotated_and_the_old_one_retired(ada: Client, repository: Repository) -> None:
    hook, old = webhooks.make("shop", "github", ADA)
    page = ada.post(f"/repositories/shop/webhooks/{hook.uid}/rotate").content.decode()
    hook.refresh_from_db()
    kept = hook.secrets.load()
    assert kept["current"] in page and old not in page and kept["previous"] == old
    assert "was not used since the rotation" in text(ada, "/repositories/shop")
    delivered(hook, old_secret=True, at=time.time())
    assert "before you retire it" in text(ada, "/repositories/shop")
    ada.post(f"/repositories/shop/webhooks/{hook.uid}/retire")
    hook.refresh_from_db()
    assert hook.secrets.load() == {"current": kept["current"]}


def test_of_another_repository_nothing_is_touched(ada: Client, repository: Repository) -> None:
    factories.repository("mint")
    hook, _ = webhooks.make("shop", "github", ADA)
    for verb in ("rotate", "retire", "remove"):
        assert ada.post(f"/repositories/mint/webhooks/{hook.uid}/{verb}").status_code == 409
    assert Webhook.objects.count() == 1 and not hook.rotated_at


def test_a_webhook_is_removed_after_a_question(ada: Client, repository: Repository) -> None:
    hook, _ = webhooks.make("shop", "github", ADA)
    assert "Remove the webhook of GitHub?" in text(ada, f"/repositories/shop/webhooks/{hook.uid}/remove")
    ada.post(f"/repositories/shop/webhooks/{hook.uid}/remove")
    assert not Webhook.objects.exists()


def test_a_delivery_shows_what_it_caused_and_is_done_once_more(ada: Client, repository: Repository) -> None:
    hook, _ = webhooks.make("shop", "github", ADA)
    one = delivered(hook)
    factories.attempt(repository.applications.get(), commit="c" * 40, trigger="webhook", started_at=time.time())
    words = text(ada, f"/repositories/shop/deliveries/{one.pk}")
    assert "203.0.113.7" in words and "Succeeded" in words and "webhook" in words and "refs/heads/main" in words
    ada.post(f"/repositories/shop/deliveries/{one.pk}/again")
    assert Delivery.objects.count() == 2 and Work.objects.get(loop="poll").due_at <= time.time()


def test_hostile_words_of_a_delivery_stay_words(ada: Client, repository: Repository) -> None:
    hook, _ = webhooks.make("shop", "github", ADA)
    hostile = "<script>alert(1)</script>\x1b[31m"
    one = delivered(hook, event=hostile, message=hostile, payload=hostile, pushes=[[hostile, ""]], name=hostile)
    for path in ("/repositories/shop", f"/repositories/shop/deliveries/{one.pk}"):
        page = ada.get(path).content.decode()
        assert "<script>alert" not in page and "\x1b" not in page and "&lt;script&gt;" in page


def test_a_refused_delivery_offers_nothing(ada: Client, repository: Repository) -> None:
    hook, _ = webhooks.make("shop", "github", ADA)
    one = delivered(hook, status=401, proven=False, accepted=False, pushes=[], payload="", commit="", event="")
    words = text(ada, f"/repositories/shop/deliveries/{one.pk}")
    assert "Refused" in words and "Deliver once more" not in words
    assert ada.post(f"/repositories/shop/deliveries/{one.pk}/again").status_code == 409


def test_queries_do_not_grow_with_what_is_shown(
    ada: Client, repository: Repository, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        hook, _ = webhooks.make("shop", "github", ADA)
        for _ in range(5):
            delivered(hook)
        factories.application(f"more-{number}", repository=repository)
    with django_assert_max_num_queries(20):
        ada.get("/repositories/shop")
    with django_assert_max_num_queries(8):
        ada.get("/repositories")


# --- commands ---


def test_the_command_makes_lists_rotates_and_removes(run: Run, repository: Repository) -> None:
    made = run("webhook", "add", "shop", "--provider", "gitlab", "--allow", "203.0.113.0/24")
    hook = Webhook.objects.get()
    assert made.code == 0 and hook.secrets.load()["current"] in made.out and f"/hooks/{hook.uid}" in made.out
    assert "PIERHEAD_PUBLIC_URL is not set" in made.err
    assert hook.uid in run("webhook", "list", "shop").out
    rotated = run("webhook", "rotate", hook.uid)
    hook.refresh_from_db()
    assert hook.secrets.load()["current"] in rotated.out
    assert run("webhook", "retire", hook.uid).code == 0 and run("webhook", "retire", hook.uid).code == 1
    nothing = run("webhook", "deliveries", "shop")
    assert (nothing.code, nothing.err) == (0, "No deliveries to webhooks of repository shop yet\n")
    assert "`webhook list REPOSITORY` shows their ids" in run("webhook", "rotate", "1").err
    one = delivered(hook)
    assert "accepted: the repository is looked at now" in run("webhook", "deliveries", "shop").out
    assert "once more" in run("webhook", "redeliver", str(one.pk)).out
    assert run("webhook", "remove", hook.uid).code == 0 and not Webhook.objects.exists()
    assert run("webhook", "list", "nothing").code == 1
