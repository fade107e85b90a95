"""A container's log, read once or followed.

Following is done in windows: after 15 s of silence the stream is opened again just behind the last line, so that no
socket waits without a timeout, and the reader is given an empty piece in which to leave.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from deployer.adapters.docker_wire import Request, Silence, Wire, frames

_SILENCE_SECONDS = 15.0
_LONGEST_LINE = 1 << 16
"""Bytes of an unfinished line that are kept."""
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z ")


class Logs:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def read(
        self,
        container: str,
        name: str,
        *,
        tail: int | None,
        since: float | None,
        follow: bool,
        timestamps: bool,
    ) -> Iterator[bytes]:
        """`container` is an id, `name` what sentences call it."""
        query = {"stdout": "1", "stderr": "1", "tail": "all" if tail is None else str(tail)}
        if since is not None:
            query["since"] = f"{since:.9f}"
        terminal = self._has_terminal(container, name)
        if follow:
            return self._follow(container, name, query, terminal=terminal, timestamps=timestamps)
        return self._once(container, name, query | {"timestamps": "1" if timestamps else "0"}, terminal=terminal)

    def _once(self, container: str, name: str, query: dict[str, str], *, terminal: bool) -> Iterator[bytes]:
        request = Request("GET", f"/containers/{container}/logs", f"read the logs of {name}", query)
        with self._wire.stream(request) as response:
            yield from frames(response, terminal=terminal)

    def _follow(
        self, container: str, name: str, query: dict[str, str], *, terminal: bool, timestamps: bool
    ) -> Iterator[bytes]:
        path, what = f"/containers/{container}/logs", f"follow the logs of {name}"
        query = query | {"follow": "1", "timestamps": "1"}
        while True:
            request = Request("GET", path, what, query, timeout_seconds=_SILENCE_SECONDS)
            behind = ""
            try:
                with self._wire.stream(request) as response:
                    behind = str(int(parsedate_to_datetime(response.headers["Date"]).timestamp()))
                    pieces = frames(response, terminal=terminal)
                    for stamp, line in map(_parted, lines_of(pieces) if terminal else pieces):
                        behind = _just_after(stamp) or behind
                        yield stamp + line if timestamps else line
                return
            except Silence:
                if behind:
                    query = query | {"since": behind, "tail": "all"}
                yield b""

    def _has_terminal(self, container: str, name: str) -> bool:
        request = Request("GET", f"/containers/{container}/json", f"read the logs of {name}", asked="start")
        return bool(json.loads(self._wire.call(request).data)["Config"].get("Tty"))


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A terminal's pieces, cut after each newline, and where a line gets longer than anybody reads."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in lines)
        if len(rest) > _LONGEST_LINE:
            yield rest
            rest = b""
    if rest:
        yield rest


def _parted(line: bytes) -> tuple[bytes, bytes]:
    """The timestamp with its blank, and the rest; a piece that came without one has an empty timestamp."""
    found = _STAMP.match(line)
    return (line[: found.end()], line[found.end() :]) if found else (b"", line)


def _just_after(stamp: bytes) -> str:
    """The API's "seconds.nanoseconds", one nanosecond later, without a float's rounding."""
    found = _STAMP.match(stamp)
    if not found:
        return ""
    whole = int(datetime.fromisoformat(found[1].decode()).replace(tzinfo=UTC).timestamp())
    nanoseconds = int((found[2] or b"0").ljust(9, b"0")) + 1
    return f"{whole + nanoseconds // 1_000_000_000}.{nanoseconds % 1_000_000_000:09d}"
