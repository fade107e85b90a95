"""Kubernetes-shaped `status` of a Deployment, made from a plan."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from deployer.core.workloads import values


def timestamp(at: float) -> str:
    """Kubernetes' metav1.Time: seconds, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def deployment_status(before: dict[str, Any], plan: values.Plan, now: float) -> dict[str, Any]:
    progress = plan.progress
    status: dict[str, Any] = {"observedGeneration": progress.observed_generation}
    counts = {
        "replicas": progress.replicas,
        "updatedReplicas": progress.updated,
        "readyReplicas": progress.ready,
        "availableReplicas": progress.available,
    }
    status.update({name: count for name, count in counts.items() if count})
    status["conditions"] = conditions(before.get("conditions") or [], plan.conditions, now)
    return status


def conditions(before: list[dict[str, Any]], fresh: Iterable[values.Condition], now: float) -> list[dict[str, Any]]:
    """Transition times move only with the status, update times with any change, so that no change writes nothing."""
    old = {one["type"]: one for one in before}
    made = []
    for one in fresh:
        known = old.get(one.type)
        body = {"type": one.type, "status": one.status, "reason": one.reason, "message": one.message}
        if known and all(known.get(name) == value for name, value in body.items()):
            made.append(known)
            continue
        moved = known["lastTransitionTime"] if known and known["status"] == one.status else timestamp(now)
        made.append({**body, "lastUpdateTime": timestamp(now), "lastTransitionTime": moved})
    return made
