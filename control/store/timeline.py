"""The end of a deploy's timeline: when the pods of a commit were Ready, and when they had proved themselves."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Count, Max

from control.models import Deployment, Pod, Sync
from control.store import objects
from deployer.core.workloads.progress import COMPLETE


def note(row: Deployment, now: float) -> None:
    """After a pass that wrote the status of `row`, in its transaction. Each moment is noted once for each sync."""
    if row.application_id is None or row.pin or row.progress.get("ready", 0) < row.replicas:
        return
    done = Sync.objects.filter(application=row.application_id, phase=Sync.SUCCEEDED)
    last = done.select_related("application").order_by("-id").first()
    if last is None or last.healthy_at:
        return
    rows = list(Deployment.objects.filter(application=row.application_id, deleted_at=None))
    ready_at = last.ready_at or _ready_at(rows, last.finished_at)
    healthy_at = now if all(is_done(one) for one in rows) else 0
    if (ready_at, healthy_at) != (last.ready_at, 0):
        Sync.objects.filter(pk=last.pk, healthy_at=0).update(ready_at=ready_at or healthy_at, healthy_at=healthy_at)
        objects.touch("Application", "", last.application.name)


def is_done(row: Deployment) -> bool:
    """Every pod is of the template that Git asks for, available, and has proved itself. A pinned one is not done."""
    if row.pin:
        return False
    progress, desired = row.progress, row.replicas
    return bool(progress.get("reason") == COMPLETE and progress["updated"] == progress["available"] == desired)


def _ready_at(rows: Sequence[Deployment], applied_at: float) -> float:
    """When the last of the pods that Git asks for was Ready; 0 while one is missing. Old ones may be there still.

    Pods that the commit left as they were had been ready before it was applied: `applied_at`.
    """
    ready = Pod.objects.filter(replica_set__deployment__in=rows, ready=True, deleted_at=None).order_by()
    groups = ready.values_list("replica_set__deployment_id", "template_hash").annotate(Count("uid"), Max("ready_at"))
    found = {(owner, template): (count, at) for owner, template, count, at in groups}
    mine = [(row.replicas, *found.get((row.uid, row.live_hash), (0, 0.0))) for row in rows]
    if any(row.pin or count < wanted for row, (wanted, count, _) in zip(rows, mine, strict=True)):
        return 0
    return float(max([applied_at, *(at for _, _, at in mine)]))
