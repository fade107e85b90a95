"""A canary in one line, written in an annotation of a plain Deployment.

    pierhead.io/canary: "5% for 10m, errors < 1%"

    canary  = stage { sep stage } { sep rule }       sep is a comma or the end of a line
    stage   = percent [ "for" duration ] [ "until promoted" ]
    rule    = "errors" "<" share                     good enough below, however well the stable pods do
            | "slow" "<" share                       likewise, of requests slower than the stable pods' 95th percentile
            | "only" ( "errors" | "slow" )           what is compared (both when nothing is said)
            | "sticky by" ( "cookie" name | "header" name | "client" )
            | "at most" duration                     how long a stage is judged when nobody can tell
            | "interval" duration | "warmup" duration
            | "alpha" share | "tolerance" number | "effect" share | "margin" share | "slow margin" share
            | "guard" share "over" number "requests"
            | "on no traffic" ( "extend" | "pause" | "promote" | "abort" )
            | "on inconclusive" ( "pause" | "promote" | "abort" )

A stage sends its share of requests (0.01% to 100%, each stage more than the one before) to the new pods and has them
judged: for at least `for` (10m), and until the judge is content; "until promoted": then a person has to go on. After
the last stage the new revision takes over. A share is `1%`, `0.2pp` (percentage points) or `0.01`. A duration is `90s`,
`10m`, `1h30m`, `2d`. Several lines:

    pierhead.io/canary: |
      1% for 5m
      10% for 30m until promoted
      errors < 0.5%
      sticky by cookie session

>>> render(parse("5%   for 600s, errors<1%"))
'5% for 10m, errors < 1%'
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NoReturn

from deployer.core.canary import settings
from deployer.core.canary.amounts import BadAmount, duration, duration_text, plain, share_text
from deployer.core.canary.settings import MEASURES, SETTINGS
from deployer.core.canary.values import WHOLE, Analyse, Analysis, Pause, SetWeight, Step, Stickiness, Strategy

ANNOTATION = "pierhead.io/canary"
LONGEST = 4096
MOST_STAGES = 50
_SPACE = re.compile(r"[ \t]*")
_SEPARATOR = re.compile(r"[ \t]*(?:,\s*|\r?\n\s*)")
_WORD = re.compile(r"[^\s,<]+")
_DIGIT = re.compile(r"\d")
_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?%(?![\w%])")
_DURATION = re.compile(r"(?:\d{1,9}[smhd])+(?![\w.])")
_SHARE = re.compile(r"\d{1,9}(?:\.\d{1,9})?(?:[ \t]?(?:%|pp\b)|(?![\w.%]))(?![\w%])")
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?(?![\w.%])")
# What a cookie or a header may be called (RFC 9110, token).
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}(?![^\s,])")
_EXPECTED = {_DURATION: "a duration such as 10m", _SHARE: "a share such as 1%", _NUMBER: "a number"}


def _shown(word: str) -> str:
    """A word of the text as it may stand in a sentence."""
    return '"' + "".join(one if one.isprintable() else "?" for one in word[:40]) + '"'


def _percent_text(value: float) -> str:
    return share_text(value)


def _points_text(value: float) -> str:
    return share_text(value, "pp")


def _plain_text(value: float) -> str:
    return plain(Decimal(repr(float(value))))


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule of one amount: what stands before it, the setting that it is, how it is read and printed."""

    setting: str
    pattern: re.Pattern[str]
    text: Callable[[float], str]


_AMOUNTS = {
    "errors <": _Rule("errorLimit", _SHARE, _percent_text),
    "slow <": _Rule("slowLimit", _SHARE, _percent_text),
    "at most": _Rule("maxDuration", _DURATION, duration_text),
    "interval": _Rule("interval", _DURATION, duration_text),
    "warmup": _Rule("warmup", _DURATION, duration_text),
    "alpha": _Rule("alpha", _SHARE, _plain_text),
    "tolerance": _Rule("tolerance", _NUMBER, _plain_text),
    "effect": _Rule("minEffect", _SHARE, _points_text),
    "margin": _Rule("margin", _SHARE, _points_text),
    "slow margin": _Rule("slowMargin", _SHARE, _points_text),
}
_CHOICES = {"on no traffic": "onNoTraffic", "on inconclusive": "onInconclusive"}
_RULES = (
    "errors < 1%, slow < 5%, only, sticky by, at most, interval, warmup, alpha, tolerance, effect, margin, guard, on"
)


