"""What the heartbeat concludes about nodes, as rows, and what follows for their pods."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from control.models import Node, Pod
from control.store import objects, waking
from control.store.leaving import Wake, wake_released
from deployer.core.heartbeat import Heartbeat


def changed(node: str, heartbeat: Heartbeat, wake: Wake, now: float) -> None:
    """Guarded by the old state: two watchers that conclude the same write it once."""
    with transaction.atomic():
        row = Node.objects.filter(pk=node).first()
        moved = Node.objects.filter(pk=node).exclude(ready=heartbeat.ready, reason=heartbeat.reason).update(
            ready=heartbeat.ready, reason=heartbeat.reason, message=heartbeat.message, ready_changed_at=now
        )  # fmt: skip
        if row is None or not moved:
            return
        if row.ready != heartbeat.ready:
            _tell(row, heartbeat, now)
            _follow(row, heartbeat.ready, wake)


def _tell(row: Node, heartbeat: Heartbeat, now: float) -> None:
    if heartbeat.ready:
        objects.record_event(
            "Node", "", row.name, "Normal", "NodeReady", "the engine answers again", node=row.name, at=now
        )
    else:
        objects.record_event("Node", "", row.name, "Warning", "NodeUnknown", heartbeat.message, node=row.name, at=now)


def _follow(row: Node, ready: bool, wake: Wake) -> None:
    """Pods of a node that is not seen are not ready, as far as anybody can tell; one that is back is read first."""
    pods = Pod.objects.filter(node=row, orphaned=False)
    pods.update(settled="", **({} if ready else {"ready": False}))
    for deployment in set(pods.exclude(replica_set=None).values_list("replica_set__deployment_id", flat=True)):
        wake("reconcile", str(deployment))
    waking.wake_all(wake)
    if ready:
        wake("converge", row.uid)
        wake("schedule", "cluster")
    else:
        wake_released(wake)  # nobody waits for its router any more


def seen(nodes: Iterable[str], now: float) -> None:
    Node.objects.filter(pk__in=list(nodes)).update(heartbeat_at=now)
