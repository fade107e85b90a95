"""Compose's small languages: command lines, durations, sizes, ports. Each reader raises Unreadable with a sentence."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d|w|y)")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(b|[kmgt]i?b?)?", re.IGNORECASE)
_SHIFTS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_SHORT_PORT = re.compile(
    r"(?:(?:(?P<ip>\[[0-9a-fA-F:]+\]|[0-9.]+):)?(?P<published>\d+(?:-\d+)?)?:)?(?P<target>\d+(?:-\d+)?)"
    r"(?:/(?P<protocol>tcp|udp|sctp))?",
    re.IGNORECASE,
)
MAX_RANGE = 200


class Unreadable(Exception):
    """`message` says what is wrong with the text, `remedy` what to write."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a container; `published` on the host, 0 for one that the host chooses; None for none."""

    target: int
    published: int | None = None
    protocol: str = "tcp"
    host_ip: str = ""
    mode: str = "ingress"
    name: str = ""
    app_protocol: str = ""


def split(text: str) -> list[str]:
    """A command line as its words, by the shell's rules of quoting; nothing is run or expanded."""
    try:
        return shlex.split(text, posix=True)
    except ValueError as error:
        raise Unreadable("has a quote without its end", "close it, or write a list of words") from error


def literal(text: str) -> str:
    """A word as a manifest has to say it: Kubernetes puts variables in where `$(NAME)` stands, Compose does not."""
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text


def seconds(text: str) -> float:
    """10s, 1m30s, 500ms, 2h; a bare 0 as well."""
    parts = _DURATION.findall(text)
    if text != "0" and (not parts or "".join(number + unit for number, unit in parts) != text):
        raise Unreadable(f'"{text[:60]}" is not a duration', "write one such as 30s or 1m30s")
    found = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if found > 10 * 365 * 86400:
        raise Unreadable(f'"{text[:60]}" is longer than ten years', "write a shorter one")
    return float(found)


def size_bytes(text: str) -> int:
    """512m, 1.5gb, 1024: powers of 1024, as Compose counts."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise Unreadable(f'"{text[:60]}" is not a size', "write one such as 512m or 2g")
    unit = (match[2] or "").lower().replace("i", "")
    unit = unit[:1] if unit != "b" else ""
    return int(float(match[1]) * (1 << _SHIFTS[unit]))


def millicores(text: str) -> int:
    """0.5, 2: CPUs."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < 10_000:
        raise Unreadable(f'"{text[:60]}" is not a number of CPUs', "write one such as 0.5 or 2")
    return max(round(found * 1000), 1)


def whole(text: str, lowest: int = 0, highest: int = 2**31 - 1) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", text) or not lowest <= int(text) <= highest:
        raise Unreadable(f'"{text[:60]}" is not a whole number from {lowest} to {highest}', "write one")
    return int(text)


def short_ports(text: str) -> list[Port]:
    """ "8080:80", "127.0.0.1:8080:80/tcp", "3000-3005", "80"."""
    match = _SHORT_PORT.fullmatch(text.strip())
    if match is None:
        raise Unreadable(f'"{text[:60]}" is not a port', 'write "80", "8080:80" or "127.0.0.1:8080:80"')
    targets = list(port_range(match["target"]))
    protocol, ip = (match["protocol"] or "tcp").lower(), (match["ip"] or "").strip("[]")
    if not match["published"]:
        return [Port(target, 0, protocol, ip) for target in targets]
    published = list(port_range(match["published"]))
    if len(published) != len(targets):
        raise Unreadable(f'"{text[:60]}" has ranges of different lengths', "give each port one of the host's")
    return [Port(target, host, protocol, ip) for target, host in zip(targets, published, strict=True)]


def port_range(text: str) -> Iterator[int]:
    first, _, last = text.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise Unreadable(f'"{text[:60]}" is not a port', "write one such as 8080, or a range such as 3000-3005")
    start, end = int(first), int(last or first)
    if not (1 <= start <= end <= 65535) or end - start >= MAX_RANGE:
        raise Unreadable(
            f'"{text[:60]}" is not a range of ports', f"write numbers from 1 to 65535, at most {MAX_RANGE} of them"
        )
    yield from range(start, end + 1)
