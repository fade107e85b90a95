"""Whom the taints of a node evict, now or in a while: for its page, for `describe node` and for `node taint`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.models import Node
from control.selectors.words import sentence
from deployer.core.taint import standing

if TYPE_CHECKING:
    from deployer.core.survival.taint_eviction import Plan

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Evicted:
    """A pod that is to go, and why and when in words."""

    namespace: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Evictions:
    """`pods`: those that go first; `more` are not listed. `words`: how many go now, and how many later."""

    words: str
    pods: tuple[Evicted, ...]
    more: int


def shown(row: Node, now: float) -> Evictions | None:
    """None where nobody is to go."""
    found = evictions(row, now)
    if found is None:
        return None
    told = [(one.pod, one.why) for one in found.due] + [(one.pod, one.announced) for one in found.later]
    pods = tuple(Evicted(pod.namespace, pod.name, sentence(why)) for pod, why in told[:SHOWN])
    return Evictions(words(row, found), pods, max(len(told) - SHOWN, 0)) if told else None


def evictions(row: Node, now: float) -> Plan | None:
    """None, and no query, where no taint evicts."""
    taints = standing(row.taints)
    if not taints:
        return None
    from control.models.residents import residents_of  # they read manifests' parts, which most pages need not load
    from deployer.core.survival.taint_eviction import plan

    return plan(row.name, taints, residents_of(row.uid), now)


def evicted(name: str, now: float) -> str:
    """The same of a node by its name; "" where there is none."""
    row = Node.objects.filter(name=name).only("uid", "name", "taints", "ready").first()
    found = evictions(row, now) if row is not None else None
    return words(row, found) if row is not None and found is not None else ""


def words(row: Node, found: Plan) -> str:
    """ "3 pods are evicted, 1 more when it is not tolerated any longer"; "" where nobody is."""
    parts = [_counted(len(found.due), "evicted")] if found.due else []
    if found.later:
        more = f"{len(found.later)} more" if found.due else _counted(len(found.later), "evicted")
        parts.append(f"{more} when the time that they tolerate it for has passed")
    if parts and not row.ready:
        remedy = f"if the host is gone, `manage.py node declare-dead {row.name}` has its pods replaced elsewhere"
        parts.append(f"but not before it answers, since nothing on it can be stopped now; {remedy}")
    return ", ".join(parts)


def _counted(count: int, what: str) -> str:
    return f"1 pod is {what}" if count == 1 else f"{count} pods are {what}"
