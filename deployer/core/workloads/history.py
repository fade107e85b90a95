"""Revisions: numbering them, choosing one to go back to, forgetting the oldest.

Kubernetes' rules, with two differences. An undo without a number skips revisions that were rolled back from
automatically: whoever presses it after a failure does not want the failure again. And a replica set whose template is
not known (adopted after the database was lost) is nothing to go back to.

Going back is a forward move: the chosen set is used again and gets the newest number.
"""

from __future__ import annotations

from collections.abc import Iterable

from deployer.core.workloads.census import Census, Standing
from deployer.core.workloads.values import ReplicaSet


class UndoRefused(Exception):
    """There is no such revision to go back to. `sentence` says which revisions are kept."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def undo_target(replica_sets: Iterable[ReplicaSet], current_hash: str, to_revision: int | None) -> ReplicaSet:
    """The set of `to_revision`; None or 0 (as kubectl writes it) is the previous one. Raises `UndoRefused`."""
    kept = sorted(replica_sets, key=_newest)
    if to_revision:
        return _numbered(kept, current_hash, to_revision)
    target = next((one for one in kept if _usable(one, current_hash) and not one.failed), None)
    if target is None:
        raise UndoRefused(f"there is no earlier revision to go back to: {_kept(kept, current_hash)}")
    return target


def last_healthy(replica_sets: Iterable[ReplicaSet], current_hash: str) -> ReplicaSet | None:
    """The newest revision besides the current one that was complete once and was not rolled back from since."""
    usable = [one for one in replica_sets if _usable(one, current_hash) and one.healthy and not one.failed]
    return min(usable, key=_newest, default=None)


def rollback_target(replica_sets: Iterable[ReplicaSet], current: ReplicaSet) -> ReplicaSet | None:
    """Where an automatic rollback from `current` leads.

    A revision that was healthy before and fails now does not fail because of its template. It gives way only to the
    revision that ran right before it; else one cause from outside (no room, a registry that is down) would send a
    workload from revision to revision into its past.
    """
    others = [one for one in replica_sets if one.template_hash != current.template_hash]
    target = last_healthy(others, current.template_hash)
    if current.healthy and target is not min(others, key=_newest, default=None):
        return None
    return target


def next_revision(census: Census) -> int:
    """One more than any old set has."""
    return max((standing.set.revision for standing in census.old), default=0) + 1


def forgotten(census: Census, limit: int) -> tuple[tuple[str, str], ...]:
    """(uid, name) of the old sets beyond `limit`, lowest revision first. One that has pods of any kind stays."""
    if len(census.old) <= limit:
        return ()
    by_age = sorted((standing for standing in census.old), key=lambda one: (one.set.revision, one.set.name))
    surplus = by_age[: len(census.old) - limit]
    return tuple((one.set.uid, one.set.name) for one in surplus if not _has_pods(one))


def _has_pods(standing: Standing) -> bool:
    counted = (standing.pods, standing.ended, standing.leaving, standing.evicted, standing.lost)
    return bool(standing.set.replicas) or any(counted)


def _numbered(kept: list[ReplicaSet], current_hash: str, revision: int) -> ReplicaSet:
    target = next((one for one in kept if one.revision == revision), None)
    if target is None:
        raise UndoRefused(f"revision {revision} is not kept: {_kept(kept, current_hash)}")
    if target.template_hash == current_hash:
        raise UndoRefused(f"revision {revision} is the one that is asked for already: {_kept(kept, current_hash)}")
    if target.adopted:
        raise UndoRefused(
            f"revision {revision} was adopted from running containers and its template is not known: "
            f"push the commit that holds it; {_kept(kept, current_hash)}"
        )
    return target


def _usable(one: ReplicaSet, current_hash: str) -> bool:
    return one.template_hash != current_hash and not one.adopted


def _newest(one: ReplicaSet) -> tuple[int, float, str]:
    return (-one.revision, -one.created_at, one.name)


def _kept(newest_first: list[ReplicaSet], current_hash: str) -> str:
    """ "kept are 5 (current), 4 (failed), 2"."""
    if not newest_first:
        return "none is kept"
    return f"kept are {', '.join(_described(one, current_hash) for one in newest_first)}"


def _described(one: ReplicaSet, current_hash: str) -> str:
    if one.template_hash == current_hash:
        return f"{one.revision} (current)"
    marks = [word for word, holds in (("failed", one.failed), ("adopted", one.adopted)) if holds]
    return f"{one.revision} ({', '.join(marks)})" if marks else str(one.revision)
