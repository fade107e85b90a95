"""What is due, and who is at it: one row for each key of each loop.

A wake-up is a row, not a message: whoever changes something sets `due_at` in the same transaction. The same row is
the lease: `owner`, `leased_until`, and an `epoch` that grows with each claim, so that a worker that was paused beyond
its lease can no longer write (fencing).
"""

from __future__ import annotations

from django.db import models

NEVER = 1e18
"""`due_at` of a key that waits for nothing."""


class Work(models.Model):
    loop = models.CharField(max_length=16)
    key = models.CharField(max_length=36)
    due_at = models.FloatField(default=NEVER, db_index=True)
    owner = models.CharField(max_length=80, blank=True)
    leased_until = models.FloatField(default=0)
    epoch = models.BigIntegerField(default=0)
    # Container ids that an event named; a hint only: losing them costs time, not truth.
    dirty = models.JSONField(default=list)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["loop", "key"], name="work_once_per_key"),)

    def __str__(self) -> str:
        return f"{self.loop} {self.key}"
