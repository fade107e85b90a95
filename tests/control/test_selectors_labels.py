"""Label selectors as typed."""

import pytest

from control.selectors.labels import BadSelector, parse_selector

LABELS = {"app": "web", "env": "prod", "tier": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True), ("app=web", True), ("app==web", True), ("app=db", False), ("app!=web", False), ("app!=db", True),
        ("missing!=x", True), ("missing=x", False), ("env in (prod, test)", True), ("env in (test)", False),
        ("env notin (test,dev)", True), ("env notin (prod)", False), ("missing notin (a)", True), ("app", True),
        ("!app", False), ("! missing", True), ("tier=", True), ("app=web,env in (a,prod),!missing", True),
        ("app=web,env=test", False), ("pierhead.io/x!=1", True),
    ],
)  # fmt: skip
def test_a_selector_selects(text: str, matches: bool) -> None:
    assert parse_selector(text)(LABELS) is matches


@pytest.mark.parametrize("text", ["app=", "in (a)", "=web", "app=a b", "app in a,b", "a,,b", "-x=1", "app>3"])
def test_a_selector_that_is_none_is_refused_by_part(text: str) -> None:
    if text == "app=":
        parse_selector(text)  # an empty value is a value
        return
    with pytest.raises(BadSelector, match="not a label selector"):
        parse_selector(text)
