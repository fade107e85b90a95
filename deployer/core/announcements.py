"""What people are told about an incident: one title, one body, plain text.

What it is, where, which commit, why (with the last lines that it logged), and a link to the page that shows it. What
was logged leaves the house here, so what looks like a secret, and every value that is known to be one, is masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from deployer.core.incidents import Kind

Tone = Literal["failure", "success", "info"]
LOG_LINES = 10
MAX_LINE_LENGTH = 300
MAX_TITLE_LENGTH = 150
MAX_WHY_LENGTH = 1000
SHORTEST_SECRET = 4

_URL_SECRET = re.compile(r"(://)[^/\s@]+@")
_SCHEME = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9+/=_.~-]{8,}", re.IGNORECASE)
_NAMED = re.compile(
    r"((?:password|passwd|pwd|token|secret|api[-_]?key|access[-_]?key|private[-_]?key|authorization|credentials?)"
    r"[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&]+)",
    re.IGNORECASE,
)
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


@dataclass(frozen=True, slots=True)
class Announcement:
    title: str
    body: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Told:
    """An incident as it is told. `flaps`: how often it had come back. `ended_at` 0: it is not over."""

    kind: Kind
    namespace: str
    name: str
    title: str
    why: str
    commit: str = ""
    subject: str = ""
    log: str = ""
    flaps: int = 0
    ended_at: float = 0.0
    minutes: int = 0


def opened(told: Told, public_url: str, secrets: Iterable[str] = ()) -> Announcement:
    """The first message. When it was over before anybody could be told, this one says so too."""
    known = tuple(secrets)
    again = f" (again: {told.flaps + 1} times within the hour)" if told.flaps else ""
    over = f"It is back to normal; it lasted {_minutes(told.minutes)}." if told.ended_at else ""
    lines = [
        masked(_bounded(told.why), known),
        *_commit(told, known),
        over,
        *_log(told, known),
        *_link(told, public_url),
    ]
    return Announcement(
        _title(f"{told.title}{again}", known), "\n".join(filter(None, lines)), "success" if over else "failure"
    )


def normal(told: Told, public_url: str, secrets: Iterable[str] = ()) -> Announcement:
    """The last message: it is over."""
    known = tuple(secrets)
    was = f"It lasted {_minutes(told.minutes)}. It was: {told.title}"
    lines = [masked(was, known), *_link(told, public_url)]
    return Announcement(_title(f"{_thing(told)} is back to normal", known), "\n".join(lines), "success")


def trial(channel: str, public_url: str) -> Announcement:
    """What the test button sends."""
    body = f"Notification channel {channel} works: incidents are told here."
    link = f"\n{public_url.rstrip('/')}/notifications" if public_url else ""
    return Announcement("Pierhead: a test", body + link, "info")


def page_of(kind: Kind, namespace: str, name: str) -> str:
    """The path of the page that shows the thing."""
    match kind:
        case "RolloutFailed":
            return f"/workloads/{quote(namespace, safe='')}/{quote(name, safe='')}"
        case "SyncFailed":
            return f"/applications/{quote(name, safe='')}"
        case "NodeDead":
            return f"/nodes/{quote(name, safe='')}"
        case _:
            return f"/repositories/{quote(name, safe='')}"


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without values that are known to be secret, nor what is called a password, a token or a key."""
    for value in sorted({one for one in secrets if len(one) >= SHORTEST_SECRET}, key=lambda one: (-len(one), one)):
        text = text.replace(value, "***")
    text = _URL_SECRET.sub(r"\1***@", text)
    text = _SCHEME.sub(r"\1 ***", text)
    return _NAMED.sub(r"\1***", text)


def parts_of(values: Iterable[str]) -> set[str]:
    """What of secret values may turn up in a line of a log: each whole, and each line of those with several."""
    found: set[str] = set()
    for value in values:
        found |= {value.strip(), *(line.strip() for line in value.splitlines() if len(line.strip()) >= 8)}
    return {one for one in found if len(one) >= SHORTEST_SECRET}


def plain(text: str) -> str:
    """Without colours and control characters but line ends."""
    text = _COLOURS.sub("", text)
    return "".join(character for character in text if character.isprintable() or character == "\n")


def _thing(told: Told) -> str:
    match told.kind:
        case "RolloutFailed":
            return f"Deployment {told.namespace}/{told.name}"
        case "SyncFailed":
            return f"Application {told.name}"
        case "NodeDead":
            return f"Node {told.name}"
        case _:
            return f"Repository {told.name}"


def _title(text: str, secrets: tuple[str, ...]) -> str:
    text = " ".join(plain(masked(text, secrets)).split())
    return text if len(text) <= MAX_TITLE_LENGTH else text[: MAX_TITLE_LENGTH - 3] + "..."


def _commit(told: Told, secrets: tuple[str, ...]) -> list[str]:
    if not told.commit:
        return []
    subject = " ".join(plain(masked(told.subject, secrets)).split())[:MAX_LINE_LENGTH]
    return [f"Commit {told.commit[:7]} {subject}".rstrip()]


def _log(told: Told, secrets: tuple[str, ...]) -> list[str]:
    # Masked before it is cut into lines: a value may have several.
    lines = [line.rstrip() for line in masked(plain(told.log), secrets).splitlines() if line.strip()]
    if not lines:
        return []
    return ["", "Last log lines:", *(f"  {line[:MAX_LINE_LENGTH]}" for line in lines[-LOG_LINES:]), ""]


def _link(told: Told, public_url: str) -> list[str]:
    return [public_url.rstrip("/") + page_of(told.kind, told.namespace, told.name)] if public_url else []


def _bounded(text: str) -> str:
    text = plain(text)
    return text if len(text) <= MAX_WHY_LENGTH else text[: MAX_WHY_LENGTH - 3] + "..."


def _minutes(count: int) -> str:
    if count < 1:
        return "less than a minute"
    if count < 120:
        return f"{count} minute{'s' if count > 1 else ''}"
    return f"{count // 60} hours"
