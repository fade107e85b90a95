"""Pods that their node cannot start, through no fault of their own: its disk is full, its engine answers with errors.

A healthy host must not wait for a sick one. Such a pod is given up 15 s after it got its node (`stranded.py`), if
another node would take it that is not known to fail as well; its replica set makes another one, and for five minutes
the node comes last for everybody (`scheduling.py`). With no such node it waits, and its steps are tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from control.models import Pod
from control.store import objects, scheduling
from deployer.core.pod_status import PodStatus
from deployer.core.workloads.loss import NOT_STARTED
from deployer.core.workloads.values import DeletePod

HOSTS_OWN = frozenset({"CreateContainerError", "DiskFull", "EngineFailed"})
"""Reasons of engines that speak of the host alone. An image that cannot be pulled, a command or a port that is not
there: that may be so everywhere, and pods must not wander about."""


def given_up(due: Mapping[str, float], now: float) -> dict[str, float]:
    """`due`: uid of a pod that has not started -> when its node had time enough. Those of them that are given up then,
    as far as can be told now: whether another node would take one is asked when its time has come."""
    refused = _refused(due)
    sick = {uid: at for uid, at in due.items() if uid in refused}
    over = [uid for uid, at in sick.items() if at <= now]
    stay = set(over) - scheduling.fit_elsewhere(over, now) if over else set()
    return {uid: at for uid, at in sick.items() if uid not in stay}


def tell(doomed: Iterable[DeletePod], now: float) -> None:
    """On each pod that is given up, and for the scheduler, which node it was and what it said."""
    uids = [one.uid for one in doomed if one.reason == NOT_STARTED]
    for row in Pod.objects.filter(pk__in=uids).select_related("node") if uids else ():
        assert row.node is not None
        words = f"node {row.node.name} could not start it, so it is made elsewhere: {row.message}"
        objects.record_event(
            "Pod", row.namespace, row.name, "Warning", scheduling.NOT_STARTED, words, node=row.node.name, at=now
        )  # fmt: skip


def _refused(uids: Iterable[str]) -> set[str]:
    """Those of which a step was refused for a reason of the host's own."""
    rows = Pod.objects.filter(pk__in=list(uids)).values_list("uid", "status", "pulls")
    return {uid for uid, status, pulls in rows if HOSTS_OWN & _reasons(status, pulls)}


def _reasons(status: Mapping[str, Any], pulls: Mapping[str, Any]) -> set[str]:
    """The engines' words for what failed and has not been done since."""
    found = PodStatus.from_dict(status)
    steps = found.failures.values() if found is not None else ()
    return {one.reason for one in steps} | {str(one["reason"]) for one in pulls.values()}
