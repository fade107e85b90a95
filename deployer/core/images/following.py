"""What one look at a registry leads to: nothing (and why), a digest to pin, or an image to commit.

Pure: policies, what Git asks for and what the registry answered come in; `Found` goes out and is written down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from deployer.core.container import RegistryAuth
from deployer.core.images.edit import Change
from deployer.core.images.policy import Choice, Policy, choose
from deployer.core.images.reference import Reference


@dataclass(frozen=True, slots=True)
class Followed:
    """A container with a policy. `asked`: the image that Git asks for. `current`: the one that is in force: Git's, or
    what it was pinned to instead. `digest`: what the current image is known to be, "" when nobody knows yet."""

    uid: int
    container: str
    policy: Policy
    asked: Reference
    current: Reference
    digest: str = ""
    auth: RegistryAuth | None = None
    due_at: float = 0.0
    held: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """`wanted` is the image to pin or commit, "" for none; `why` is the sentence that says why none. `known` is the
    digest that the current image has, where this look has told it."""

    uid: int
    tag: str = ""
    wanted: str = ""
    why: str = ""
    known: str = ""
    failed: bool = False
    retry_after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Update:
    """An image to be committed: of ImagePolicy `uid`, in the file at `path`."""

    uid: int
    path: str
    default_namespace: str
    change: Change
    rule: str


@dataclass(frozen=True, slots=True)
class Committed:
    """What came of wanted images: `done` (uids) stand in Git at `commit`; `refused` (uid -> sentence) cannot."""

    commit: str
    done: tuple[int, ...]
    refused: Mapping[int, str]
    pushed: bool


def by_digest(one: Followed, digest: str) -> Found:
    """Of a tag that is followed: whether it names something else than what is in force."""
    tag = one.current.effective_tag
    known = one.current.digest or one.digest
    wanted = str(one.asked.at(tag, digest))
    if not known and not one.policy.commits:
        return Found(one.uid, tag, why=f"{tag} is {short(digest)}: followed from now on", known=digest)
    if digest == known:
        return Found(one.uid, tag, why=f"{tag} still is {short(digest)}", known=digest)
    return held(one, Found(one.uid, tag, wanted))


def by_tags(one: Followed, tags: Sequence[str]) -> Choice:
    return choose(one.policy, one.current, tags)


def newer(one: Followed, tag: str, digest: str) -> Found:
    """`digest`: of the tag, where it is asked for: by whoever pins, and by whoever has written one beside the tag."""
    return held(one, Found(one.uid, tag, str(one.asked.at(tag, digest))))


def held(one: Followed, found: Found) -> Found:
    """A newer image that must wait is told, and not taken."""
    return replace(found, wanted="", why=f"{one.held}; {found.tag} waits") if one.held else found


def wants_digest(one: Followed) -> bool:
    return not one.policy.commits or bool(one.asked.digest)


def short(digest: str) -> str:
    """sha256:0123456789ab"""
    return digest[:19]


def commit_message(updates: Sequence[Update]) -> str:
    """A subject, and a line for each image: what it was, what it is, and by which policy."""
    changes = [one.change for one in updates]
    if len(changes) == 1:
        one = changes[0]
        subject = f"Update {one.namespace}/{one.name}: {one.before} -> {_rest(one)}"
    else:
        subject = f"Update {len(changes)} images"
    lines = [
        f"- {one.change.kind} {one.change.namespace}/{one.change.name}, container {one.change.container}: "
        f"{one.change.before} -> {one.change.after} ({one.rule})"
        for one in updates
    ]
    return f"{subject}\n\n{chr(10).join(lines)}\n"


def _rest(change: Change) -> str:
    """What comes after the name that both have."""
    name = change.after.partition("@")[0].rpartition(":")[0]
    return change.after.removeprefix(f"{name}:") if name and change.before.startswith(name) else change.after
