"""What must not be collected on a node, and how long the past is kept."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from control.models import Change, CommitStatus, Event, Incident, Node, Notice, Pod, ReplicaSet, Sync
from control.store import analyses
from control.store.addresses import network_of
from control.store.rendered import forget_unused
from deployer.core.collection import Needed
from deployer.core.pod_containers import network_name

CHANGES_KEPT_SECONDS = 24 * 3600.0


def needed(node: str) -> Needed:
    pods = list(Pod.objects.filter(node_id=node).only("uid", "namespace", "name", "owner", "network", "placement"))
    networks = {network_of(row) for row in pods} | {network_name(row.namespace) for row in pods}
    images: set[str] = {settings.PIERHEAD.router_image, settings.PIERHEAD.dns_image}
    for kept in (
        *ReplicaSet.objects.values_list("images", flat=True),
        *Pod.objects.exclude(images={}).values_list("images", flat=True),
    ):
        images |= {*kept, *kept.values()}
    return Needed(frozenset(row.uid for row in pods), frozenset(networks), frozenset(images))


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
    Incident.objects.filter(closed_at__gt=0, closed_at__lt=before).delete()
    Notice.objects.filter(incident=None, created_at__lt=before).delete()
    newest_status = CommitStatus.objects.order_by().values("application").annotate(last=Max("id")).values_list("last")
    CommitStatus.objects.filter(created_at__lt=before).exclude(pk__in=[last for (last,) in newest_status]).delete()
    Change.objects.filter(at__lt=now - CHANGES_KEPT_SECONDS).delete()
    newest = Sync.objects.order_by("application_id", "-id").values_list("application_id", "id")
    keep = set(dict(reversed(list(newest))).values())
    Sync.objects.filter(started_at__lt=before).exclude(pk__in=keep).delete()
    analyses.forget_the_past()
    forget_unused()
