"""Recreate: all old pods end, and only when the last one is gone do the new ones start.

Kubernetes' rule (pkg/controller/deployment/recreate.go). A pod that is being deleted still holds what it holds, so
it is waited for, and so is one on a node that cannot be seen.
"""

from __future__ import annotations

from deployer.core.workloads.census import Census
from deployer.core.workloads.values import Pod


def step(census: Census, desired: int) -> dict[str, int]:
    """Set name -> replicas, for the sets that change."""
    active = {standing.set.name: 0 for standing in census.old if standing.replicas > 0}
    if active or remaining(census):
        return active
    if census.current is None or census.current_replicas != desired:
        return {census.name: desired}
    return {}


def remaining(census: Census) -> list[Pod]:
    """The old pods that may still run."""
    return [pod for standing in census.old for pod in (*standing.pods, *standing.leaving)]
