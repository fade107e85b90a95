"""What webhooks are made of, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came. Header names are in lower case; `at` is when, in seconds since the epoch."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: float

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "").strip()


class HookRefused(Exception):
    """A request that is not taken: the HTTP status, and a sentence for whoever reads the sender's log."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Push:
    """A ref that moved, such as `refs/heads/main`, and where to: "" when it is gone, or when that was not told.

    `ref` "" stands for "something": the sender named none.
    """

    ref: str
    commit: str = ""


@dataclass(frozen=True, slots=True)
class PushedImage:
    """A tag that a registry says was pushed. `whole`: registry and repository, in one spelling."""

    whole: str
    tag: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a request says. `note`: why nothing can come of it; "" when `pushes` or `images` are to be looked at."""

    event: str
    delivery: str
    pushes: tuple[Push, ...] = ()
    note: str = ""
    images: tuple[PushedImage, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a request. `accepted`: the repository is looked at now, or the policies that follow `images`.

    `secret`: which of the secrets proved it (0 is the current one, -1 none did). `proven` requests are kept with their
    payload, others without: a stranger's bytes are nothing to keep.
    """

    status: int
    accepted: bool
    sentence: str
    event: str = ""
    delivery: str = ""
    pushes: tuple[Push, ...] = ()
    secret: int = -1
    images: tuple[PushedImage, ...] = ()

    @property
    def proven(self) -> bool:
        return self.secret >= 0
