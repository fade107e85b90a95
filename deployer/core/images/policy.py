"""Image policies: which newer image a container follows, written in an annotation of its Deployment.

    pierhead.io/image-policy: "web=semver:^1.2, every 10m; sidecar=digest; job=newest:main-*-{number}, pin"

    policies  = policy { ( ";" | newline ) policy }
    policy    = container "=" rule { "," option }
    rule      = "semver:" range | "newest:" pattern | "digest"
    option    = "every" duration          how often the registry is asked, 1m to 30d (10m when nothing is said)
              | "commit" | "pin"          the new image is committed to Git (semver, newest: the default), or the
                                          workload is pinned to its digest (digest: the default)
              | "suffix" text             of a semver policy: tags that end in this text, such as -alpine

Ranges are in `versions`, patterns in `pattern`. An update never goes back: what runs may be newer than all that the
policy admits. Pure: what a registry holds comes in as a list of tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from deployer.core.images.pattern import BadPattern, Pattern, parse_pattern
from deployer.core.images.reference import Reference, is_tag
from deployer.core.images.versions import BadRange, Range, parse_range, parse_version, parts_written

ANNOTATION = "pierhead.io/image-policy"
DEFAULT_SECONDS = 600.0
SHORTEST_SECONDS, LONGEST_SECONDS = 60.0, 30 * 86400.0
MOST_POLICIES = 32
LONGEST = 4096
Kind = Literal["semver", "newest", "digest"]
_CONTAINER = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_OPTION = re.compile(r"\s*(every|suffix|commit|pin)\b\s*(.*)", re.DOTALL)
_DURATION = re.compile(r"([1-9][0-9]{0,6})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SUFFIX = re.compile(r"[-._][A-Za-z0-9_.-]{1,63}")


class BadPolicy(ValueError):
    """`line` and `column` count from 1 in the annotation's text."""

    def __init__(self, message: str, line: int, column: int) -> None:
        where = f"line {line}, column {column}" if line > 1 else f"column {column}"
        super().__init__(f"{where}: {message}")
        self.line, self.column = line, column


@dataclass(frozen=True, slots=True)
class Policy:
    """One container's. `rule` is as written; one of `range` and `pattern` is there, by kind."""

    container: str
    kind: Kind
    rule: str
    range: Range | None = None
    pattern: Pattern | None = None
    suffix: str = ""
    every_seconds: float = DEFAULT_SECONDS
    commits: bool = False

    def __str__(self) -> str:
        return f"{self.rule}{f' suffix {self.suffix}' if self.suffix else ''}"


@dataclass(frozen=True, slots=True)
class Choice:
    """`tag`: the newest that the policy admits, "" for none. `newer`: whether it is another than the current one, and
    to be taken. `why` says in a sentence why nothing is to be done; "" when something is."""

    tag: str = ""
    newer: bool = False
    why: str = ""


def parse_policies(text: str) -> tuple[Policy, ...]:
    """In the order in which they are written. Raises BadPolicy."""
    if len(text) > LONGEST:
        raise BadPolicy(f"the policies have {len(text)} characters; at most {LONGEST} are read", 1, 1)
    found: dict[str, Policy] = {}
    for piece, at in _pieces(text, ";\n"):
        if piece.strip():
            one = _policy(text, piece, at)
            if one.container in found:
                twice = f"container {one.container} has a policy already; keep one of them"
                raise _bad(text, at + _indent(piece), twice)
            found[one.container] = one
    if not found:
        raise _bad(text, 0, "there is no policy; write CONTAINER=semver:RANGE, =newest:PATTERN or =digest")
    if len(found) > MOST_POLICIES:
        raise _bad(text, 0, f"there are {len(found)} policies; at most {MOST_POLICIES} are read")
    return tuple(found.values())


def choose(policy: Policy, current: Reference, tags: Iterable[str]) -> Choice:
    """The newest of the registry's tags that the policy admits, against the one that Git asks for."""
    found = {tag: rank for tag in tags if is_tag(tag) and (rank := _rank(policy, tag)) is not None}
    if not found:
        return Choice("", False, f"none of the registry's tags is within {policy}")
    newest = max(found, key=lambda tag: (found[tag], tag))
    tag = current.effective_tag
    if newest == tag:
        return Choice(newest, False, f"{newest} is the newest within {policy}")
    own = _rank(policy, tag, within=False)
    if own is not None and own >= found[newest]:
        why = f"{tag} is newer than {newest}, the newest within {policy}; an update never goes back"
        return Choice(newest, False, why)
    return Choice(newest, True)


