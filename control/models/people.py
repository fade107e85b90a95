"""What people may do (roles), what acts for them (tokens), and the shared cache that limits of guessing rest on."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from control.models.base import now

VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"
ROLES = (VIEWER, OPERATOR, ADMIN)
"""Each may do what the ones before it may: look; act on what runs; decide about people and hosts."""


class RoleBinding(models.Model):
    """One person's role in one namespace, or with "" in all of them. Superusers are administrators without one."""

    subject = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="roles")
    role = models.CharField(max_length=16)
    namespace = models.CharField(max_length=63, blank=True)
    created_at = models.FloatField(default=now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["subject", "namespace"], name="rolebinding_subject_namespace"),)
        ordering = ("subject_id", "namespace")

    def __str__(self) -> str:
        return f"{self.role} in {self.namespace or 'all namespaces'}"


class ApiToken(models.Model):
    """A secret that acts for its owner, with no more than `role` in `namespace` ("" = all) and than the owner has.

    Only its SHA-256 is kept: 32 random bytes cannot be guessed, so a slow hash would protect nothing. `hint` is how
    its owner tells it from others.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=63)
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12)
    role = models.CharField(max_length=16)
    namespace = models.CharField(max_length=63, blank=True)
    created_at = models.FloatField(default=now)
    expires_at = models.FloatField()
    last_used_at = models.FloatField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["owner", "name"], name="apitoken_owner_name"),)
        ordering = ("owner_id", "name")

    def __str__(self) -> str:
        return f"token {self.name} of {self.owner}"


class CacheEntry(models.Model):
    """The table of Django's database cache, here so that migrations make it. Nobody reads it through this class."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "control_cache"

    def __str__(self) -> str:
        return self.cache_key