class BadCanary(ValueError):
    """`line` and `column` count from 1 in the annotation's text."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {message}" if line > 1 else f"column {column}: {message}")
        self.line, self.column = line, column


@dataclass(frozen=True, slots=True)
class Stage:
    """`weight` in basis points, `seconds` None for as long as the judge takes by itself."""

    weight: int
    seconds: float | None = None
    until_promoted: bool = False


@dataclass(frozen=True, slots=True)
class Canary:
    """`rules` are the judge's settings by the names of `settings.py`, their values as `render` prints them."""

    stages: tuple[Stage, ...]
    rules: tuple[tuple[str, str], ...] = ()
    only: str = ""
    sticky: Stickiness | None = None


def parse(text: str) -> Canary:
    """Raises BadCanary, which says where and what was expected."""
    if len(text) > LONGEST:
        raise BadCanary(f"has {len(text)} characters, {LONGEST} are the limit", 1, 1)
    return _Reader(text.rstrip()).canary()


def strategy(canary: Canary) -> Strategy:
    steps: list[Step] = []
    for stage in canary.stages:
        written: dict[str, object] = dict(canary.rules)
        if stage.seconds is not None:
            written["minDuration"] = duration_text(stage.seconds)
        if canary.only:
            written["metrics"] = (canary.only,)
        steps += [SetWeight(stage.weight), Analyse(Analysis(judge=settings.judge(written)))]
        steps += [Pause()] if stage.until_promoted else []
    return Strategy(kind="Canary", steps=tuple(steps), sticky=canary.sticky)


def render(canary: Canary) -> str:
    """In one line; it reads back to the same."""
    rules = dict(canary.rules)
    parts = [_stage_text(stage) for stage in canary.stages]
    parts += [f"{words} {rules[one.setting]}" for words, one in _AMOUNTS.items() if one.setting in rules]
    parts += [f"only {canary.only}"] if canary.only else []
    if canary.sticky:
        parts.append(f"sticky by {canary.sticky.by} {canary.sticky.name}".rstrip())
    if "guardShare" in rules:
        parts.append(f"guard {rules['guardShare']} over {rules['guardRequests']} requests")
    parts += [f"{words} {rules[name]}" for words, name in _CHOICES.items() if name in rules]
    return ", ".join(parts)


def _stage_text(stage: Stage) -> str:
    text = share_text(stage.weight / WHOLE)
    text += f" for {duration_text(stage.seconds)}" if stage.seconds is not None else ""
    return f"{text} until promoted" if stage.until_promoted else text


