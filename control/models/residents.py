"""The pods of nodes that evict (taints with the effect NoExecute), as `core/survival/taint_eviction.py` sees them.

Here, because pages and loops read them alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast

from control.models.nodes import Node
from control.models.pods import Pod
from control.models.workloads import ReplicaSet
from deployer.core.objects.placement import Toleration
from deployer.core.survival.taint_eviction import Resident
from deployer.core.taint import NO_EXECUTE


def evicting(nodes: Collection[str] | None = None) -> list[str]:
    """The uids of all nodes, or of those among these, that have such a taint. One query."""
    rows = Node.objects.all() if nodes is None else Node.objects.filter(pk__in=nodes)
    found = rows.annotate(words=Cast("taints", TextField())).filter(words__contains=f'"{NO_EXECUTE}"')
    return list(found.order_by("uid").values_list("uid", flat=True))


def residents(rows: Iterable[Pod]) -> list[Resident]:
    """Of pods that nobody has asked to go. One query more for those of replica sets."""
    found = list(rows)
    owners = {row.replica_set_id for row in found if row.replica_set_id}
    specs = dict(ReplicaSet.objects.filter(pk__in=owners).values_list("uid", "spec")) if owners else {}
    known = {uid: _tolerations(spec["template"]["spec"]) if spec else None for uid, spec in specs.items()}
    return [
        Resident(
            row.uid, row.namespace, row.name, row.scheduled_at,
            known.get(row.replica_set_id) if row.replica_set_id else _tolerations(row.spec) if row.spec else None,
        )
        for row in found
    ]  # fmt: skip


def residents_of(node: str) -> list[Resident]:
    fields = ("uid", "namespace", "name", "scheduled_at", "replica_set", "spec")
    return residents(Pod.objects.filter(node=node, deleted_at=None, orphaned=False).only(*fields))


def _tolerations(spec: Mapping[str, Any]) -> tuple[Toleration, ...]:
    return tuple(Toleration.model_validate(one) for one in spec.get("tolerations") or ())
