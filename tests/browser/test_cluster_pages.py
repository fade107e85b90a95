"""Nodes, network, events, notifications and audit in Chromium: axe finds nothing, nothing sticks out, buttons do."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from control.models import Node
from control.store import objects
from tests.browser.conftest import Open
from tests.browser.walk import CROSSED, LOOKS, walked
from tests.control import cluster_data, factories, notification_data

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "a long harbour wall"
PAGES = (
    "/nodes",
    "/nodes/harbour-1",
    "/nodes/harbour-2",
    "/nodes/harbour-3",
    "/nodes/add",
    "/nodes/harbour-1/labels",
    "/workloads",
    "/workloads?label=%3Dweb",
    "/applications?label=app",
    "/nodes/harbour-1/drain",
    "/nodes/harbour-3/remove",
    "/nodes/harbour-1/declare-dead",
    "/network",
    "/network?from=shop/pod/worker-1&to=database&port=5432",
    "/network/shop/web",
    "/network/shop/lost",
    "/events",
    "/audit",
    "/notifications",
    "/notifications/add",
)


def test_axe_finds_nothing_and_nothing_sticks_out(window: Open) -> None:
    cluster_data.cluster()
    notification_data.told()
    taint = {"key": "gpu", "value": "", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}
    Node.objects.filter(name="harbour-1").update(taints=[taint])
    assert walked(window(lax=True), PAGES, LOOKS) == {}


def test_axe_finds_nothing_where_nothing_is_yet(window: Open) -> None:
    assert walked(window(lax=True), ("/nodes", "/network", "/events", "/audit"), CROSSED) == {}


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_host_is_added_cordoned_drained_and_removed(window: Open, scripts: bool) -> None:
    User.objects.create_superuser("ada", password=PASSWORD)
    factories.node("other")
    page = window(scripts=scripts)
    page.goto("/nodes")
    page.get_by_role("link", name="Add a node…").click()
    page.get_by_label("Name", exact=True).fill("Not A Name")
    page.get_by_label("Address", exact=True).fill("sim://harbour-9")
    page.get_by_label("Labels").fill("zone=a")
    page.get_by_role("button", name="Test and add").click()
    expect(page.get_by_role("alert")).to_contain_text("is not a DNS name")
    expect(page.get_by_label("Address", exact=True)).to_have_value("sim://harbour-9")
    page.get_by_label("Name", exact=True).fill("harbour-9")
    page.get_by_role("button", name="Test and add").click()
    expect(page.locator(".notice")).to_contain_text("harbour-9 is registered: a simulated engine")
    _press(page, "Cordon")
    expect(page.locator("#headline")).to_have_text("harbour-9: Cordoned")
    _press(page, "Uncordon")
    _press(page, "Drain")
    expect(page.locator("#headline")).to_have_text("harbour-9: Draining")
    _press(page, "Remove")
    expect(page.locator(".notice")).to_contain_text("harbour-9 is removed")
    assert not Node.objects.filter(name="harbour-9").exists()


def test_a_change_of_a_node_is_seen_without_reloading(window: Open) -> None:
    row = factories.node()
    page = window()
    page.goto("/nodes/n1")
    expect(page.locator("#connection")).to_have_text("Live")
    Node.objects.filter(pk=row.pk).update(ready=False, reason="Unknown", message="3 heartbeats were missed")
    factories.event("NodeNotReady", "3 heartbeats were missed", kind="Node", namespace="", name="n1")
    objects.touch("Node", "", "n1")
    expect(page.locator("#headline")).to_have_text("n1: Unknown")
    expect(page.locator("#said")).to_have_text("n1: Unknown")


def test_what_is_typed_stays_while_the_page_moves(window: Open) -> None:
    factories.service()
    page = window()
    page.goto("/network")
    expect(page.locator("#connection")).to_have_text("Live")
    page.locator("#reach summary").click()
    page.get_by_label("From").fill("shop/pod/web-1")
    factories.service("late")
    objects.touch("Service", "shop", "late")
    expect(page.locator("#service-shop-late")).to_be_visible()
    expect(page.get_by_label("From")).to_have_value("shop/pod/web-1")
    expect(page.get_by_label("From")).to_be_focused()


def _press(page: Page, what: str) -> None:
    page.get_by_role("link", name=f"{what}…").click()
    page.get_by_role("button", name=what, exact=True).click()
