"""Bare pods of drained nodes: nothing replaces them, so they are made again from their own manifest once they are gone.

Pods of Deployments go by their own reconcile (`deployer/core/workloads/eviction.py`). Budgets are asked for both, each
in the transaction that writes, so that nothing is spent twice.
"""

from __future__ import annotations

from control.models import Pod
from control.models.budgets import budgets_of
from control.store import objects
from control.store.workloads import delete_pods, tell_held
from deployer.core.workloads.budgets import Purse
from deployer.core.workloads.eviction import ASKED, REASON
from deployer.ports import Wake

LOOP = "drain"
OVER = ("Succeeded", "Failed")


def evict_bare(node: str, wake: Wake, now: float, *, ask_budgets: bool = True) -> bool:
    """End those that may go; the others say what they wait for. In the caller's transaction. True: some wait.

    Those that are not ready first, since they cost the others nothing.
    """
    rows = Pod.objects.filter(
        node=node, node__draining=True, node__ready=True, replica_set=None, deleted_at=None, orphaned=False
    )
    by_namespace: dict[str, list[Pod]] = {}
    for row in rows.order_by("ready", "namespace", "name"):
        by_namespace.setdefault(row.namespace, []).append(row)
    held: dict[str, str] = {}
    for namespace, mine in sorted(by_namespace.items()):
        purse = Purse(budgets_of(namespace, [row.uid for row in mine]) if ask_budgets else ())
        for row in mine:
            if row.phase in ASKED and (why := purse.spend(row.uid, healthy=row.ready)):
                held[row.uid] = why
            else:
                end_bare(row, REASON, wake, now)
    tell_held(held, now)
    return bool(held)


def end_bare(row: Pod, why: str, wake: Wake, now: float) -> None:
    """It is made again from what it was made of, images included; one that has done its work is not."""
    if row.phase not in OVER:
        row.replacement = {
            "labels": row.labels, "annotations": row.annotations, "spec": row.spec, "commit": row.commit,
            "source_file": row.source_file, "manifest_hash": row.manifest_hash, "images": row.images,
        }  # fmt: skip
        objects.update([row], ["replacement"])
    delete_pods([(row.uid, why)], wake, now)
