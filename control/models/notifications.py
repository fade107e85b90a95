"""Incidents, whom they are told to, and what was told when."""

from __future__ import annotations

from django.db import models

from control.models.base import new_uid, now
from control.models.sealed import SealedField
from control.models.work import NEVER


class Incident(models.Model):
    """Something that is worth telling people, from its first sign (`seen_at`) to its end.

    `subject` is the uid of the Deployment, application, node or repository; `cause` tells one trouble of it from the
    next (deployer/core/incidents.py). `opened_at` 0: only suspected. `closed_at` 0: not over; then `outcome` says why
    it is. `namespaces`: those whose channels are told; none for what belongs to no namespace.
    """

    uid = models.CharField(max_length=36, primary_key=True, default=new_uid, editable=False)
    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=36, db_index=True)
    cause = models.CharField(max_length=64, blank=True)
    namespaces = models.JSONField(default=list)
    namespace = models.CharField(max_length=63, blank=True)
    name = models.CharField(max_length=253)
    title = models.TextField()
    why = models.TextField(blank=True)
    commit = models.CharField(max_length=64, blank=True)
    commit_message = models.TextField(blank=True)
    log_tail = models.TextField(blank=True)
    seen_at = models.FloatField(default=now)
    opened_at = models.FloatField(default=0)
    good_at = models.FloatField(default=0)
    closed_at = models.FloatField(default=0)
    outcome = models.CharField(max_length=16, blank=True)
    flaps = models.IntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["subject"], condition=models.Q(closed_at=0), name="incident_one_of_a_subject"
            ),
        )
        ordering = ("-opened_at", "-seen_at", "uid")

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.title}"


class NotificationChannel(models.Model):
    """Where incidents are told: an apprise URL, sealed, of which only `shown` is for people.

    `namespace` "" for all of them and for what belongs to none. `kinds`: of incidents, none for all. `failures` in a
    row, of which the last one says `message`.
    """

    kind = "NotificationChannel"
    uid = models.CharField(max_length=36, primary_key=True, default=new_uid, editable=False)
    name = models.CharField(max_length=63, unique=True)
    namespace = models.CharField(max_length=63, blank=True)
    kinds = models.JSONField(default=list)
    address = SealedField()
    shown = models.CharField(max_length=255)
    failures = models.IntegerField(default=0)
    message = models.TextField(blank=True)
    told_at = models.FloatField(default=0)
    created_at = models.FloatField(default=now)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"Notification channel {self.name}"


class Notice(models.Model):
    """One message to one channel: of an incident its first (`opened`) or last (`normal`), or a test of the channel.

    `due_at`: when it is tried (again); NEVER when it was sent or given up. `attempts` grows before each try.
    """

    OPENED, NORMAL, TEST = "opened", "normal", "test"

    channel = models.ForeignKey(NotificationChannel, on_delete=models.CASCADE, related_name="notices")
    incident = models.ForeignKey(Incident, null=True, on_delete=models.CASCADE, related_name="notices")
    what = models.CharField(max_length=8)
    created_at = models.FloatField(default=now)
    due_at = models.FloatField(default=0)
    attempts = models.IntegerField(default=0)
    sent_at = models.FloatField(default=0)
    message = models.TextField(blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["incident", "channel", "what"], name="notice_once_per_incident"),
        )
        indexes = (models.Index(fields=["channel", "due_at"]),)
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.what} of {self.incident_id or 'a test'} to {self.channel_id}"

    @property
    def is_waiting(self) -> bool:
        return not self.sent_at and self.due_at < NEVER
