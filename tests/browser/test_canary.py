"""A canary in Chromium: axe finds nothing, nothing sticks out, it moves by itself, its buttons lead onwards."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from control.models import AnalysisTick, Deployment
from control.store import objects
from deployer.core.canary.kept import load_state
from tests.browser.conftest import Open
from tests.browser.walk import CROSSED, LOOKS, walked
from tests.control import canary_data, factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PAGES = (
    "/workloads/shop/web/canary", "/workloads/shop/api/canary", "/workloads/shop/pay/canary",
    "/workloads/shop/search/canary", "/workloads/shop/quiet/canary", "/workloads/shop/web/canary/abort",
    "/workloads/shop/web/canary/promote", "/workloads/shop/api/canary/retry", "/workloads/shop/web",
    "/workloads/shop/pay", "/applications/shop", "/",
)  # fmt: skip


def test_axe_finds_nothing_and_nothing_sticks_out(window: Open) -> None:
    canary_data.harbour()
    page = window(lax=True)
    assert walked(page, PAGES[:4], [*LOOKS, *CROSSED]) == {}
    assert walked(page, PAGES[4:], LOOKS) == {}


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_pause_go_on_and_abort(window: Open, scripts: bool) -> None:
    canary_data.judged(time.time())
    page = window(scripts=scripts)
    page.goto("/")
    page.locator("#canary-shop-web a.name").click()
    expect(page.locator("#headline")).to_have_text("shop/web: canary at 5 %, step 2 of 4: Progressing")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".notice")).to_have_text("shop/web is paused.")
    expect(page.locator(".alarm")).to_contain_text("ada paused it")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#headline")).to_have_text("shop/web: canary at 5 %, step 2 of 4: Progressing")
    page.get_by_role("link", name="Abort…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Abort: canary of shop/web")
    page.get_by_role("button", name="Abort", exact=True).click()
    expect(page.locator(".notice")).to_contain_text("shop/web is aborted: its weight goes to 0 first")
    expect(page.locator("#headline")).to_have_text("shop/web: canary at 0 %, step 2 of 4: Aborting")
    state = load_state(Deployment.objects.get().canary)
    assert (state.phase, state.weight, state.aborted_by) == ("Aborting", 0, "ada")


def test_it_moves_by_itself_and_keeps_what_is_open(window: Open) -> None:
    row = canary_data.judged(time.time())
    page = window()
    page.goto("/workloads/shop/web/canary")
    expect(page.locator("#connection")).to_have_text("Live")
    page.locator("#chart-errors summary").click()
    AnalysisTick.objects.update(missing=None, evidence=1840.0, message="evidence 1,840 against a threshold of 200")
    objects.touch("AnalysisRun", "shop", row.name)
    expect(page.locator(".judged")).to_contain_text("1,840")
    expect(page.locator("#chart-errors table")).to_be_visible()
    canary_data.changed(row, phase="Aborting", weight=0, why="evidence 1,840 against a threshold of 200")
    expect(page.locator("#said")).to_have_text("shop/web: canary at 0 %, step 2 of 4: Aborting")
    expect(page.locator(".alarm.bad")).to_contain_text("evidence 1,840 against a threshold of 200")


def test_by_keyboard(window: Open) -> None:
    canary_data.judged(time.time())
    page = window()
    page.goto("/workloads/shop/web/canary")
    expect(page.locator("#connection")).to_have_text("Live")
    page.locator("#do-pause").focus()
    for expected in ("do-skip", "do-promote", "do-abort"):
        page.keyboard.press("Tab")
        expect(page.locator(f"#{expected}")).to_be_focused()
    factories.event("CanaryStep", "something else", kind="Deployment", name="web")
    objects.touch("Event", "shop", "web")
    expect(page.get_by_text("something else")).to_be_visible()
    expect(page.locator("#do-abort")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Abort", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("shop/web is aborted")
