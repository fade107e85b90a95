"""What services answered, in rows of 15 seconds for a day and of 5 minutes for 30 days."""

from __future__ import annotations

from django.db import models


class Measurement(models.Model):
    """The traffic of one service port to one revision, over all nodes. Nothing is kept of what nobody asked for.

    `at` is the start of the row's time, a multiple of `resolution`; both in seconds. `buckets` are 16 counts of
    answers by latency (`deployer.core.network.measurements.BOUNDS_MS`), all zero for what is no HTTP.
    """

    resolution = models.PositiveSmallIntegerField()
    namespace = models.CharField(max_length=63)
    service = models.CharField(max_length=63)
    at = models.BigIntegerField()
    port = models.CharField(max_length=63)
    revision = models.IntegerField(default=0)
    requests = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    buckets = models.JSONField(default=list)

    class Meta:
        constraints = (
            # Its order is that of the range reads: one service, from one time to another.
            models.UniqueConstraint(
                fields=["resolution", "namespace", "service", "at", "port", "revision"], name="measurement_once"
            ),
        )
        indexes = (models.Index(fields=["resolution", "at"]),)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service}:{self.port} revision {self.revision} at {self.at}"


class Look(models.Model):
    """The last 15 seconds that were recorded of a node's router: of two who look, one records."""

    node = models.CharField(max_length=36, primary_key=True)
    at = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"look at {self.node} at {self.at}"
