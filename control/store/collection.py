"""What must not be collected on a node, and how long the past is kept."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from control.models import Change, Event, Node, Pod, ReplicaSet, Sync
from deployer.core.collection import Needed

CHANGES_KEPT_SECONDS = 24 * 3600.0


def needed(node: str) -> Needed:
    pods = Pod.objects.filter(node_id=node).values_list("uid", "namespace")
    images: set[str] = set()
    for kept in (
        *ReplicaSet.objects.values_list("images", flat=True),
        *Pod.objects.exclude(images={}).values_list("images", flat=True),
    ):
        images |= {*kept, *kept.values()}
    return Needed(frozenset(uid for uid, _ in pods), frozenset(namespace for _, namespace in pods), frozenset(images))


def pulled(node: str) -> Mapping[str, str]:
    found = Node.objects.filter(pk=node).values_list("images", flat=True).first()
    return found or {}


def collected(node: str, images: list[str]) -> None:
    with transaction.atomic():
        row = Node.objects.select_for_update().filter(pk=node).first()
        if row is not None:
            kept = {image: reference for image, reference in row.images.items() if image not in images}
            Node.objects.filter(pk=node).update(images=kept)


def forget_the_past(now: float, retention_days: float) -> None:
    """Old events, changes and attempts go; the newest attempt of each application stays whatever its age."""
    before = now - retention_days * 86400
    Event.objects.filter(last_at__lt=before).delete()
    Change.objects.filter(at__lt=now - CHANGES_KEPT_SECONDS).delete()
    newest = Sync.objects.order_by("application_id", "-id").values_list("application_id", "id")
    keep = set(dict(reversed(list(newest))).values())
    Sync.objects.filter(started_at__lt=before).exclude(pk__in=keep).delete()
