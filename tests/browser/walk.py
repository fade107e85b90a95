"""A walk over many pages in one window: axe on each, and whether anything sticks out of it.

One window and one set of rows for all of them: a test for each page would spend most of its time on making these. A
page is loaded once, and then looked at in every width and theme: nothing here asks for either but style sheets. So what
does not depend on these is looked for once, in the first look.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

AXE = Path(__file__).parent / "axe" / "axe.min.js"
SHOTS = os.environ.get("SCREENSHOTS", "")  # a folder: every page that axe looks at is kept there as a picture
Look = tuple[int, Literal["light", "dark"]]
LOOKS: tuple[Look, ...] = ((1280, "light"), (390, "dark"))
"""Width and theme."""
CROSSED: tuple[Look, ...] = ((1280, "dark"), (390, "light"))
OF_A_LOOK = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")
"""Rules about what style sheets alone decide: colours, sizes, what scrolls. All others ask for elements, words and
attributes, and a narrow window shows none of these that a wide one does not."""
_UNFOLD = "document.querySelectorAll('details').forEach(one => { one.open = true })"


def faults(page: Page, *rules: str) -> list[str]:
    """What axe finds: rule and element. It looks for everything, unless rules are named."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    how: dict[str, Any] = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found: list[dict[str, Any]] = page.evaluate("how => axe.run(document, how)", how)["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def walked(page: Page, paths: Iterable[str], looks: Iterable[Look]) -> dict[str, list[str]]:
    """Path and look -> what is wrong there, with everything that folds unfolded. `page` is left in the last look."""
    wrong: dict[str, list[str]] = {}
    for path in paths:
        page.goto(path)
        page.evaluate(_UNFOLD)
        rules: tuple[str, ...] = ()
        for width, theme in looks:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=theme)
            shoot(page, f"{path.strip('/').translate(str.maketrans('/?=&', '----')) or 'overview'}-{width}-{theme}")
            found = faults(page, *rules)
            rules = OF_A_LOOK
            if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
                found.append(f"{wide} pixels wide")
            if found:
                wrong[f"{path} {width} {theme}"] = found
    return wrong
