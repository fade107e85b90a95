"""A terminal in Chromium against a simulated host: typing and reading, leaving it, ending it, axe, small screens.

The Content-Security-Policy is in force in all but the look with axe: what it refuses of xterm.js fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import pytest
from django.conf import settings
from playwright.sync_api import Page, Route, expect

from control.models import AuditEntry, Pod
from deployer.adapters.simulated import SimulatedEngine
from deployer.core.container import ContainerSpec
from tests.browser.conftest import Open
from tests.browser.walk import OF_A_LOOK, faults, shoot
from tests.control import factories
from tests.control.people_data import person, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PLACE = "/pods/shop/api/terminal"
IMAGE = "busybox:1"


@pytest.fixture(autouse=True)
def container() -> Iterator[None]:
    """A pod whose container runs on a simulated host that the server finds in the data folder."""
    run_dir = settings.PIERHEAD.data_dir / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    engine = SimulatedEngine("terminal", settings.PIERHEAD.cluster_id, run_dir=run_dir)
    engine.load_image(IMAGE)
    identity = engine.create(ContainerSpec("api-app", IMAGE, {}, command=("sleep", "9999")))
    engine.start(identity)
    factories.node("api", address="sim://terminal")
    factories.pod(name="api", status=factories.pod_status(factories.running(container_id=identity)).to_dict())
    yield
    engine.remove(identity)
    engine.close()


def opened(page: Page) -> Page:
    page.goto(PLACE)
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#terminal-state")).to_have_text("Connected")
    expect(page.locator(".xterm-rows")).to_contain_text("$")
    return page


def test_what_is_typed_is_answered(window: Open) -> None:
    page = opened(window())
    page.keyboard.type("echo one two")
    page.keyboard.press("Enter")
    expect(page.locator(".xterm-rows")).to_contain_text(re.compile(r"\$ echo one two\s*one two\s*\$"))
    expect(page.locator("#terminal-lines p").last).to_have_text("one two")
    page.keyboard.type("sleep 1000\r")
    page.keyboard.press("Control+c")
    expect(page.locator(".xterm-rows")).to_contain_text("^C")
    page.keyboard.type("exit 4\r")
    expect(page.locator("#terminal-state")).to_have_text("Ended: the program has ended with exit code 4")
    expect(page.get_by_role("button", name="Open")).to_be_visible()
    assert AuditEntry.objects.get(action="terminal close").object == "Pod shop/api"


def test_many_keys_at_once_stay_in_order(window: Open) -> None:
    page = opened(window())
    text = " ".join(str(number) for number in range(200))
    page.keyboard.type(f"echo {text}\r")
    expect(page.locator("#terminal-lines p").last).to_have_text(text[:500])


def test_keys_whose_answer_was_lost_are_sent_again_and_typed_once(window: Open) -> None:
    page = opened(window())
    lost: list[str] = []

    def lose(route: Route) -> None:
        if len(lost) == 3:
            route.continue_()
            return
        lost.append(route.request.post_data or "")
        route.fetch()
        route.abort()

    page.route(f"**{PLACE}/*", lose)
    page.keyboard.type("echo once")
    page.keyboard.press("Enter")
    expect(page.locator("#terminal-lines p").last).to_have_text("once")
    expect(page.locator(".xterm-rows")).to_contain_text(re.compile(r"\$ echo once\s*once\s*\$"))
    assert len(lost) == 3


def test_colours_and_cursor_follow_and_markup_stays_text(window: Open) -> None:
    page = opened(window())
    page.locator("[name=command]").evaluate("field => { field.value = 'x' }")  # disabled: nothing comes of it
    page.get_by_role("button", name="End it").click()
    expect(page.locator("#terminal-state")).to_have_text("Ended: it was closed")
    hostile = "echo '\x1b[31mred\x1b[0m \x1b[38;2;1;200;3mtrue\x1b[0m <img src=x onerror=alert(1)> \x1b]0;title\x07'"
    page.locator("[name=command]").evaluate("(field, value) => { field.value = value }", hostile)
    page.get_by_role("button", name="Open").click()
    expect(page.locator(".xterm-rows")).to_contain_text("red true <img src=x onerror=alert(1)>")
    # Looked at again until it holds: the terminal draws its rows anew, and a row that is gone has no colour.
    expect(page.locator(".xterm-rows span", has_text=re.compile("^red$"))).to_have_css("color", "rgb(255, 143, 132)")
    expect(page.locator(".xterm-rows span", has_text=re.compile("^true$"))).to_have_css("color", "rgb(1, 200, 3)")
    assert page.title() == "Terminal in api - Pierhead" and page.locator(".xterm-rows img").count() == 0


def test_the_keyboard_gets_in_and_out(window: Open) -> None:
    page = opened(window())
    page.keyboard.press("Tab")
    expect(page.get_by_role("textbox", name="Terminal input")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="End it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#terminal-state")).to_have_text("Ended: it was closed")


def test_leaving_the_page_ends_it(window: Open) -> None:
    page = opened(window())
    page.goto("/account")
    for _ in range(100):
        if found := AuditEntry.objects.filter(action="terminal close").first():
            assert found.detail.endswith("it was closed")
            return
        page.wait_for_timeout(50)
    pytest.fail("it is open still")


def test_a_refusal_is_shown(window: Open) -> None:
    page = window()
    page.goto(PLACE)
    page.get_by_label("Command").fill("/bin/missing")
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#terminal-state")).to_contain_text("/bin/missing is not in the container's image")
    Pod.objects.update(status={})
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#terminal-state")).to_contain_text("has no container to open a terminal in yet")


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_sticks_out(window: Open, width: int) -> None:
    """A terminal is made for the width it opens in; of the theme, it asks style sheets alone."""
    page = opened(window(width=width, lax=True))
    page.keyboard.type("echo " + "wide " * 40 + "\r")
    expect(page.locator("#terminal-lines p").last).to_contain_text("wide wide")
    themes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for theme, rules in zip(themes, ((), OF_A_LOOK), strict=True):
        page.emulate_media(color_scheme=theme)
        shoot(page, f"terminal-{width}-{theme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert faults(page, *rules) == []


def test_without_scripts_it_says_so(window: Open) -> None:
    page = window(scripts=False)
    page.goto(PLACE)
    expect(page.get_by_text("Needs scripts")).to_be_visible()
    expect(page.get_by_role("button", name="Open")).to_be_hidden()


def test_the_pods_page_leads_there_for_administrators_only(container: None) -> None:
    for roles, is_led in (({"shop": "admin"}, True), ({"shop": "operator"}, False)):
        html = signed_in(person(f"a-{is_led}", roles)).get("/pods/shop/api").content.decode()
        assert (f'href="{PLACE}"' in html) == is_led