@dataclass(slots=True)
class _Reader:
    """Reads on from `place`; what it has read of the rules so far is in the other fields."""

    text: str
    place: int = 0
    rules: dict[str, str] = field(default_factory=dict)
    only: str = ""
    sticky: Stickiness | None = None

    def canary(self) -> Canary:
        self.place = len(self.text) - len(self.text.lstrip())
        stages: list[Stage] = []
        has_rules = False
        while True:
            if self.sees(_DIGIT) or not stages:
                if has_rules:
                    self.fail("a stage stands after a rule: write the stages first")
                stages.append(self.stage(stages))
            else:
                has_rules = True
                self.rule(stages)
            if self.place == len(self.text):
                return Canary(tuple(stages), tuple(sorted(self.rules.items())), self.only, self.sticky)
            self.take(_SEPARATOR, "a comma or the end of the line")

    def stage(self, before: list[Stage]) -> Stage:
        start = self.place
        found = self.take(_PERCENT, "a stage such as 5% for 10m")
        weight = int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))
        if not 0 < weight <= WHOLE:
            self.fail("a stage is from 0.01% to 100%", start)
        if before and weight <= before[-1].weight:
            self.fail(f"a stage is more than the one before, {_stage_text(before[-1])}", start)
        if len(before) == MOST_STAGES:
            self.fail(f"is one stage too many, {MOST_STAGES} are the limit", start)
        seconds = None
        if self.word("for"):
            seconds = duration(self.amount("minDuration", _DURATION))
        if self.word("until"):
            self.words("promoted")
            return Stage(weight, seconds, until_promoted=True)
        return Stage(weight, seconds)

    def rule(self, stages: list[Stage]) -> None:
        start = self.place
        one = self.amount_rule()
        if one is not None:
            at = self.space()
            value = SETTINGS[one.setting].value(self.amount(one.setting, one.pattern))
            if one.setting == "maxDuration":
                self.check_longest(value, stages, at)
            self.say(one.setting, one.text(value), start)
            self.check_warmup(at)
        elif self.word("only"):
            measure = self.one_of(MEASURES)
            self.only = measure if not self.only else self.fail("only stands there twice", start)
        elif self.word("sticky"):
            self.words("by")
            self.sticky = self.stickiness() if self.sticky is None else self.fail("sticky stands there twice", start)
        elif self.word("guard"):
            self.guard(start)
        elif self.word("on"):
            words = f"on {self.on_what()}"
            self.say(_CHOICES[words], self.one_of(settings.words(_CHOICES[words])), start)
        else:
            self.expected(f"a stage such as 5% for 10m, or a rule: {_RULES}")

    def amount_rule(self) -> _Rule | None:
        """The rule of one amount whose words stand next; they are read."""
        if self.word("slow"):
            if self.word("margin"):
                return _AMOUNTS["slow margin"]
            self.words("<")
            return _AMOUNTS["slow <"]
        for words, one in _AMOUNTS.items():
            first, *others = words.split()
            if self.word(first):
                self.words(*others)
                return one
        return None

    def guard(self, start: int) -> None:
        value = SETTINGS["guardShare"].value(self.amount("guardShare", _SHARE))
        self.words("over")
        requests = SETTINGS["guardRequests"].value(self.amount("guardRequests", _NUMBER))
        self.words("requests")
        self.say("guardShare", _percent_text(value), start)
        self.say("guardRequests", _plain_text(requests), start)

    def on_what(self) -> str:
        what = self.one_of(("no", "inconclusive"))
        if what == "no":
            self.words("traffic")
            return "no traffic"
        return what

    def stickiness(self) -> Stickiness:
        match self.one_of(("cookie", "header", "client")):
            case "client":
                return Stickiness("client")
            case "cookie":
                return Stickiness("cookie", self.name("the name of a cookie"))
            case _:
                return Stickiness("header", self.name("the name of a header"))

    def name(self, what: str) -> str:
        self.space()
        return self.take(_NAME, what)[0]

    def check_longest(self, seconds: float, stages: list[Stage], at: int) -> None:
        for stage in stages:
            if stage.seconds is not None and stage.seconds > seconds:
                self.fail(f"at most {duration_text(seconds)} is less than {_stage_text(stage)}", at)

    def check_warmup(self, at: int) -> None:
        """It would be over before anything is judged."""
        longest, warmup = self.rules.get("maxDuration"), self.rules.get("warmup")
        if longest and warmup and duration(longest) < duration(warmup):
            self.fail(f"at most {longest} is less than warmup {warmup}", at)

    def say(self, setting: str, value: str, start: int) -> None:
        if setting in self.rules:
            self.fail(f"{self.text[start : self.place].split()[0]} stands there twice", start)
        self.rules[setting] = value

    def amount(self, setting: str, pattern: re.Pattern[str]) -> str:
        """The text of an amount that its setting can read."""
        start = self.space()
        text = self.take(pattern, _EXPECTED[pattern])[0].replace("\t", " ")
        try:
            SETTINGS[setting].value(text)
        except BadAmount as wrong:
            self.fail(f"must be {wrong}", start)
        return text

    def one_of(self, words: tuple[str, ...]) -> str:
        found = next((one for one in words if self.word(one)), "")
        return found or self.expected(" or ".join(words))

    def words(self, *words: str) -> None:
        for one in words:
            if not self.word(one):
                self.expected(one)

    def word(self, word: str) -> bool:
        """Whether this word stands next; then it is read."""
        self.space()
        end = r"(?!\w)" if word != "<" else ""
        found = re.compile(re.escape(word) + end).match(self.text, self.place)
        self.place = found.end() if found else self.place
        return found is not None

    def space(self) -> int:
        """Past spaces, unless nothing but the end of the line follows."""
        found = _SPACE.match(self.text, self.place)
        self.place = found.end() if found else self.place
        return self.place

    def sees(self, pattern: re.Pattern[str]) -> bool:
        return pattern.match(self.text, self.place) is not None

    def take(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        found = pattern.match(self.text, self.place)
        if found is None:
            self.expected(what)
        self.place = found.end()
        return found

    def expected(self, what: str) -> NoReturn:
        self.space()
        found = _WORD.match(self.text, self.place)
        there = {",": "a comma", "<": "<", "": "the end"}.get(
            self.text[self.place : self.place + 1], "the end of the line"
        )
        self.fail(f"expected {what}, found {_shown(found[0]) if found else there}")

    def fail(self, message: str, place: int | None = None) -> NoReturn:
        at = self.place if place is None else place
        line = self.text.count("\n", 0, at) + 1
        raise BadCanary(message, line, at - self.text.rfind("\n", 0, at))
