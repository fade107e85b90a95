"""Webhooks: who may tell us that a repository moved, and every delivery that came."""

from __future__ import annotations

from django.db import models

from control.models.base import new_uid, now
from control.models.repositories import Repository
from control.models.sealed import SealedField


class Webhook(models.Model):
    """One address for one repository at one provider. Its uid is the address' last part.

    `secrets`: {current, previous}: during a rotation two are valid. `allowed`: networks that deliveries may come from,
    all when there are none.
    """

    kind = "Webhook"
    uid = models.CharField(max_length=36, primary_key=True, default=new_uid, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="webhooks")
    provider = models.CharField(max_length=32)
    secrets = SealedField()
    allowed = models.JSONField(default=list)
    created_at = models.FloatField(default=now)
    rotated_at = models.FloatField(default=0)

    class Meta:
        ordering = ("created_at", "uid")

    def __str__(self) -> str:
        return f"Webhook {self.repository.name}/{self.provider}"


class Delivery(models.Model):
    """A request that came to a webhook, and what became of it.

    `payload`: with secrets masked; "" when it was not proven. `pushes`: [[ref, commit]]; `commit`: where the followed
    ref moved to, "" when that was not told. `status`: of our answer.
    """

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    at = models.FloatField(default=now)
    name = models.CharField(max_length=80, blank=True)
    event = models.CharField(max_length=80, blank=True)
    pushes = models.JSONField(default=list)
    commit = models.CharField(max_length=64, blank=True)
    source = models.CharField(max_length=64)
    size = models.IntegerField(default=0)
    status = models.IntegerField()
    proven = models.BooleanField(default=False)
    accepted = models.BooleanField(default=False)
    old_secret = models.BooleanField(default=False)
    message = models.TextField()
    payload = models.TextField(blank=True)

    class Meta:
        indexes = (models.Index(fields=["webhook", "name"], name="delivery_webhook_name"),)
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"Delivery {self.pk}: {self.status}"
