"""Emptying a node that is drained: a pod there goes when others can do without it.

A pod on such a node stops counting, so its set makes a new one, which is placed elsewhere; until that is available the
old one serves. So a drain starts before it stops, like a rollout, and never takes availability below what the
Deployment allows. Kubernetes' own drain deletes first, unless a PodDisruptionBudget forbids it.

A pod that does not serve goes at once, and so does one whose template is not known: nothing can replace it. What
PodDisruptionBudgets say holds for all of them (`budgets.py`); since replacements come first, even one that allows
nobody to be missing lets a drain come to its end.
"""

from __future__ import annotations

from deployer.core.workloads.budgets import Purse
from deployer.core.workloads.census import Census, is_available
from deployer.core.workloads.rolling import Bounds
from deployer.core.workloads.values import DeletePod, Held, Pod, Snapshot

REASON = "its node is drained"
NOT_REPLACED = "its replacement is not available yet"
ASKED = ("Running", "Unknown")
"""Budgets are not asked about a pod that does not run, as in Kubernetes."""
LOOK_AGAIN_SECONDS = 1.0
"""While a budget holds pods back: it may count pods of other workloads, whose changes wake nobody here."""


def evictions(
    snapshot: Snapshot, census: Census, bounds: Bounds
) -> tuple[tuple[DeletePod, ...], tuple[Held, ...]]:
    """Who may go now, and who may not. 3 desired, 0 unavailable, one evicted: 2 + 1 - 3 = 0 may; with its replacement
    3 + 1 - 3 = 1."""
    serving, gone = _sorted_out(snapshot, census)
    spare = max(0, census.available + len(serving) - bounds.minimum)
    purse = Purse(snapshot.budgets)
    deleted: list[DeletePod] = []
    held: list[Held] = []
    for pod in (*gone, *serving[:spare]):
        if pod.phase in ASKED and (why := purse.spend(pod.uid, healthy=pod.ready)):
            held.append(Held(pod.uid, pod.name, why))
        else:
            deleted.append(DeletePod(pod.uid, pod.name, REASON))
    held += [Held(pod.uid, pod.name, NOT_REPLACED) for pod in serving[spare:]]
    return tuple(deleted), tuple(held)


def _sorted_out(snapshot: Snapshot, census: Census) -> tuple[list[Pod], list[Pod]]:
    """Those whose loss has to be made up for first, and the others; each by name."""
    min_ready, now = snapshot.deployment.min_ready_seconds, snapshot.now
    serving: list[Pod] = []
    gone: list[Pod] = []
    for standing in census.standings():
        for pod in standing.evicted:
            bound = census.may_grow(standing) and is_available(pod, min_ready, now)
            (serving if bound else gone).append(pod)
    return sorted(serving, key=lambda pod: pod.name), sorted(gone, key=lambda pod: pod.name)
