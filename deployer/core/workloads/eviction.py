"""Emptying a node that is drained: a pod there goes when others can do without it.

A pod on such a node stops counting, so its set makes a new one, which is placed elsewhere; until that is available the
old one serves. So a drain starts before it stops, like a rollout, and never takes availability below what the
Deployment allows. Kubernetes' own drain deletes first, unless a PodDisruptionBudget forbids it.

A pod that does not serve goes at once, and so does one whose template is not known: nothing can replace it. What
PodDisruptionBudgets say holds for all of them (`budgets.py`); since replacements come first, even one that allows
nobody to be missing lets a drain come to its end.
"""

from __future__ import annotations

from collections.abc import Iterable

from deployer.core.workloads import sentences
from deployer.core.workloads.budgets import Purse
from deployer.core.workloads.census import Census, is_available
from deployer.core.workloads.conditions import unavailable
from deployer.core.workloads.values import DeletePod, Held, Pod, Snapshot

REASON = "its node is drained"
NOT_REPLACED = "its replacement is not available yet"
ASKED = ("Running", "Unknown")
"""Budgets are not asked about a pod that does not run, as in Kubernetes."""
LOOK_AGAIN_SECONDS = 1.0
"""While a budget holds pods back: it may count pods of other workloads, whose changes wake nobody here."""


def evictions(
    snapshot: Snapshot, sides: Iterable[tuple[Census, int]], leaving: Iterable[DeletePod] = ()
) -> tuple[tuple[DeletePod, ...], tuple[Held, ...]]:
    """Who may go now, and who may not. 3 desired, 0 unavailable, one evicted: 2 + 1 - 3 = 0 may; with its replacement
    3 + 1 - 3 = 1. `leaving` are the pods that the same pass ends for other reasons.

    `sides` are (who is there, how many of them must stay available): a canary does not pay for stable pods.
    """
    ended = {one.uid for one in leaving}
    purse = Purse(snapshot.budgets, frozenset(pod.uid for pod in snapshot.pods if pod.ready and pod.uid in ended))
    deleted: list[DeletePod] = []
    held: list[Held] = []
    for census, minimum in sides:
        _decide(snapshot, census, minimum, purse, deleted, held)
    return tuple(deleted), tuple(held)


def _decide(
    snapshot: Snapshot, census: Census, minimum: int, purse: Purse, deleted: list[DeletePod], held: list[Held]
) -> None:
    pods = _sorted_out(snapshot, census)
    spare = census.available + sum(serves for serves, _ in pods) - minimum
    not_replaced = _not_replaced(snapshot, census)
    for serves, pod in pods:
        if serves and spare <= 0:
            held.append(Held(pod.uid, pod.name, not_replaced))
        elif pod.phase in ASKED and (why := purse.spend(pod.uid, healthy=pod.ready)):
            held.append(Held(pod.uid, pod.name, why, by_budget=True))
        else:
            deleted.append(DeletePod(pod.uid, pod.name, REASON))
            spare -= serves


def _not_replaced(snapshot: Snapshot, census: Census) -> str:
    """With what holds the replacements up, but not with what they go through on their way."""
    late = [pod for standing in census.standings() for pod in unavailable(snapshot, standing)]
    words = sentences.pods(pod for pod in late if pod.message and sentences.kind_of(pod).told)
    return f"{NOT_REPLACED}: {words}" if words else NOT_REPLACED


def _sorted_out(snapshot: Snapshot, census: Census) -> list[tuple[bool, Pod]]:
    """Each by name; those whose loss has to be made up for first (True) come behind the others."""
    min_ready, now = snapshot.deployment.min_ready_seconds, snapshot.now
    found = [
        (census.may_grow(standing) and is_available(pod, min_ready, now), pod)
        for standing in census.standings()
        for pod in standing.evicted
    ]
    return sorted(found, key=lambda one: (one[0], one[1].name))
