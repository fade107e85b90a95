"""What pods use: rows of 15 seconds per pod for two hours, and of 5 minutes per workload's revision for 8 days.

Numbers of rows (deployer/core/usage.py has the times): a pod has at most 760 of the former, 60 pods 45,600. However
many there are, 100 containers are read a second, so that there are never more than 1.2 million: 5,000 pods, read once
a minute, have 950,000. Of the latter there are 2,304 for each revision that runs all the time: 2.3 million for 1,000
workloads.

A node is told as a pod and a workload of its own, "Node/UID" in the namespace "": all that Pierhead runs there, its
router included. What others run on the host is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.db.models import Count, Max, QuerySet, Sum

from deployer.core.usage import Total


class PodUsage(models.Model):
    """`seconds` from `at` on. CPU is the mean over them; memory is the working set that was read at their end."""

    namespace = models.CharField(max_length=63, blank=True)
    pod = models.CharField(max_length=253)
    at = models.BigIntegerField()
    seconds = models.PositiveSmallIntegerField()
    owner = models.CharField(max_length=320)  # "Deployment/web", "Pod/NAME" for a bare one
    revision = models.IntegerField(default=0)
    cpu_millicores = models.FloatField(default=0)
    memory_bytes = models.BigIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "pod", "at"], name="pod_usage_once"),)
        indexes = (models.Index(fields=["namespace", "owner", "at"]), models.Index(fields=["at"]))

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod} at {self.at}"


class WorkloadUsage(models.Model):
    """5 minutes from `at` on, of which something is known of `seconds`: means over these, and the most of any pod.

    `pods`: how many were measured, on the average.
    """

    namespace = models.CharField(max_length=63, blank=True)
    owner = models.CharField(max_length=320)
    at = models.BigIntegerField()
    revision = models.IntegerField(default=0)
    seconds = models.PositiveSmallIntegerField()
    pods = models.FloatField(default=0)
    cpu_millicores = models.FloatField(default=0)
    cpu_most_millicores = models.FloatField(default=0)
    memory_bytes = models.BigIntegerField(default=0)
    memory_most_bytes = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["namespace", "owner", "at", "revision"], name="workload_usage_once"),
        )
        indexes = (models.Index(fields=["at"]),)

    def __str__(self) -> str:
        return f"{self.owner} of {self.namespace} revision {self.revision} at {self.at}"


def totals(rows: QuerySet[PodUsage], *by: str) -> Iterator[tuple[tuple[Any, ...], tuple[int, int, Total]]]:
    """Pods that were measured for the same time, added up by the database: (values of `by`, (at, seconds, total))."""
    sums = rows.values(*by, "at", "seconds").annotate(
        pods=Count("id"), cpu=Sum("cpu_millicores"), cpu_most=Max("cpu_millicores"), memory=Sum("memory_bytes"),
        memory_most=Max("memory_bytes"),
    )  # fmt: skip
    for one in sums.order_by(*by, "at", "seconds"):
        total = Total(one["pods"], one["cpu"], one["cpu_most"], int(one["memory"]), one["memory_most"])
        yield tuple(one[name] for name in by), (one["at"], one["seconds"], total)
