"""`${NAME:-default}` in a Compose file, and the files that give names their values: `.env` and `env_file`.

Values come from files of the repository alone, never from the machine that Pierhead runs on. A name that has none is an
error: Compose would put nothing there, and say so where nobody reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from deployer.core.compose.nodes import Node, Problems

MAX_DEPTH = 20
MAX_LENGTH = 1 << 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*(=|:\s)?(.*)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$", "'": "'"}


class NoValue(Exception):
    """A variable has no value, or the text is malformed. `message` and `remedy` are for whoever wrote it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


@dataclass(frozen=True, slots=True)
class Variable:
    """One line of an env file; `value` is None for a name alone."""

    name: str
    value: str | None
    line: int


def interpolated(node: Node, values: Mapping[str, str], problems: Problems) -> Node:
    """The tree with all variables put in. Keys are left as they are, as Compose does."""

    def change(one: Node) -> Node:
        if "$" not in one.text:
            return one
        try:
            return replace(one, value=substitute(one.text, values))
        except NoValue as why:
            problems.error(one, why.message, why.remedy)
            return replace(one, value="")

    return node.mapped(change)


def substitute(text: str, values: Mapping[str, str], depth: int = 0) -> str:
    """The text with `$NAME`, `${NAME}`, `${NAME:-default}`, `:?`, `:+` put in. `$$` is one `$`. Raises NoValue."""
    if depth > MAX_DEPTH:
        raise NoValue("nests variables too deeply", "write a plain default")
    made: list[str] = []
    at = 0
    while at < len(text):
        start = text.find("$", at)
        if start < 0:
            made.append(text[at:])
            break
        made.append(text[at:start])
        value, at = _one(text, start, values, depth)
        made.append(value)
        if sum(map(len, made)) > MAX_LENGTH:
            raise NoValue("grows beyond 1 MiB with its variables", "shorten it")
    return "".join(made)


def _one(text: str, start: int, values: Mapping[str, str], depth: int) -> tuple[str, int]:
    """What stands for the `$` at `start`, and where the text goes on."""
    after = text[start + 1 : start + 2]
    if after == "$":
        return "$", start + 2
    if after == "{":
        end = _closing(text, start + 2)
        return _braced(text[start + 2 : end], values, depth), end + 1
    match = _NAME.match(text, start + 1)
    if match is None:
        raise NoValue("has a '$' that begins no variable", "write $$ for a '$' itself")
    return _plain(match[0], values), match.end()


def _closing(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
            at += 1
        elif text[at] == "}":
            if not depth:
                return at
            depth -= 1
        at += 1
    raise NoValue("has a '${' without its '}'", "close it, or write $$ for a '$' itself")


def _braced(inside: str, values: Mapping[str, str], depth: int) -> str:
    match = _NAME.match(inside)
    if match is None:
        raise NoValue("has a ${...} without a name of a variable", "write ${NAME}, or $$ for a '$' itself")
    name, rest = match[0], inside[match.end() :]
    if not rest:
        return _plain(name, values)
    empty_counts = rest.startswith(":")
    operator, word = rest[empty_counts : empty_counts + 1], rest[empty_counts + 1 :]
    value = values.get(name)
    has = bool(value) if empty_counts else value is not None
    match operator:
        case "-":
            return value or "" if has else substitute(word, values, depth + 1)
        case "+":
            return substitute(word, values, depth + 1) if has else ""
        case "?":
            if has:
                return value or ""
            raise NoValue(f"{name} is required: {substitute(word, values, depth + 1)[:200]}", _where(name))
    raise NoValue(
        f"${{{inside[:60]}}} is not a form that Compose knows", "write ${NAME}, ${NAME:-default} or ${NAME:?}"
    )


def _plain(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise NoValue(f"the variable {name} has no value", _where(name))
    return values[name]


def _where(name: str) -> str:
    return f"write {name}=... into the .env file beside the Compose file, or a default: ${{{name}:-default}}"


def read_env(data: bytes, values: Mapping[str, str], fail: Callable[[int, str, str], None]) -> dict[str, str | None]:
    """An env file as Compose reads it; later lines see earlier ones. `fail(line, message, remedy)` tells."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail(data.count(b"\n", 0, error.start) + 1, "is not UTF-8 text", "save the file as UTF-8")
        return {}
    made: dict[str, str | None] = {}
    for number, line in _lines(text):
        match = _LINE.fullmatch(line)
        if match is None or (match[2] is None and match[3].strip() and not match[3].strip().startswith("#")):
            fail(number, "is not a line of an env file", "write NAME=value")
            continue
        if match[2] is None:
            made[match[1]] = None
            continue
        known = {**values, **{name: value for name, value in made.items() if value is not None}}
        try:
            made[match[1]] = _value(match[3].strip(), known)
        except NoValue as why:
            fail(number, why.message, why.remedy)
    return made


def read_raw_env(data: bytes, fail: Callable[[int, str, str], None]) -> dict[str, str | None]:
    """`format: raw`: what stands after the `=` is the value, quotes and all."""
    text = data.decode("utf-8-sig", "replace")
    made: dict[str, str | None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, equals, value = line.partition("=")
            if equals:
                made[name.strip()] = value
            else:
                fail(number, "is not a line of an env file", "write NAME=value")
    return made


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that say something; a value in quotes may go over several."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        first, line = number, lines[number]
        number += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        quote = line.partition("=")[2].lstrip()[:1]
        while quote in ('"', "'") and quote and not _is_closed(line, quote) and number < len(lines):
            line += "\n" + lines[number]
            number += 1
        yield first + 1, line


def _is_closed(line: str, quote: str) -> bool:
    rest = line.partition("=")[2].lstrip()[1:]
    if quote == '"':
        rest = re.sub(r"\\.", "", rest, flags=re.DOTALL)
    return quote in rest


def _value(text: str, values: Mapping[str, str]) -> str:
    """'as it is', "with $VARIABLES and \\n", or plain up to ` #`."""
    if text.startswith("'"):
        return text[1:].partition("'")[0]
    if text.startswith('"'):
        match = re.match(r'"((?:\\.|[^"\\])*)"', text, re.DOTALL)
        if match is None:
            raise NoValue('has a " without its end', "close the quotes")
        unescaped = re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], "\\" + one[1]), match[1], flags=re.DOTALL)
        return substitute(unescaped, values)
    return substitute(re.split(r"\s#", text, maxsplit=1)[0].strip(), values)
