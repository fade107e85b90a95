"""Letting go of deleted pods: none is stopped while a router may still send it traffic.

A deletion takes a routing version. Each router says which version is in it whole. Once all routers that can be
reached have the deletion's version, the pod is released, and its node's converge stops it. Who was never applied has
no traffic to send, and a node that is not seen is not waited for; after RELEASED_AFTER_SECONDS nobody is.
"""

from __future__ import annotations

from django.db.models import Min

from control.models import Deployment, Pod, Router
from deployer.ports import Wake

RELEASED_AFTER_SECONDS = 15.0


def applied_everywhere() -> int | None:
    """The version that every router which counts has; None when there is none."""
    counting = Router.objects.filter(applied_at__gt=0, node__ready=True)
    found: int | None = counting.aggregate(version=Min("version"))["version"]
    return found


def is_released(leaving_version: int, everywhere: int | None) -> bool:
    return leaving_version == 0 or everywhere is None or everywhere >= leaving_version


def wake_released(wake: Wake, above: int = 0) -> None:
    """Wake the nodes of deleted pods that are released now, of those whose version was above `above`; and the
    workloads whose canary waits for the routers.

    The row of a pod that stops already is woken needlessly at most once for each router: that costs a look.
    """
    everywhere = applied_everywhere()
    rows = Pod.objects.filter(leaving_version__gt=above, deleted_at__isnull=False, node__isnull=False)
    if everywhere is not None:
        rows = rows.filter(leaving_version__lte=everywhere)
    by_node: dict[str, list[str]] = {}
    for node, uid in rows.order_by("node_id", "uid").values_list("node_id", "uid"):
        by_node.setdefault(str(node), []).append(uid)
    for node, uids in sorted(by_node.items()):
        wake("converge", node, dirty=uids)
    aborting = Deployment.objects.filter(canary__phase="Aborting")
    for uid in aborting.order_by("uid").values_list("uid", flat=True):
        wake("reconcile", uid)
