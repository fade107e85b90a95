"""What happened (events) and who did it (audit)."""

from __future__ import annotations

from django.db import models

from control.models.base import now


class Event(models.Model):
    """A Kubernetes event. The same (object, reason, message) is counted, not repeated."""

    type = models.CharField(max_length=8, default="Normal")
    reason = models.CharField(max_length=64)
    message = models.TextField()
    kind = models.CharField(max_length=63)
    namespace = models.CharField(max_length=63, blank=True)
    name = models.CharField(max_length=253)
    node = models.CharField(max_length=63, blank=True)
    count = models.IntegerField(default=1)
    first_at = models.FloatField(default=now)
    last_at = models.FloatField(default=now, db_index=True)

    class Meta:
        indexes = (models.Index(fields=["kind", "namespace", "name"]),)
        ordering = ("-last_at", "-id")

    def __str__(self) -> str:
        return f"{self.type} {self.reason} {self.kind} {self.namespace}/{self.name}: {self.message}"


class AuditEntry(models.Model):
    """A write by a person: who, what, on which object, from where, and what came of it."""

    at = models.FloatField(default=now, db_index=True)
    actor = models.CharField(max_length=255)
    action = models.CharField(max_length=64)
    object = models.CharField(max_length=400)
    detail = models.TextField(blank=True)
    source = models.CharField(max_length=64, blank=True)  # "command line", or the address of the request

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.object}"
