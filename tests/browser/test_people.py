"""The pages of people in Chromium: axe finds nothing, nothing sticks out, and all of it works without scripts."""

from __future__ import annotations

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.walk import LOOKS, walked
from tests.control.people_data import PASSWORD, person

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def sign_in(page: Page, name: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def code(secret: str, step: int = 0) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + step)))


def test_axe_finds_nothing_and_nothing_sticks_out(window: Open) -> None:
    olga = person("olga-with-a-rather-long-name.at-example.com", {"shop": "operator", "": "viewer"})
    person("ada", {"": "superuser"})
    page = window(lax=True)
    page.goto("/account")
    page.locator("#token-name").fill("ci")
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_text("This is shown once")).to_be_visible()
    paths = ("/account", "/people", f"/people/{olga.pk}", "/account/second-factor", "/sign-in")
    assert walked(page, paths, LOOKS) == {}


def test_a_second_factor_without_scripts(window: Open) -> None:
    person("olga", {"": "viewer"})
    page = window(scripts=False, signed_in=False)
    sign_in(page, "olga")
    page.get_by_role("link", name="olga").click()
    page.get_by_role("link", name="Turn it on").click()
    picture = page.get_by_role("img", name="QR code")
    assert picture.bounding_box() == {**(picture.bounding_box() or {}), "width": 220, "height": 220}
    secret = page.locator(".secret code").inner_text().replace(" ", "")
    page.get_by_label("Authenticator code").fill(code(secret))
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator(".codes li")).to_have_count(10)
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "olga")
    page.get_by_role("textbox", name="Code").fill(code(secret, 1))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_an_administrator_adds_and_disables_somebody_without_scripts(window: Open) -> None:
    page = window(scripts=False)
    page.goto("/people")
    page.get_by_label("Name", exact=True).fill("vic")
    page.get_by_label("Role").select_option("viewer")
    page.get_by_role("button", name="Add, with a password").click()
    assert re.fullmatch(r"[\w-]{20}", page.locator(".secret code").inner_text())
    page.get_by_role("link", name="Back to all people").click()
    page.get_by_role("link", name="vic").click()
    page.get_by_role("button", name="Take viewer of all").click()
    expect(page.get_by_text("vic has that role no more.")).to_be_visible()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_text("Disabled", exact=True)).to_be_visible()
