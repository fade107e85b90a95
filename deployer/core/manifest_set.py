"""What is wrong between the objects of one commit: two that take the same, and one that counts on what is not so.

Only what the commit itself shows is judged: a Secret or a Service of another application is not here, and is looked
for when the router is configured. Of two that take the same, the later one is told, and the earlier one named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from deployer.core.manifest_checks.finding import Path, shown
from deployer.core.manifest_checks.marks import Claim, Mark, PortsOffered, PortUse, TlsDoubt, TlsUse

ObjectKey = tuple[str, str, str]
M = TypeVar("M", Claim, TlsUse, TlsDoubt, PortUse, PortsOffered)


@dataclass(frozen=True, slots=True)
class Placed:
    """One valid object of a commit: where it stands, and its marks with the line of the field that each is about."""

    key: ObjectKey
    title: str
    file: str
    line: int
    marks: tuple[tuple[Mark, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """`message` about the field at `path` of an object, which is at `line` of its file."""

    about: Placed
    line: int
    path: Path
    message: str
    remedy: str


def conflicts(placed: Iterable[Placed]) -> Iterator[Conflict]:
    """In the order of the objects within each kind of conflict."""
    found = list(placed)
    by_key: dict[ObjectKey, Placed] = {}
    for one in found:
        first = by_key.setdefault(one.key, one)
        if first is not one:
            message = f"stands in {first.file}:{first.line} as well"
            yield Conflict(one, one.line, ("metadata", "name"), message, "remove one of the two")
    marked = [one for one in found if one.marks]
    yield from _claims(marked)
    yield from _certificates(marked, by_key)
    yield from _ports(marked, by_key)


def _claims(placed: list[Placed]) -> Iterator[Conflict]:
    """An object that stands in two places has been told already: it takes nothing from itself."""
    holders: dict[tuple[str, ...], tuple[Placed, Claim, int]] = {}
    for one, claim, line in _each(placed, Claim):
        holder, first, place = holders.setdefault(claim.thing, (one, claim, line))
        if first is not claim and (holder is one or holder.key != one.key):
            message = f"{claim.text} is taken by {holder.title} ({holder.file}:{place})"
            yield Conflict(one, line, claim.path, message, "change one of them")


def _certificates(placed: list[Placed], by_key: Mapping[ObjectKey, Placed]) -> Iterator[Conflict]:
    """What is wrong with a Secret is told once, with the first Ingress that wants it."""
    users: dict[ObjectKey, Placed] = {}
    for one, use, _ in _each(placed, TlsUse):
        users.setdefault(("Secret", one.key[1], use.secret), one)
    for key, user in users.items():
        secret = by_key.get(key)
        for about, doubt, line in _each([secret] if secret else [], TlsDoubt):
            yield Conflict(about, line, doubt.path, f"{doubt.message}: {user.title} serves with it", doubt.remedy)


def _ports(placed: list[Placed], by_key: Mapping[ObjectKey, Placed]) -> Iterator[Conflict]:
    for one, use, line in _each(placed, PortUse):
        service = by_key.get(("Service", one.key[1], use.service))
        for holder, offered, _ in _each([service] if service else [], PortsOffered):
            if use.port not in offered.ports:
                listed = ", ".join(str(port) for port in offered.ports) or "none"
                message = f"{holder.title} has no port {shown(str(use.port))}"
                yield Conflict(one, line, use.path, message, f"its ports: {listed}")


def _each(placed: Iterable[Placed], kind: type[M]) -> Iterator[tuple[Placed, M, int]]:
    return ((one, mark, line) for one in placed for mark, line in one.marks if isinstance(mark, kind))
