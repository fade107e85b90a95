"""A browser per run, a fresh window per test, somebody signed in."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.environment import require

HOME = Path(__file__).parents[2]
PATIENCE = 20_000
"""Milliseconds, for a machine that does other things beside: what is waited for has usually come within one second."""
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
# Of an answer like 404, and of a poll that found no server: each is looked at by the test that causes it.
EXPECTED = "status of 4", "net::ERR_FAILED", "htmx:afterRequest", "htmx:sendError", 'that is not "text/event-stream"'
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ended with each file: Playwright keeps an event loop in this thread, and tests of streams have their own."""
    require(Path(CHROMIUM).exists(), f"{CHROMIUM} is missing: apt-get install chromium")
    # Playwright keeps an event loop in this thread; Django's tables are used between its calls, not within.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield made
        made.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@dataclass(frozen=True)
class Site:
    url: str


@pytest.fixture(scope="session")
def site(django_db_setup: None) -> Iterator[Site]:
    """The pages in a process of their own: event streams need an ASGI server, which Django's test server is not."""
    listener = socket.create_server(("127.0.0.1", 0))
    descriptor, port = listener.fileno(), listener.getsockname()[1]
    database = str(connection.settings_dict["NAME"])
    command = [sys.executable, "-m", "tests.browser.serve", database, str(descriptor)]
    process = subprocess.Popen(command, pass_fds=[descriptor], cwd=HOME)
    listener.close()
    yield Site(f"http://127.0.0.1:{port}")
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture
def window(browser: Browser, site: Site) -> Iterator[Open]:
    """`window(width=390, theme="dark", scripts=False, signed_in=False)`: an empty page that can go to "/".

    What the browser complains of (the Content-Security-Policy, a script's error) fails the test. `lax` is for axe,
    which styles the page while it looks at it. Nothing turns: without a graphics card, a page with something that does
    takes all there is of a processor.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def window(
        *, width: int = 1280, theme: Any = "light", scripts: bool = True, signed_in: bool = True, lax: bool = False
    ) -> Page:
        context = browser.new_context(
            base_url=site.url, viewport={"width": width, "height": 900}, color_scheme=theme,
            java_script_enabled=scripts, bypass_csp=lax, reduced_motion="reduce",
        )  # fmt: skip
        contexts.append(context)
        if signed_in:
            context.add_cookies([{"name": "pierhead_session", "value": session(), "url": site.url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield window
    for context in contexts:
        context.close()
    assert not [one for one in complaints if not any(known in one for known in EXPECTED)]


def session() -> str:
    """A session cookie of an administrator."""
    client = Client()
    client.force_login(User.objects.filter(username="ada").first() or User.objects.create_superuser("ada"))
    return str(client.cookies["pierhead_session"].value)
