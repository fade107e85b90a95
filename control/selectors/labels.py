"""Label selectors as people type them: `app=web,tier!=db,env in (a,b),env notin (c),canary,!legacy`.

Kubernetes' grammar (apimachinery `labels.Parse`): commas mean "and"; `!=` and `notin` hold without the label.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Test = Callable[[Mapping[str, str]], bool]

_KEY = r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_VALUE = r"[-A-Za-z0-9_.]*"
_EQUALITY = re.compile(rf"(?P<key>{_KEY})\s*(?P<operator>==?|!=)\s*(?P<value>{_VALUE})")
_SET = re.compile(rf"(?P<key>{_KEY})\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EXISTENCE = re.compile(rf"(?P<no>!?)\s*(?P<key>{_KEY})")
_COMMA = re.compile(r",(?![^()]*\))")


class BadSelector(ValueError):
    """The text is not a label selector; the message says which part and shows what can be written."""


def parse_selector(text: str) -> Test:
    """A test of labels. An empty text selects everything. Raises BadSelector."""
    tests = [_requirement(part.strip()) for part in _COMMA.split(text)] if text.strip() else []
    return lambda labels: all(test(labels) for test in tests)


def _requirement(part: str) -> Test:
    if found := _SET.fullmatch(part):
        return _set_test(found["key"], found["operator"], [value.strip() for value in found["values"].split(",")])
    if found := _EQUALITY.fullmatch(part):
        return _set_test(found["key"], "notin" if found["operator"] == "!=" else "in", [found["value"]])
    if found := _EXISTENCE.fullmatch(part):
        key, wanted = found["key"], not found["no"]
        return lambda labels: (key in labels) == wanted
    raise BadSelector(f"{part!r} is not a label selector: write app=web, app!=web, app in (a,b), app, or !app")


def _set_test(key: str, operator: str, values: list[str]) -> Test:
    if operator == "in":
        return lambda labels: labels.get(key) in values
    return lambda labels: labels.get(key) not in values
