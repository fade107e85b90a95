r"""A header route as one regular expression, the key of a map: people's words are in it as data, never as syntax.

    x-user=internal of svc.shop.web.80 ->
        ^svc\x2eshop\x2eweb\x2e80\x7c(?=(?:[^\n]*\n)*?(?i:x-user):\x20internal\r\n)

It is held against the backend's name, "|" and all of the request's headers, one a line, without blanks around their
values. Whatever is no letter and no digit is written as its number, so a key has no white space, and nobody's words end
where they should not.

A person's `regex` is read here, symbol by symbol, and written anew: of a language small enough to be harmless. What
HAProxy would refuse would take the whole map with it, and what goes back and forth without end would hold up everybody
at the router: so there are no references back, no looking around and no repetition within a repetition. As in Istio
and Envoy it has to match the whole value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from deployer.core.canary.values import HeaderMatch, HeaderRoute
from deployer.core.network.maps import is_word

SEPARATOR = "|"
"""Between the backend's name and the headers."""
MOST_REPETITIONS, LONGEST_REGEX, DEEPEST = 3, 200, 8
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A header's name (RFC 9110, token)."""
_PLAIN = re.compile(r"[A-Za-z0-9_-]")
_LINE_END = r"\r\n"
_KINDS = {"d": "0-9", "w": "A-Za-z0-9_", "s": r"\x20\t"}
_TOKEN = re.compile(
    r"(?P<kind>\\[dws])|\\(?P<quoted>[!-/:-@[-`{-~])|(?P<set>\[\^?(?:\\.|[^\]\\])+\])|(?P<any>\.)"
    r"|(?P<times>[*+?]|\{\d{1,2}(?:,\d{0,2})?\})|(?P<open>\((?:\?:)?)|(?P<close>\))|(?P<or>\|)"
    r"|(?P<plain>[^\\\[\](){}*+?.|^$\x00-\x1f\x7f])"
)
_ONE = r"(?:\\[!-/:-@[-`{-~]|[ !-Z_-~`])"
_MEMBER = re.compile(rf"\\(?P<kind>[dws])|(?P<first>{_ONE})(?:-(?P<last>{_ONE}))?")


def route_key(backend: str, route: HeaderRoute) -> str:
    """The key by which requests to `backend` take this route. Raises ValueError, in words, for what is none."""
    found = [f"^{_literal(backend)}{_literal(SEPARATOR)}"]
    for match in route.matches:
        if fault := header_fault(match):
            raise ValueError(fault)
        found.append(rf"(?=(?:[^\n]*\n)*?(?i:{_literal(match.header)}):\x20{_value(match)})")
    key = "".join(found)
    if not is_word(key):
        raise ValueError("its headers and values are too long")
    return key


def regex_fault(text: str) -> str:
    """ "has '\\\\b' at letter 1, ..." of a person's regex, "" for one that can be asked."""
    try:
        _regex(text)
    except ValueError as error:
        return str(error).removeprefix("its regex ")
    return ""


def header_fault(match: HeaderMatch) -> str:
    """What is wrong with it, "" for nothing."""
    if not _NAME.fullmatch(match.header):
        return f"{match.header!r} is no name of a header"
    if not match.value and match.match == "exact":
        return f"header {match.header}: an exact value must not be empty; for any value write the prefix ''"
    try:
        _value(match)
    except ValueError as error:
        return f"header {match.header}: {error}"
    return ""


def _value(match: HeaderMatch) -> str:
    if not match.value.isprintable():
        raise ValueError("its value has a control character in it")
    if match.match == "regex":
        return f"(?:{_regex(match.value)}){_LINE_END}"
    if match.match == "prefix":
        return _literal(match.value.lstrip())
    return f"{_literal(match.value.strip())}{_LINE_END}"


def _literal(text: str) -> str:
    """Byte by byte, as HAProxy compares."""
    letters = (chr(byte) for byte in text.encode(errors="surrogatepass"))
    return "".join(letter if _PLAIN.fullmatch(letter) else f"\\x{ord(letter):02x}" for letter in letters)


def _regex(text: str) -> str:
    """Raises ValueError for what is not in the language."""
    if len(text) > LONGEST_REGEX:
        raise ValueError(f"its regex has {len(text)} letters, at most {LONGEST_REGEX} are possible")
    whole = text[1:] if text.startswith("^") else text
    whole = whole[:-1] if whole.endswith("$") and not re.search(r"(?<!\\)(?:\\\\)*\\\$\Z", whole) else whole
    tokens = list(_tokens(whole))
    _check(tokens)
    written = "".join(_written(kind, word) for kind, word in tokens)
    try:
        re.compile(written)
    except (re.error, OverflowError) as error:
        raise ValueError(f"its regex is none: {error}") from None
    return written


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            known = r"letters, . [] () | * + ? {} \d \w \s and \ before a sign"
            raise ValueError(
                f"its regex has {text[at : at + 4]!r} at letter {at + 1}, which is not known here: {known}"
            )
        kind = found.lastgroup or ""
        yield kind, found[kind]
        at = found.end()


def _check(tokens: Iterable[tuple[str, str]]) -> None:
    """Groups are closed, what is repeated is one thing, and a group that is repeated can be read in one way only."""
    open_groups = [False]  # of each: is there a choice or a repetition in it?
    endless, before, is_loose = 0, "open", False
    for kind, word in tokens:
        if kind == "open":
            open_groups.append(False)
        elif kind == "close":
            is_loose = open_groups.pop()
            open_groups[-1:] = [one or is_loose for one in open_groups[-1:]]
        elif kind == "times":
            if before in ("open", "or", "times"):
                raise ValueError(f"its regex has {word!r} after nothing that could be repeated")
            if before == "close" and is_loose and word != "?":
                raise ValueError(f"its regex repeats with {word!r} a group with a choice or a repetition in it")
            endless += word in "*+" or word.endswith(",}")
        if not 0 < len(open_groups) <= DEEPEST:
            raise ValueError(f"its regex closes a group that was not opened, or has more than {DEEPEST - 1} in another")
        open_groups[-1] |= kind in ("times", "or")
        before = kind
    if len(open_groups) > 1:
        raise ValueError("its regex opens a group that is not closed")
    if endless > MOST_REPETITIONS:
        raise ValueError(f"its regex has {endless} repetitions without an end, at most {MOST_REPETITIONS} are possible")


def _written(kind: str, word: str) -> str:
    """No line ends within a value, so nothing matches beyond it."""
    match kind:
        case "plain" | "quoted":
            letters = _literal(word)
            return letters if len(word.encode()) == 1 else f"(?:{letters})"
        case "kind":
            return f"[{_KINDS[word[1]]}]"
        case "any":
            return r"[^\r\n]"
        case "set":
            return _set(word)
        case "open":
            return "(?:"
    return word


def _set(word: str) -> str:
    r""" "[^a-z.]" -> "[^a-z\x2e\r\n]"."""
    inner = word[1:-1]
    sign, inner = ("^", inner[1:]) if inner.startswith("^") else ("", inner)
    found, at = [], 0
    while at < len(inner):
        member = _MEMBER.match(inner, at)
        if member is None:
            raise ValueError(f"its regex has {inner[at : at + 4]!r} within {word}, which is not known here")
        first, last, kind = member.group("first", "last", "kind")
        found.append(_KINDS[kind] if kind else _byte(first) + (f"-{_byte(last)}" if last else ""))
        at = member.end()
    return f"[{sign}{''.join(found)}{_LINE_END if sign else ''}]"


def _byte(word: str) -> str:
    letter = word[-1]
    return letter if letter.isalnum() else f"\\x{ord(letter):02x}"
