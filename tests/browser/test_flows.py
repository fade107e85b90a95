"""What people come for, on a whole Pierhead with simulated hosts: push, watch it roll, break it, roll it back."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.engines.control_plane import Checkout, ControlPlane, deployment

pytestmark = pytest.mark.browser
PASSWORD = re.compile(r"with the password (\S+)")
FOREVER = ["sh", "-c", "echo listening; sleep 86400"]


class Plane(ControlPlane):
    """`up --simulate 3`, and the password that it showed."""

    def password(self) -> str:
        found = PASSWORD.search(self.said())
        assert found, self.said()
        return found[1]


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    with tempfile.TemporaryDirectory(prefix="ph-flow-") as folder:
        made = Plane(Path(folder))
        made.start("--simulate", "3")
        yield made
        made.stop()


@pytest.fixture(scope="module")
def checkout(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout(tmp_path_factory.mktemp("flow"))
    push(made, "shop/web:1", "The first version")
    plane.follow(made.origin)
    return made


def push(checkout: Checkout, image: str, message: str) -> str:
    return checkout.push(message, {"k8s/web.yaml": deployment("web", image=image, replicas=3, command=FOREVER)})


def signed_in(browser: Browser, plane: Plane, *, scripts: bool = True) -> Page:
    context = browser.new_context(base_url=f"http://127.0.0.1:{plane.port}", java_script_enabled=scripts)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto("/")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(plane.password())
    page.get_by_role("button", name="Sign in").click()
    return page


def is_at(page: Page, image: str, seconds: float = 30) -> None:
    """The workload's page, without being loaded again, says that this runs and is healthy."""
    images = page.locator("section[aria-labelledby=rollout-title] .images")
    expect(images).to_have_text(image, timeout=1000 * seconds)
    expect(page.locator("#headline")).to_have_text("shop/web: Healthy", timeout=1000 * seconds)


def test_a_push_is_watched_as_it_rolls_breaks_and_is_rolled_back(
    browser: Browser, plane: Plane, checkout: Checkout
) -> None:
    page = signed_in(browser, plane)
    page.get_by_role("link", name="shop/web").first.click()
    is_at(page, "shop/web:1")
    second = push(checkout, "shop/web:2", "The second version")
    is_at(page, "shop/web:2")

    push(checkout, "shop/web-crash:3", "A version that crashes")
    expect(page.locator("#headline")).to_have_text("shop/web: Degraded", timeout=40_000)
    expect(page.locator(".pin")).to_contain_text("Pinned to revision 2")
    assert "Degraded" in page.title()

    page.locator(".crumbs").get_by_role("link", name="shop", exact=True).click()
    expect(page.locator("tbody", has_text=second[:7]).first).to_contain_text("The second version")
    page.context.close()


def test_a_rollback_by_mouse_is_seen_until_it_is_ready(browser: Browser, plane: Plane, checkout: Checkout) -> None:
    push(checkout, "shop/web:4", "The fourth version")
    page = signed_in(browser, plane)
    page.goto("/workloads/shop/web")
    is_at(page, "shop/web:4", 60)
    page.goto("/applications/shop")
    good = page.locator("tbody", has_text="The second version").first
    good.get_by_role("link", name="Roll back").click()
    expect(page.locator(".images-changed")).to_contain_text("shop/web:4 → shop/web:2")
    began = time.monotonic()
    page.get_by_role("button", name="Roll back").click()
    expect(page.locator(".notice")).to_contain_text("goes back to")
    expect(page.locator(".alarm.pin")).to_contain_text("pinned to")
    page.goto("/workloads/shop/web")
    is_at(page, "shop/web:2")
    print(f"rollback, from the click to all ready: {time.monotonic() - began:.1f} s")
    page.goto("/applications/shop")
    page.locator("#resume").click()
    page.get_by_role("button", name="Resume").click()
    page.goto("/workloads/shop/web")
    is_at(page, "shop/web:4")
    page.context.close()


def test_an_undo_by_keyboard(browser: Browser, plane: Plane, checkout: Checkout) -> None:
    page = signed_in(browser, plane)
    expect(page.locator("#connection")).to_have_text("Live")
    page.keyboard.press("Control+k")
    page.keyboard.type("web")
    expect(page.locator("#palette-found li").first).to_have_text(re.compile("Deployment.*shop/web"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/workloads/shop/web")
    page.locator("#undo").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/undo")
    page.get_by_label("Revision").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("goes back to revision")
    is_at(page, "shop/web:2")
    page.keyboard.press("g")
    page.keyboard.press("n")
    page.wait_for_url("**/nodes")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.context.close()


def test_without_scripts_a_rollback_is_a_form(browser: Browser, plane: Plane, checkout: Checkout) -> None:
    page = signed_in(browser, plane, scripts=False)
    page.get_by_role("link", name="shop/web").first.click()
    page.locator("#resume").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".notice")).to_contain_text("the pin has ended")
    page.get_by_role("link", name="Scale…").click()
    page.get_by_label("Pods").fill("4")
    page.get_by_role("button", name="Scale").click()
    expect(page.locator(".notice")).to_contain_text("scaled from 3 to 4")
    deadline = time.monotonic() + 30
    while "4/4" not in page.locator("main").inner_text() and time.monotonic() < deadline:
        page.reload()
    expect(page.locator("main")).to_contain_text("4/4 ready")
    page.context.close()


def test_logs_are_followed(browser: Browser, plane: Plane, checkout: Checkout) -> None:
    page = signed_in(browser, plane)
    page.goto("/workloads/shop/web/logs")
    expect(page.locator("#log")).to_contain_text("listening")
    expect(page.locator("#log-state")).to_have_text("Following")
    page.context.close()
