"""What people see of image policies, and what they can do: the page, the commands, the word of a registry."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from control import hints
from control.models import AuditEntry, Delivery, Deployment, ImagePolicy, Work
from control.services import webhooks
from control.services.audit import Actor
from control.webhooks.intake import Answer, Intake, Request
from deployer.core.hooks.registries import REGISTRIES
from tests.control import commands, factories
from tests.core.hooks import test_registry_hooks

pytestmark = pytest.mark.django_db
POLICY = {"pierhead.io/image-policy": "web=semver:^1"}
HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> commands.Run:
    return commands.runner(monkeypatch, capsys)


def followed(row: Deployment, **more: object) -> ImagePolicy:
    now = time.time()
    said = {"found": "1.3.0", "why": "1.3.0 is the newest within semver:^1", "looked_at": now - 65, "due_at": now + 535}
    made = {"container": "web", "rule": "semver:^1", "commits": True, "image": "shop/web:1.3.0", **said, **more}
    return ImagePolicy.objects.create(deployment=row, **made)


def text(client: Client, path: str) -> str:
    html = client.get(path).content.decode()
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_the_workloads_page_says_what_is_followed_and_why_nothing_is_newer(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ann"))
    row = factories.deployment(annotations=POLICY)
    assert "Image updates" not in text(client, "/workloads/shop/web")
    one = followed(row)
    said = text(client, "/workloads/shop/web")
    assert "web semver:^1 Up to date 1.3.0 is the newest within semver:^1 1.3.0 committed to Git" in said
    assert "1m ago every 10m" in said
    one.failing, one.why, one.looked_at = True, HOSTILE, 0.0
    one.save()
    html = client.get("/workloads/shop/web").content.decode()
    assert "Failing</span>" in html
    assert "<img src=x" not in html
    assert "\x1b" not in html


def test_a_pin_stands_beside_what_git_asks_for(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ann"))
    pinned = f"shop/web:1.3.0@sha256:{'0a' * 32}"
    pin = {"instead_of": "shop/web:1.3.0", "image": pinned, "at": 1.0}
    row = factories.deployment(annotations=POLICY, image_pins={"web": pin})
    followed(row, commits=False)
    assert f"shop/web:1.3.0, pinned to {pinned}" in text(client, "/workloads/shop/web")


def test_whoever_may_act_has_a_button_and_others_have_not(client: Client) -> None:
    row = factories.deployment()
    one = followed(row)
    client.force_login(User.objects.create_superuser("ann"))
    assert client.get("/workloads/shop/web/images").status_code == 200
    assert client.post("/workloads/shop/web/images").status_code == 302
    one.refresh_from_db()
    assert one.due_at <= time.time() + 1
    assert Work.objects.get(loop="images", key=row.uid).due_at == 0
    assert AuditEntry.objects.get(action="image check").actor == "ann"
    client.force_login(User.objects.create_user("vic"))
    assert client.post("/workloads/shop/web/images").status_code in (403, 404)


def test_commands(run: commands.Run) -> None:
    assert run("image", "list").err == "No image policies in namespace default\n"
    row = factories.deployment()
    found = run("image", "check", "deployment/web", "-n", "shop")
    assert (found.code, found.err.strip()) == (
        1, "error: deployment shop/web has no image policy; write the annotation pierhead.io/image-policy",
    )  # fmt: skip
    followed(row, wanted="shop/web:1.4.0", found="1.4.0", why="shop/web:1.4.0 waits to be committed")
    for scope in (["-n", "shop"], ["-A"]):
        (_, line) = run("image", "list", *scope).lines
        line = [cell.strip() for cell in line]
        assert line[:9] == [
            "shop", "web", "web", "semver:^1", "shop/web:1.3.0", "1.4.0", "Waiting", "1m", "10m",
        ]  # fmt: skip
        assert line[9] == "shop/web:1.4.0 waits to be committed"
    assert run("image", "check", "deployment/web", "-n", "shop").code == 0


@pytest.mark.parametrize("provider", REGISTRIES)
def test_a_registrys_word_makes_the_policies_that_follow_the_image_due(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(hints, "send", lambda loop, keys: sent.extend((loop, key) for key in keys))
    application = factories.application()
    pushed = test_registry_hooks.PUSHED[provider]
    one = followed(factories.deployment(application=application), image=f"{pushed.whole}:0.9")
    other = followed(factories.deployment("api", application=application), image="shop/other:1")
    elsewhere = factories.application("own", repository=factories.repository("own"))
    foreign = followed(factories.deployment("own", application=elsewhere), image=f"{pushed.whole}:0.9")
    hook, secret = webhooks.make(application.repository.name, provider, Actor("ann"))
    received = test_registry_hooks.delivery(provider, secret=secret)
    door, request = Intake(), Request(hook.uid, "203.0.113.7", replace(received, at=time.time()))
    door.take([request])
    assert request.answer.result(0) == Answer(202, "accepted: image policies that follow it are looked at now")
    assert sent == [("images", one.deployment_id)]
    kept = Delivery.objects.get()
    assert kept.pushes == [[f"{pushed.whole}:{pushed.tag}", ""]]
    assert secret not in kept.payload
    due = {row.pk: row.due_at <= time.time() for row in ImagePolicy.objects.all()}
    assert due == {one.pk: True, other.pk: False, foreign.pk: False}
    assert not Work.objects.filter(loop="poll").exists(), "Git has nothing new"
    ImagePolicy.objects.update(due_at=time.time() + 500, looked_at=time.time() - 60)
    webhooks.redeliver(kept.pk, Actor("ann"))
    assert ImagePolicy.objects.filter(due_at__lte=time.time()).get() == one


def test_the_readme_shows_the_grammar_as_it_is() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    from deployer.core.images.policy import parse_policies

    shown = re.findall(r'pierhead\.io/image-policy: "?([^"\n]+)"?', readme)
    assert shown
    for one in shown:
        assert parse_policies(one)
