"""After the clock was set: nothing in the records lies in the future, and nobody's deadline has passed unseen.

May be repeated, and done by several workers at once: it states what is true now, it shifts nothing.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Model

from control.models import NEVER, CommitStatus, Deployment, ImagePolicy, Incident, Node, Notice, Pod, Work
from control.models.residents import evicting
from control.store import objects
from control.store.work import LEASE_SECONDS
from deployer.core.taint import added_at, stamped
from deployer.core.workloads.progress import COMPLETE

_MOMENTS: tuple[tuple[type[Model], tuple[str, ...]], ...] = (
    (Node, ("ready_changed_at", "reason_changed_at", "heartbeat_at", "observed_at", "evicting_at")),
    (Incident, ("seen_at", "opened_at", "good_at", "closed_at")),
    (CommitStatus, ("due_at",)),
    (Pod, ("ready_at", "started_at", "scheduled_at", "deleted_at")),
)


def set_right(jump_seconds: float, now: float) -> None:
    """Leases end in time, whatever waits for a time is looked at now, and rollouts under way get their time again."""
    with transaction.atomic():
        Work.objects.filter(leased_until__gt=now + LEASE_SECONDS).update(leased_until=now + LEASE_SECONDS)
        Work.objects.filter(due_at__gt=now, due_at__lt=NEVER).update(due_at=now)
        Notice.objects.filter(due_at__gt=now, due_at__lt=NEVER).update(due_at=now)
        for model, names in _MOMENTS:
            for name in names:
                model._default_manager.filter(**{f"{name}__gt": now}).update(**{name: now})
        _set_taints_right(now)
        ahead = ImagePolicy.objects.filter(looked_at__gt=now)
        ahead.update(looked_at=now, due_at=now + F("every_seconds"))
        rows = [row for row in Deployment.objects.all() if _waits(row, jump_seconds, now)]
        for row in rows:
            row.progress["last_progress_at"] = now
        objects.update(rows, ["progress"])
        way = "on" if jump_seconds > 0 else "back"
        message = f"the clock of this machine was set {way} by {abs(jump_seconds):.0f} s; everything is looked at again"
        objects.record_once("Namespace", "", "pierhead", "Warning", "ClockJumped", message, at=now)


def _set_taints_right(now: float) -> None:
    """No taint was added in the future, or pods would be tolerated there for too long."""
    for row in Node.objects.filter(pk__in=evicting()):
        row.taints = [stamped(one, now) if added_at(one) > now else one for one in row.taints]
        row.save(update_fields=["taints"])
        objects.touch("Node", "", row.name)


def _waits(row: Deployment, jump_seconds: float, now: float) -> bool:
    """A rollout whose deadline counts from a moment that is not where it was any more."""
    at = row.progress.get("last_progress_at", 0)
    return at > now or (jump_seconds > 0 and at > 0 and row.progress.get("reason") != COMPLETE)
