"""A canary in Chromium: axe finds nothing, nothing sticks out, it moves by itself, its buttons lead onwards."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Open
from tests.browser.walk import LOOKS, walked
from tests.control import canary_data

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PAGES = (
    "/workloads/shop/web/canary", "/workloads/shop/api/canary", "/workloads/shop/pay/canary",
    "/workloads/shop/search/canary", "/workloads/shop/quiet/canary", "/workloads/shop/web/canary/abort",
    "/workloads/shop/web/canary/promote", "/workloads/shop/api/canary/retry", "/workloads/shop/web",
    "/workloads/shop/pay", "/applications/shop", "/",
)  # fmt: skip


@pytest.mark.parametrize(("width", "theme"), [*LOOKS, (1280, "dark"), (390, "light")])
def test_axe_finds_nothing_and_nothing_sticks_out(window: Open, width: int, theme: str) -> None:
    canary_data.harbour()
    pages = PAGES if (width, theme) in LOOKS else PAGES[:4]
    assert walked(window(width=width, theme=theme, lax=True), pages, f"{width}-{theme}") == {}
