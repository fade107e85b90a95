"""What a drain waits for, pod by pod, in words: for its command, for `describe node` and for the first page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from control.models import Node, Pod
from deployer.core.workloads.budgets import BUDGET
from deployer.core.workloads.eviction import NOT_REPLACED

SHOWN = 5
LEAVING = "it is being stopped"


def pods_of(row: Node) -> list[Pod]:
    """Those that are there still."""
    return list(Pod.objects.filter(node=row).order_by("namespace", "name"))


def why_there(pod: Pod) -> str:
    """Why a pod is still on a node that is drained; "" while nobody has looked at it yet."""
    if pod.deleted_at is not None:
        return LEAVING
    if pod.orphaned:
        owner = pod.claimed_owner or "no owner"
        return f"it was found running, and {owner} is not on record: it stays until Git names it, or is stopped by hand"
    return pod.message if pod.message.startswith((BUDGET, NOT_REPLACED)) else ""


def left_words(pods: Sequence[Pod]) -> str:
    """ "3 pods are left: 1 is being stopped, 2 wait: shop/web-1 (budget shop/web allows no disruption now: ...)"."""
    waiting = [pod for pod in pods if pod.deleted_at is None]
    leaving = len(pods) - len(waiting)
    parts = [f"{leaving} {'is' if leaving == 1 else 'are'} being stopped"] if leaving else []
    if waiting:
        parts.append(f"{len(waiting)} {'waits' if len(waiting) == 1 else 'wait'}: {_named(waiting)}")
    return f"{counted(len(pods))} left: {', '.join(parts)}" if pods else "no pod is left"


def counted(count: int) -> str:
    return "1 pod is" if count == 1 else f"{count} pods are"


def drains(rows: Iterable[Node]) -> dict[str, str]:
    """Node uid -> `left_words`, of those that are drained; no query when none is."""
    found: dict[str, list[Pod]] = {row.uid: [] for row in rows if row.draining}
    if not found:
        return {}
    for pod in Pod.objects.filter(node__in=found).order_by("namespace", "name"):
        found[str(pod.node_id)].append(pod)
    return {uid: left_words(pods) for uid, pods in found.items()}


def _named(pods: Sequence[Pod]) -> str:
    names = [f"{pod.namespace}/{pod.name}" + (f" ({why})" if (why := why_there(pod)) else "") for pod in pods]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
