"""Repositories and webhooks in Chromium: axe finds nothing, and the page that waits for a delivery shows it."""

from __future__ import annotations

import http.client
import json
import time
import uuid

import pytest
from playwright.sync_api import expect

from control.models import AgeKey, Delivery, Webhook
from deployer.core.host_keys import PUBLISHED
from tests.browser.conftest import Open, Site
from tests.browser.walk import faults, shoot, walked
from tests.control import factories
from tests.core.hooks.samples import GITHUB, headers

KEY = PUBLISHED["github.com"].keys[0]
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def deliver(site: Site, hook: str, secret: str) -> int:
    body = json.dumps({**GITHUB, "padding": "<b>&"}).encode()
    connection = http.client.HTTPConnection(site.url.removeprefix("http://"), timeout=10)
    named = headers("github", body, "push", secret, str(uuid.uuid4()), time.time())
    connection.request("POST", f"/hooks/{hook}", body, {"content-type": "application/json", **named})
    status = connection.getresponse().status
    connection.close()
    return status


def test_from_setting_one_up_to_its_first_delivery(window: Open, site: Site) -> None:
    factories.application("shop", repository=factories.repository(polled_at=time.time()))
    page = window(lax=True)
    page.goto("/repositories/shop")
    page.get_by_role("link", name="Set up a webhook").click()
    assert faults(page) == []
    page.get_by_label("Who hosts it").select_option("GitHub")
    page.get_by_role("button", name="Make it").click()
    secret = page.locator("#hook-secret").inner_text()
    hook = Webhook.objects.get()
    assert page.locator("#hook-address").inner_text() == f"{site.url}/hooks/{hook.uid}"
    shoot(page, "webhook-made-1280-light")
    assert faults(page) == []
    page.get_by_role("link", name="Wait for the first delivery").click()
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator(f"#hook-{hook.uid}")).to_contain_text("waiting for the first delivery")
    assert deliver(site, hook.uid, secret[:-1]) == 401
    assert deliver(site, hook.uid, secret) == 202
    expect(page.locator(f"#hook-{hook.uid}")).to_contain_text("last delivery")
    row = page.locator(f"#delivery-{Delivery.objects.get(accepted=True).pk}")
    expect(row).to_contain_text("accepted: the repository is looked at now")
    assert faults(page) == []
    row.get_by_role("link").click()
    expect(page.locator("pre")).to_contain_text('"padding": "<b>&"')
    assert faults(page) == []


def test_on_a_phone_in_the_dark_nothing_sticks_out(window: Open) -> None:
    row = factories.repository(
        url="git@github.com:team/shop.git", failures=3, message="git.example.com does not answer",
        failing_since=time.time() - 90, polled_at=time.time(), ssh_public_key=f"ssh-ed25519 {KEY.key} pierhead-shop",
        signatures="head", ssh_signers=f"ann@example.com {KEY.kind} {KEY.key}",
    )  # fmt: skip
    for name in "ab":
        AgeKey.objects.create(repository=row, recipient=f"age1{name * 58}", created_by="ann")
    hook = Webhook.objects.create(repository=row, provider="gitlab")
    hook.secrets.store({"current": "a", "previous": "b"})
    hook.save()
    kept = {"webhook": hook, "source": "203.0.113.7", "proven": True, "pushes": [["refs/heads/main", "a" * 40]]}
    one = Delivery.objects.create(**kept, status=202, accepted=True, message="accepted", payload="{}")
    Delivery.objects.create(**kept, status=400, event="Push Hook", message="the payload has nothing at ref")
    page = window(lax=True)
    paths = ("", "/shop", f"/shop/deliveries/{one.pk}", "/shop/webhooks/add", f"/shop/webhooks/{hook.uid}/remove",
             "/shop/credentials", "/shop/signatures")  # fmt: skip
    assert walked(page, [f"/repositories{path}" for path in paths], [(390, "dark")]) == {}
