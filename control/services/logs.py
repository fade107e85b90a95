"""What containers printed, read from their hosts. The only reads that a page makes of a host: where somebody asked."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from control.models import Pod
from control.selectors.pods import container_statuses
from control.services.refusal import Refused
from deployer.composition import engine_of
from deployer.ports import Engine

LONGEST_LINE = 1 << 16
"""Characters of an unfinished line that are kept."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`tail`: the last lines only, None for all. `since_seconds`: not older than this."""

    container: str = ""
    tail: int | None = None
    since_seconds: float | None = None
    follow: bool = False
    timestamps: bool = False


class Reading:
    """A log that is read. `close` may be called from another thread: it ends a read that waits."""

    def __init__(self, row: Pod, asked: Asked) -> None:
        self._container, self._asked = container_id(row, asked.container), asked
        assert row.node is not None
        if not row.node.ready:
            raise Refused(f"node {row.node.name} does not answer, so the log of {row.name} cannot be read now")
        self._engine: Engine = engine_of(row.node)

    def pieces(self) -> Iterator[bytes]:
        asked, engine = self._asked, self._engine
        since = engine.host_time() - asked.since_seconds if asked.since_seconds is not None else None
        yield from engine.logs(
            self._container, tail=asked.tail, since=since, follow=asked.follow, timestamps=asked.timestamps
        )

    def lines(self) -> Iterator[str]:
        return divided(self.pieces())

    def close(self) -> None:
        self._engine.close()


def divided(pieces: Iterable[bytes]) -> Iterator[str]:
    """The lines, without their ends; the last one may not be whole. What prints no line ends fills no memory: a line
    comes in parts of LONGEST_LINE."""
    decode, rest = codecs.getincrementaldecoder("utf-8")("replace").decode, ""
    for piece in pieces:
        *whole, rest = (rest + decode(piece)).split("\n")
        yield from whole
        while len(rest) > LONGEST_LINE:
            yield rest[:LONGEST_LINE]
            rest = rest[LONGEST_LINE:]
    if rest:
        yield rest


def container_id(row: Pod, wanted: str, purpose: str = "to read a log from") -> str:
    """Docker's id of the container's present run."""
    if row.node is None:
        raise Refused(f"pod {row.namespace}/{row.name} is on no node yet: {row.message or 'it waits to be placed'}")
    found = chosen(row, wanted)
    identity = str((found or {}).get("containerID", "")).removeprefix("docker://")
    if not identity:
        why = row.message or row.waiting or "its node has not told of it yet"
        raise Refused(f"pod {row.namespace}/{row.name} has no container {purpose} yet: {why}")
    return identity


def chosen(row: Pod, wanted: str) -> dict[str, Any] | None:
    """The status of the container that is meant; None when nothing is known of any."""
    statuses = container_statuses(row)
    if not wanted:
        return next(iter(row.status.get("containerStatuses") or ()), None)
    found = next((one for one in statuses if one["name"] == wanted), None)
    if statuses and found is None:
        known = ", ".join(one["name"] for one in statuses)
        raise Refused(f"pod {row.namespace}/{row.name} has no container {wanted}; it has: {known}")
    return found


def previous(row: Pod, wanted: str) -> str:
    """The kept last lines of the run before this one."""
    found = chosen(row, wanted) or {}
    ended = (found.get("lastState") or {}).get("terminated") or (found.get("state") or {}).get("terminated") or {}
    text = str(ended.get("message") or "") or (row.log_tail if not wanted or not row.status else "")
    if not text:
        raise Refused(f"pod {row.namespace}/{row.name}: no run of the container has ended, or it printed nothing")
    return text if text.endswith("\n") else text + "\n"
