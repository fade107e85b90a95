"""Whom a new commit concerns, of the applications that follow a repository.

    the repository's new head -> what each application's path holds there -> wake, note or leave

A thousand applications may share a repository, and a commit seldom touches more than one of them. Only those whose
content differs from what they have are woken; of the others it is noted that they are at the new commit, all at once.
Pure, and level-triggered: it looks at where each application stands, not at what changed between two commits, so
whatever came in between (a commit that nobody saw, a process that was killed) makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from deployer.core.source import Origin

Call = Literal["wake", "note", "leave"]


class Follower(NamedTuple):
    """Where an application stands. `tree` is the id of the content that it has; of a pinned one, `skipped_tree` that
    of the content which it holds out against. `asked`: somebody waits for a sync of it."""

    uid: str
    origin: Origin
    commit: str
    tree: str
    asked: bool = False
    is_pinned: bool = False
    skipped_tree: str = ""


@dataclass(frozen=True, slots=True)
class Calls:
    """Uids: who looks at the commit for itself, and who is at its content already."""

    wake: frozenset[str] = frozenset()
    note: frozenset[str] = frozenset()


def calls(followers: Iterable[Follower], head: str, contents: Mapping[Origin, str]) -> Calls:
    """`contents`: id of what the head holds for each, "" for nothing. One that is missing was not looked at."""
    found: dict[Call, set[str]] = {"wake": set(), "note": set(), "leave": set()}
    for one in followers:
        found[call(one, head, contents.get(one.origin, ""))].add(one.uid)
    return Calls(frozenset(found["wake"]), frozenset(found["note"]))


def call(one: Follower, head: str, content: str) -> Call:
    """In doubt an application is woken: its own pass decides, and costs little."""
    if one.asked or not content:
        return "wake"
    if one.is_pinned:
        return "leave" if content == one.skipped_tree else "wake"
    if content != one.tree:
        return "wake"
    return "leave" if one.commit == head else "note"
