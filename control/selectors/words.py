"""Text for pages: times, sizes, states, and words from outside made harmless.

Messages, log lines and commit messages come from containers and from whoever pushes. They may hold terminal escapes
and invisible characters with which a text shows something else than it says: both are taken out, here, once.
Escaping for HTML is the templates' business, which do it by themselves.
"""

from __future__ import annotations

import re
import time
import unicodedata
from dataclasses import dataclass
from typing import Literal, NamedTuple

from deployer.core.health import Health

Tone = Literal["good", "busy", "warn", "bad", "idle"]
WORST_FIRST: tuple[Tone, ...] = ("bad", "warn", "busy", "idle", "good")
SHORT_COMMIT = 7
LOG_LINES, LOG_CHARACTERS = 40, 8000
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|[ -/]*[0-~])")
_TONES: dict[str, Tone] = {
    "Healthy": "good",
    "Progressing": "busy",
    "Degraded": "bad",
    "Missing": "warn",
    "Unknown": "warn",
    "Suspended": "idle",
}


class State(NamedTuple):
    """A word and how it is meant; icon and colour follow from the tone."""

    word: str
    tone: Tone


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A time, seen from `now`; both in seconds since the epoch. False when it never came.

    Two are equal when a page shows the same of them.
    """

    at: float
    now: float

    def __bool__(self) -> bool:
        return self.at > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moment) and self._shown() == other._shown()

    def __hash__(self) -> int:
        return hash(self._shown())

    def _shown(self) -> tuple[int, str] | None:
        """`iso` is of whole seconds."""
        return (int(self.at), self.age) if self else None

    @property
    def age(self) -> str:
        return age(self.now - self.at)

    @property
    def iso(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.at))


_STATES = {word: State(word, tone) for word, tone in _TONES.items()}


def state_of(health: Health) -> State:
    return _STATES[health.status]


def age(seconds: float) -> str:
    """0s, 5s, 55s, 1m, 59m, 1h, 47h, 2d: one unit, and under a minute in steps of five, so that pages rest."""
    whole = int(max(seconds, 0))
    if whole < 60:
        return f"{whole // 5 * 5}s"
    for size, unit, below in ((60, "m", 60), (3600, "h", 48)):
        if whole // size < below:
            return f"{whole // size}{unit}"
    return f"{whole // 86400}d"


def size(count: int) -> str:
    """7.6 GiB, 512 MiB."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << shift:
            return f"{count / (1 << shift):.1f}".removesuffix(".0") + f" {unit}"
    return f"{count} B"


def cpus(millicores: int) -> str:
    """0.25, 4, 3.9: CPUs, as people count them."""
    return f"{millicores / 1000:.2f}".rstrip("0").rstrip(".")


def commit(sha: str) -> str:
    return sha[:SHORT_COMMIT]


def plain(text: str) -> str:
    """Without escapes, control and invisible characters; newlines and tabs stay."""
    if text.isprintable():  # nearly all are: no escape is
        return text
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cf", "Cs"))


def sentence(text: str) -> str:
    """One line of `plain` text."""
    return " ".join(plain(text).split())


def subject(message: str) -> str:
    """The first line of a commit message."""
    return sentence(message.strip().partition("\n")[0])


def log(text: str) -> str:
    """The last lines of a log: at most LOG_LINES of them and LOG_CHARACTERS."""
    return "\n".join(plain(text[-LOG_CHARACTERS:]).rstrip().split("\n")[-LOG_LINES:])
