"""The first page in Chromium: it moves by itself, it can be used with and without scripts, axe finds nothing."""

from __future__ import annotations

import re
import time

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import APIResponse, Route, expect

from control.models import Application, Deployment, Pod
from control.store import objects
from tests.browser.conftest import Open
from tests.browser.walk import CROSSED, LOOKS, walked
from tests.control import factories, pages_data

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "a long harbour wall"
PAGES = (
    "/applications", "/applications?as=tiles", "/applications/shop", "/applications/shop/manifests",
    "/applications/shop/policy",
    "/workloads/shop/api", "/workloads/shop/front",
    "/workloads/shop/front/scale", "/workloads/shop/front/restart", "/pods/shop/front-new-1", "/pods/shop/search-0",
    "/pods/shop/front-new-0/logs",
)  # fmt: skip
QUESTIONS = ("/workloads/shop/api/undo", "/workloads/shop/api/resume", "/workloads/shop/none/undo", "/nowhere")


def test_axe_finds_nothing_and_nothing_sticks_out(window: Open) -> None:
    pages_data.story()
    Application.objects.filter(name="shop").update(drift="ConfigMap shop/settings: data.colour differs from Git")
    page = window(lax=True)
    assert walked(page, ["/"], [*LOOKS, *CROSSED]) == {}
    assert walked(page, PAGES, LOOKS) == {}
    assert walked(page, QUESTIONS, CROSSED) == {}


def test_axe_finds_nothing_where_nothing_is_yet(window: Open) -> None:
    for path in ("/", "/sign-in"):
        assert walked(window(signed_in=path == "/", lax=True), [path], CROSSED) == {}


def test_a_change_is_seen_without_reloading(window: Open) -> None:
    pages_data.healthy(None, "web")
    page = window()
    page.goto("/")
    expect(page).to_have_title("all healthy - Pierhead")
    expect(page.locator("#connection")).to_have_text("Live")
    pages_data.rolled_back(None)
    expect(page).to_have_title("1 degraded - Pierhead")
    expect(page.locator("#deployment-shop-api")).to_contain_text("rolled back to revision 2")
    expect(page.locator("#said")).to_have_text("1 degraded")


def test_a_change_while_an_answer_is_under_way_is_seen(window: Open) -> None:
    """Bug: a look was dropped while another one was on its way, and a busy server's page stayed old for 30 s."""
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page = window()
    with page.expect_response("**/?seen=*"):
        page.goto("/")
    expect(page.locator("#connection")).to_have_text("Live")
    page.evaluate("() => live.addEventListener('refresh', () => { document.body.dataset.looks += '+'; })")
    page.route("**/?seen=*", hold)
    objects.touch("Node", "", "n1")
    expect(page.locator("body")).to_have_attribute("data-looks", re.compile(r"\+"))
    deadline = time.monotonic() + 30
    while not held:
        assert time.monotonic() < deadline, "nobody looked"
        page.wait_for_timeout(20)  # the answer is on its way to `hold`
    pages_data.healthy(None, "web")
    expect(page.locator("body")).to_have_attribute("data-looks", re.compile(r"\+\+"))
    route, answer = held[0]
    route.fulfill(response=answer)
    expect(page.locator("#deployment-shop-web")).to_be_visible()


def test_the_stream_opens_when_htmx_hears(window: Open) -> None:
    """Bug: it opened while other scripts were on their way; the first look was asked for in vain, and what had changed
    since the page was made was not seen for 30 s."""
    page = window()
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => { window.parsed = true; }, true);"
        "window.EventSource = class extends EventSource {"
        " constructor(...all) { super(...all); window.openedParsed = window.parsed === true; } };"
    )
    page.goto("/")
    expect(page.locator("#connection")).to_have_text("Live")
    assert page.evaluate("openedParsed")


def test_what_is_open_or_has_the_focus_stays_so(window: Open) -> None:
    pages_data.rolled_back(None)
    page = window()
    page.goto("/")
    page.locator("summary").click()
    page.locator("#undo-deployment-shop-api").focus()
    pages_data.healthy(None, "web")
    expect(page.locator("#deployment-shop-web")).to_be_visible()
    expect(page.locator("details pre")).to_be_visible()
    expect(page.locator("#undo-deployment-shop-api")).to_be_focused()


def test_a_server_that_is_gone_is_said(window: Open) -> None:
    page = window()
    with page.expect_response("**/?seen=*"):  # the first look, or its late answer would be one
        page.goto("/")
    expect(page.locator("#connection")).to_have_text("Live")
    page.route("**/?seen=*", lambda route: route.abort())
    objects.touch("Node", "", "n1")
    expect(page.locator("#connection")).to_contain_text("No answer since")
    page.unroute("**/?seen=*")
    objects.touch("Node", "", "n1")
    expect(page.locator("#connection")).to_have_text("Live")


def test_a_session_that_ends_leads_to_the_form(window: Open) -> None:
    page = window()
    page.goto("/")
    page.context.clear_cookies()
    expect(page).to_have_title("Sign in - Pierhead")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_sign_in_undo_resume_and_sign_out(window: Open, scripts: bool) -> None:
    User.objects.create_superuser("ada", password=PASSWORD)
    pages_data.healthy(None, "web")
    page = window(scripts=scripts, signed_in=False)
    page.goto("/")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Undo shop/web to 1").click()
    expect(page.get_by_label("Revision 1")).to_be_checked()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".notice")).to_have_text("shop/web goes back to revision 1.")
    expect(page.locator(".alarm.pin")).to_contain_text("Pinned to revision 1")
    page.get_by_role("link", name="Resume").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".notice")).to_contain_text("the pin has ended")
    assert Deployment.objects.get().pin == {}
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in - Pierhead")


def test_undo_by_keyboard(window: Open) -> None:
    pages_data.healthy(None, "web")
    page = window()
    page.goto("/")
    expect(page.locator("#connection")).to_have_text("Live")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="shop/web").first).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#undo-deployment-shop-web")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_label("Revision 1").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_have_text("shop/web goes back to revision 1.")


def test_a_rollout_is_watched(window: Open) -> None:
    """Two of four, then all: the bar goes when there is nothing left to wait for."""
    row = pages_data.rolling(None, factories.NOW)
    page = window()
    page.goto("/")
    bar = page.get_by_role("img", name="1 of 4 new pods ready, 3 old")
    expect(bar).to_be_visible()
    Pod.objects.filter(name__startswith="front-old").delete()
    for number in (2, 3):
        factories.pod(row.replica_sets.get(revision=3), f"front-new-{number}")
    Pod.objects.update(ready=True)
    row.progress = {**row.progress, "updated": 4, "ready": 4, "available": 4, "replicas": 4}
    objects.update([row], ["progress"])
    expect(page).to_have_title("all healthy - Pierhead")
    expect(page.locator("#deployment-shop-front")).to_contain_text("4/4")
    expect(page.locator("#deployment-shop-front .meter")).to_have_count(0)
