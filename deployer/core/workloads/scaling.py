"""Scaling while a rollout is under way or paused: every set keeps its share, so that the risk stays the same.

Kubernetes' rule (`scale` in pkg/controller/deployment/sync.go): with one active set, that one is scaled; once the new
set carries everything, the old ones go; else all active sets grow or shrink in proportion, largest first, and what
rounding leaves over goes to the largest. Go rounds half away from zero where Python's `round` rounds half to even.

Unlike Kubernetes, a lower surge alone takes no pod away while a Deployment is paused: sets shrink when fewer replicas
are desired, since shares know nothing of which pods are available.

Never starts a revision and never moves a rollout on.
"""

from __future__ import annotations

from deployer.core.workloads.census import Census, Standing
from deployer.core.workloads.rolling import Bounds


def step(census: Census, bounds: Bounds, *, rolling: bool, resized: bool) -> dict[str, int]:
    """Set name -> replicas, for the sets that change. `resized`: another number is desired than before."""
    active = [standing for standing in census.standings() if standing.replicas > 0]
    if len(active) <= 1:
        return _alone(census, active, bounds.desired)
    if _saturated(census, bounds):
        return {one.set.name: 0 for one in active if one is not census.current}
    if not rolling or (census.replicas > bounds.ceiling and not resized):
        return {}
    return _proportional(census, active, bounds)


def _alone(census: Census, active: list[Standing], desired: int) -> dict[str, int]:
    """The only active set, or the newest if none is, is what a person means by "the Deployment"."""
    only = active[0] if active else census.current or (census.old[-1] if census.old else None)
    if only is None or only.replicas == desired or (desired > only.replicas and not census.may_grow(only)):
        return {}
    return {only.set.name: desired}


def _saturated(census: Census, bounds: Bounds) -> bool:
    current = census.current
    return (
        current is not None
        and current.replicas == bounds.desired == current.trusted
        and current.set.max_replicas == bounds.ceiling
    )


def _proportional(census: Census, active: list[Standing], bounds: Bounds) -> dict[str, int]:
    """4 -> 2 without surge, old 3, new 1, both made for 4: shares 1.5 and 0.5 round to 2 and 1, and the one that is
    too many comes off the largest: 1 and 1.
    """
    allowed = bounds.ceiling if bounds.desired else 0
    change = allowed - census.replicas
    if change > 0:
        active = [standing for standing in active if census.may_grow(standing)]
    if change == 0 or not active:
        return {}
    age = -1 if change > 0 else 1  # of two as large, the newer one grows first and the older one shrinks first
    active.sort(key=lambda one: (-one.replicas, age * one.set.created_at, one.set.name))
    sizes: dict[str, int] = {}
    added = 0
    for standing in active:
        share = _share(standing, bounds, census.replicas)
        part = max(0, min(share, change - added)) if change > 0 else min(0, max(share, change - added))
        sizes[standing.set.name] = standing.replicas + part
        added += part
    largest = active[0].set.name
    sizes[largest] = max(0, sizes[largest] + change - added)
    return {one.set.name: sizes[one.set.name] for one in active if sizes[one.set.name] != one.replicas}


def _share(standing: Standing, bounds: Bounds, total: int) -> int:
    """By how much a set would grow (or shrink, negative) if it kept its part of the whole.

    The whole is what the set was last scaled for; a set that does not know is measured by what there is now.
    """
    if bounds.desired == 0:
        return -standing.replicas
    whole = standing.set.max_replicas or total
    return _round(standing.replicas * bounds.ceiling, whole) - standing.replicas


def _round(numerator: int, denominator: int) -> int:
    """Half away from zero, both numbers >= 0: 3 / 2 -> 2, 1 / 2 -> 1, 5 / 2 -> 3."""
    return (2 * numerator + denominator) // (2 * denominator)
