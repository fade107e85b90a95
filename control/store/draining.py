"""Bare pods of drained nodes: nothing replaces them, so they are made again from their own manifest once they are gone.

Pods of Deployments go by their own reconcile (`deployer/core/workloads/eviction.py`). Budgets are asked for both, each
in the transaction that writes, so that nothing is spent twice.
"""

from __future__ import annotations

from control.models import Node, Pod
from control.models.budgets import budgets_of
from control.store import objects
from control.store.leaving import Wake
from control.store.workloads import delete_pods
from deployer.core.workloads.budgets import Purse
from deployer.core.workloads.eviction import ASKED, REASON


def evict_bare(node: Node, wake: Wake, now: float, *, ask_budgets: bool = True) -> None:
    """End those that may go; the others say what they wait for. Level-triggered; in the caller's transaction."""
    rows = Pod.objects.filter(node=node, replica_set=None, deleted_at=None, orphaned=False)
    for namespace in sorted(set(rows.values_list("namespace", flat=True))):
        mine = list(rows.filter(namespace=namespace).order_by("name"))
        purse = Purse(budgets_of(namespace, [row.uid for row in mine]) if ask_budgets else ())
        for row in mine:
            why = purse.spend(row.uid, healthy=row.ready) if row.phase in ASKED else ""
            if not why:
                _end(row, wake, now)
            elif row.message != why:
                row.message = why
                objects.update([row], ["message"])


def _end(row: Pod, wake: Wake, now: float) -> None:
    is_over = row.phase in ("Succeeded", "Failed")
    row.replacement = row.replacement or {} if is_over else {
        "labels": row.labels, "annotations": row.annotations, "spec": row.spec, "commit": row.commit,
        "source_file": row.source_file, "manifest_hash": row.manifest_hash,
    }  # fmt: skip
    objects.update([row], ["replacement"])
    delete_pods([(row.uid, REASON)], wake, now)


def evict_all_bare(wake: Wake, now: float) -> None:
    """The safety net of all drains."""
    for node in Node.objects.filter(draining=True, ready=True):
        evict_bare(node, wake, now)
