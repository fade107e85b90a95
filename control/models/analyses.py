"""Analyses of canaries: what each is to find out, what it found at every look, and how it ended."""

from __future__ import annotations

from django.db import models

from control.models.base import new_uid
from control.models.workloads import Deployment


class AnalysisRun(models.Model):
    """One analysis of one canary. It stays after the canary, with its ticks, until its revision is forgotten.

    `step` is the step that waits for it, -1 for one that runs beside the steps. `spec` is a
    `deployer.core.canary.values.Analysis`, `phase` Argo Rollouts' word for it. `state` is what the next look goes on
    from: counters of the routers at the last one, sums, evidence.
    """

    uid = models.CharField(max_length=36, primary_key=True, default=new_uid, editable=False)
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="analysis_runs")
    name = models.CharField(max_length=253)
    template_hash = models.CharField(max_length=16)
    attempt = models.IntegerField(default=1)
    step = models.IntegerField(default=-1)
    spec = models.JSONField(default=dict)
    state = models.JSONField(default=dict)
    phase = models.CharField(max_length=16, default="Pending")
    message = models.TextField(blank=True)
    started_at = models.FloatField(default=0)
    finished_at = models.FloatField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["deployment", "name"], name="analysisrun_name"),)
        indexes = (models.Index(fields=["deployment", "started_at"]),)

    def __str__(self) -> str:
        return f"analysis run {self.name}"

    @property
    def namespace(self) -> str:
        """Its workload's."""
        return self.deployment.namespace


class AnalysisTick(models.Model):
    """What one look said of one metric.

    Counts are of the time since the look before: requests and failures (or slow ones) of the canary and of the stable
    pods. `evidence` is of all ticks so far, against `threshold`; `upper` is the canary's 95 % upper bound, which has to
    be below `bound` to go on; `missing` about so many more requests are needed. `value`: what a provider answered, for
    a metric that is no ratio. `verdict` is one word, `message` a sentence.
    """

    run = models.ForeignKey(AnalysisRun, on_delete=models.CASCADE, related_name="ticks")
    at = models.FloatField()
    metric = models.CharField(max_length=253)
    canary_requests = models.BigIntegerField(default=0)
    canary_failures = models.BigIntegerField(default=0)
    stable_requests = models.BigIntegerField(default=0)
    stable_failures = models.BigIntegerField(default=0)
    evidence = models.FloatField(null=True)
    threshold = models.FloatField(null=True)
    upper = models.FloatField(null=True)
    bound = models.FloatField(null=True)
    missing = models.IntegerField(null=True)
    value = models.JSONField(null=True)
    verdict = models.CharField(max_length=16, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["run", "metric", "at"], name="analysistick_once"),)

    def __str__(self) -> str:
        return f"{self.metric} at {self.at}: {self.verdict}"
