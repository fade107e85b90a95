"""The judge's settings as they are written: in an AnalysisTemplate in camelCase, in the annotation as rules.

interval, warmup, minDuration, maxDuration    durations
alpha, tolerance                              numbers
minEffect, margin, slowMargin, errorLimit, slowLimit, guardShare    shares: 1%, 0.2pp, 0.01
guardRequests                                 a number of requests
onNoTraffic, onInconclusive                   words
metrics                                       errors, slow, or both
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from deployer.core.canary.amounts import LONGEST_SECONDS, BadAmount, Bounds, duration, duration_text, number, share
from deployer.core.canary.amounts import share_text as _share_text
from deployer.core.canary.values import Judge

MEASURES = ("errors", "slow")
_HINTS = get_type_hints(Judge)


@dataclass(frozen=True, slots=True)
class Setting:
    """How one is read. `text` is a value of it as people read it, for the bounds in a sentence."""

    attribute: str
    read: Callable[[str], float]
    bounds: Bounds
    text: Callable[[float], str] = "{:g}".format

    def value(self, text: str) -> float:
        found = self.read(text)
        if not self.bounds.holds(found):
            least, most = self.text(self.bounds.least), self.text(self.bounds.most)
            raise BadAmount(f"{'more than' if self.bounds.above else 'at least'} {least} and at most {most}")
        return found


def _requests(text: str) -> float:
    if not text.isascii() or not text.isdigit():
        raise BadAmount("a whole number")
    return int(text)


SETTINGS: dict[str, Setting] = {
    "interval": Setting("interval_seconds", duration, Bounds(1, 600), duration_text),
    "warmup": Setting("warmup_seconds", duration, Bounds(0, 86400), duration_text),
    "minDuration": Setting("min_seconds", duration, Bounds(1, LONGEST_SECONDS), duration_text),
    "maxDuration": Setting("max_seconds", duration, Bounds(1, LONGEST_SECONDS), duration_text),
    "alpha": Setting("alpha", share, Bounds(0, 0.25, above=True)),
    "tolerance": Setting("tolerance", number, Bounds(1, 100)),
    "minEffect": Setting("min_effect", share, Bounds(0, 1), _share_text),
    "margin": Setting("margin", share, Bounds(0, 1, above=True), _share_text),
    "slowMargin": Setting("slow_margin", share, Bounds(0, 1, above=True), _share_text),
    "errorLimit": Setting("error_limit", share, Bounds(0, 1, above=True), _share_text),
    "slowLimit": Setting("slow_limit", share, Bounds(0, 1, above=True), _share_text),
    "guardShare": Setting("guard_share", share, Bounds(0, 1, above=True), _share_text),
    "guardRequests": Setting("guard_requests", _requests, Bounds(1, 1_000_000)),
}
WORDS = {"onNoTraffic": "on_no_traffic", "onInconclusive": "on_inconclusive"}


def words(name: str) -> tuple[str, ...]:
    """What `onNoTraffic` or `onInconclusive` may be."""
    return get_args(_HINTS[WORDS[name]])


def judge(written: Mapping[str, Any]) -> Judge:
    """`written` without anything that `problems` names.

    What is not written has its default; but a short analysis warms up for half its time at most.
    """
    values: dict[str, Any] = {
        one.attribute: one.value(str(written[name])) for name, one in SETTINGS.items() if written.get(name) is not None
    }
    values |= {attribute: written[name] for name, attribute in WORDS.items() if written.get(name)}
    if written.get("metrics"):
        values["metrics"] = tuple(written["metrics"])
    default = Judge()
    least, most = values.get("min_seconds"), values.get("max_seconds")
    values["min_seconds"] = least or min(default.min_seconds, most or default.min_seconds)
    values["max_seconds"] = most or longest(values["min_seconds"])
    values.setdefault("warmup_seconds", min(default.warmup_seconds, values["min_seconds"] / 2))
    return Judge(**values)


def longest(least_seconds: float) -> float:
    """How long is judged at most where only the least is said: three times as long, and half an hour at least."""
    return min(LONGEST_SECONDS, max(3 * least_seconds, Judge().max_seconds))


def problems(written: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(path below the settings, what it must be)."""
    read: dict[str, float] = {}
    for name, setting in SETTINGS.items():
        if written.get(name) is not None:
            try:
                read[name] = setting.value(str(written[name]))
            except BadAmount as wrong:
                yield (name,), str(wrong)
    if "maxDuration" in read and read["maxDuration"] < max(read.get("minDuration", 0), read.get("warmup", 0)):
        yield ("maxDuration",), "no less than minDuration and warmup"
    for name in WORDS:
        if written.get(name) is not None and written[name] not in words(name):
            yield (name,), f"one of {', '.join(words(name))}"
    measures = list(written.get("metrics", MEASURES))
    if not measures:
        yield ("metrics",), "errors, slow, or both"
    for index, measure in enumerate(measures):
        if measure not in MEASURES or measure in measures[:index]:
            yield ("metrics", index), "errors or slow, each once"