def _rank(policy: Policy, tag: str, *, within: bool = True) -> Any:
    """What tags are compared by; None for one that the policy does not admit, or (not `within`) cannot compare."""
    if policy.pattern is not None:
        return policy.pattern.numbers(tag)
    if policy.range is None or not tag.endswith(policy.suffix):
        return None
    bare = tag[: len(tag) - len(policy.suffix)]
    version = parse_version(bare)
    if version is None or (within and not policy.range.holds(version)):
        return None
    return version, parts_written(bare)


def _policy(text: str, piece: str, at: int) -> Policy:
    name, equals, rest = piece.partition("=")
    if not equals or not _CONTAINER.fullmatch(name.strip()):
        begins = "a policy begins with a container's name and '=', such as web=semver:^1.2"
        raise _bad(text, at + _indent(piece), begins)
    rest_at = at + len(name) + 1
    options = list(_pieces(rest, ","))
    is_range = rest.lstrip().startswith("semver:")
    while is_range and len(options) > 1 and not _OPTION.match(options[1][0]):  # a comma within a range
        (first, first_at), (second, _), *others = options
        options = [(f"{first},{second}", first_at), *others]
    (rule, rule_at), *others = options
    chosen = _rule(text, rule, rest_at + rule_at)
    made = {"commits": chosen["kind"] != "digest", **chosen}
    for option, option_at in others:
        made.update(_option(text, option, rest_at + option_at, str(chosen["kind"])))
    return Policy(container=name.strip(), **made)


def _rule(text: str, rule: str, at: int) -> dict[str, Any]:
    at, rule = at + _indent(rule), rule.strip()
    kind, colon, argument = rule.partition(":")
    inner = at + len(kind) + 1
    if kind == "digest" and not colon:
        return {"kind": "digest", "rule": rule}
    if kind not in ("semver", "newest") or not colon:
        raise _bad(text, at, "the rule must be semver:RANGE, newest:PATTERN or digest")
    if not argument.strip():
        raise _bad(text, inner, f"{kind}: needs a {'range, such as ^1.2' if kind == 'semver' else 'pattern'}")
    try:
        if kind == "semver":
            return {"kind": kind, "rule": rule, "range": parse_range(argument)}
        return {"kind": kind, "rule": rule, "pattern": parse_pattern(argument.strip())}
    except BadRange as wrong:
        raise _bad(text, inner + wrong.offset, str(wrong)) from None
    except BadPattern as wrong:
        raise _bad(text, inner + _indent(argument) + wrong.offset, str(wrong)) from None


def _option(text: str, option: str, at: int, kind: str) -> dict[str, Any]:
    found = _OPTION.match(option)
    at += _indent(option)
    word, argument = (found[1], found[2].strip()) if found else ("", "")
    if word in ("commit", "pin") and not argument:
        return {"commits": word == "commit"}
    if word == "every":
        return {"every_seconds": _duration(text, argument, at)}
    if word == "suffix" and kind == "semver":
        if _SUFFIX.fullmatch(argument):
            return {"suffix": argument}
        raise _bad(text, at, "suffix needs the end of a tag, such as -alpine")
    raise _bad(text, at, "the options are: every DURATION, commit, pin, and of semver: suffix TEXT")


def _duration(text: str, argument: str, at: int) -> float:
    found = _DURATION.fullmatch(argument)
    if found is None:
        raise _bad(text, at, "every needs a duration, such as 10m or 6h")
    seconds = float(int(found[1]) * _SECONDS[found[2]])
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise _bad(text, at, "a registry is asked every 1m at most, and every 30d at least")
    return seconds


def _pieces(text: str, separators: str) -> Iterator[tuple[str, int]]:
    """(piece, where it begins)."""
    start = 0
    for at, one in enumerate(text):
        if one in separators:
            yield text[start:at], start
            start = at + 1
    yield text[start:], start


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def _bad(text: str, at: int, message: str) -> BadPolicy:
    line = text.count("\n", 0, at) + 1
    return BadPolicy(message, line, at - (text.rfind("\n", 0, at) + 1) + 1)
