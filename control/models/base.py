"""What all stored Kubernetes objects share, and the change log that every write of one appends to."""

from __future__ import annotations

import time
import uuid

from django.db import models


def new_uid() -> str:
    return str(uuid.uuid4())


def now() -> float:
    """Seconds since the epoch, UTC. All `_at` columns are such floats, as in the core: no conversion on hot paths."""
    return time.time()


class KubernetesObject(models.Model):
    """An object as Kubernetes keeps it: identity, metadata, spec, status, and where in Git it came from.

    `deleted_at` is Kubernetes' deletionTimestamp: the row goes when nothing of the object is left on a host.
    `manifest_hash` is the hash of the manifest that `commit` holds, "" for objects that Pierhead made.
    """

    kind = ""
    api_version = "v1"
    # Only what the class itself needs: subclasses add columns for what is queried.
    uid = models.CharField(max_length=36, primary_key=True, default=new_uid, editable=False)
    namespace = models.CharField(max_length=63, blank=True)
    name = models.CharField(max_length=253)
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    generation = models.BigIntegerField(default=1)
    resource_version = models.BigIntegerField(default=0, db_index=True)
    application = models.ForeignKey("control.Application", null=True, on_delete=models.SET_NULL, related_name="+")
    commit = models.CharField(max_length=64, blank=True)
    source_file = models.CharField(max_length=1024, blank=True)
    manifest_hash = models.CharField(max_length=64, blank=True)
    spec = models.JSONField(default=dict)
    status = models.JSONField(default=dict)
    created_at = models.FloatField(default=now)
    deleted_at = models.FloatField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.kind, self.namespace, self.name)


class Counter(models.Model):
    """The cluster-wide resource version. One row: taking numbers from it orders all writers."""

    value = models.BigIntegerField(default=0)


class Change(models.Model):
    """One write of one object, keyed by its resource version. Feeds live pages and, later, `watch`."""

    ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"

    resource_version = models.BigIntegerField(primary_key=True)
    type = models.CharField(max_length=8)
    kind = models.CharField(max_length=63)
    namespace = models.CharField(max_length=63, blank=True)
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=36)
    at = models.FloatField(default=now)


class LogReader(models.Model):
    """How far somebody has read the change log who looks at it once in a while. Who has no row begins at its end."""

    name = models.CharField(max_length=32, primary_key=True)
    resource_version = models.BigIntegerField(default=0)
