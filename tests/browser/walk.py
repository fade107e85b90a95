"""A walk over many pages in one window: axe on each, and whether anything sticks out of it.

One window and one set of rows for all of them: a test for each page would spend most of its time on making these.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parent / "axe" / "axe.min.js"
SHOTS = os.environ.get("SCREENSHOTS", "")  # a folder: every page that axe looks at is kept there as a picture
LOOKS = ((1280, "light"), (390, "dark"))
"""Width and theme."""
_UNFOLD = "document.querySelectorAll('details').forEach(one => { one.open = true })"


def faults(page: Page) -> list[str]:
    """What axe finds: rule and element."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def walked(page: Page, paths: Iterable[str], look: str) -> dict[str, list[str]]:
    """Path -> what is wrong there, with everything that folds unfolded. `look` names the pictures."""
    wrong: dict[str, list[str]] = {}
    for path in paths:
        page.goto(path)
        page.evaluate(_UNFOLD)
        shoot(page, f"{path.strip('/').translate(str.maketrans('/?=&', '----')) or 'overview'}-{look}")
        found = faults(page)
        assert page.viewport_size
        if (width := page.evaluate("document.documentElement.scrollWidth")) > page.viewport_size["width"]:
            found.append(f"{width} pixels wide")
        if found:
            wrong[path] = found
    return wrong
