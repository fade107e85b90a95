"""Terminal colours of log lines: pieces of harmless text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.selectors.ansi import LONGEST, pieces
from control.selectors.words import plain


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("plain", [("", "plain")]),
        ("", [("", "")]),
        ("\x1b[31mERROR\x1b[0m at noon", [("red", "ERROR"), ("", " at noon")]),
        ("\x1b[1;33mloud\x1b[22mer\x1b[39m.", [("bold yellow", "loud"), ("yellow", "er"), ("", ".")]),
        ("\x1b[91mbright", [("red", "bright")]),
        ("\x1b[38;5;196mmany\x1b[38;2;1;2;3mmore", [("", "many"), ("", "more")]),
        ("\x1b[mreset", [("", "reset")]),
        ("\x1b]8;;javascript:alert(1)\x07click\x1b]8;;\x07", [("", "click")]),
        ("a\x1b[2Jb\x1b[1;1Hc", [("", "abc")]),
        ("<b>&amp;</b>", [("", "<b>&amp;</b>")]),
        ("\u202egnp.exe", [("", "gnp.exe")]),
        ("\x1b[" + "9" * 500 + "mx", [("", "x")]),
    ],
)
def test_pieces(line: str, found: list[tuple[str, str]]) -> None:
    assert pieces(line) == found


def test_a_long_line_is_cut_and_says_so() -> None:
    assert pieces("x" * (LONGEST + 7)) == [("", "x" * LONGEST), ("cut", " … 7 more characters")]


@given(st.text(alphabet=st.sampled_from("ab\x1b[]0123456789;mJH<>&\x07\n\t\u202e"), max_size=80))
def test_what_is_shown_is_what_is_plain(line: str) -> None:
    """Colours change no text, and nothing that a terminal would obey is left."""
    shown = "".join(text for _, text in pieces(line))
    assert not set(shown) & set("\x1b\x07\u202e\n")
    assert shown == plain(shown)
    assert {style for style, _ in pieces(line)} <= {
        " ".join(sorted(filter(None, (weight, colour))))
        for weight in ("", "bold")
        for colour in ("", "black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
    }
