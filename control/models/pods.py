"""Pods: one row each, with columns for what the loops query at every pass."""

from __future__ import annotations

from django.db import models

from control.models.base import KubernetesObject
from control.models.nodes import Node
from control.models.workloads import ReplicaSet


class Pod(KubernetesObject):
    """A pod of a replica set (its spec is the set's template), or a bare one (its spec is its own).

    `settled` is the digest of its containers when nothing was left to do; "" asks the node's converge for a look.
    `placement` is what the scheduler counts: {cpu, memory, ports, anti_affinity}; and `probed`: the router probes it.
    `network` is the pod network chosen for it, "" on the host's or before it has a node. `probes` is what its node's
    router found: {container/kind: {started_at, passing, message}}. `leaving_version`: the routing version that every
    router must have before a deleted pod is stopped, 0 when no router sends it anything.
    """

    kind = "Pod"
    replica_set = models.ForeignKey(ReplicaSet, null=True, on_delete=models.CASCADE, related_name="pods")
    node = models.ForeignKey(Node, null=True, on_delete=models.PROTECT, related_name="pods")
    owner = models.CharField(max_length=320, blank=True)  # "Deployment/web", "" for a bare pod or an orphan
    template_hash = models.CharField(max_length=16, blank=True)
    revision = models.IntegerField(default=0)
    phase = models.CharField(max_length=16, default="Pending")
    ready = models.BooleanField(default=False)
    ready_at = models.FloatField(default=0)
    scheduled_at = models.FloatField(default=0)
    started_at = models.FloatField(default=0)
    restarts = models.IntegerField(default=0)
    waiting = models.CharField(max_length=64, blank=True)
    message = models.TextField(blank=True)
    log_tail = models.TextField(blank=True)
    deletion_cost = models.IntegerField(default=0)
    grace_seconds = models.IntegerField(null=True)
    settled = models.TextField(blank=True)
    placement = models.JSONField(default=dict)
    images = models.JSONField(default=dict)  # bare pods only
    pulls = models.JSONField(default=dict)
    attempts = models.JSONField(default=dict)
    ip = models.CharField(max_length=45, blank=True)
    network = models.CharField(max_length=128, blank=True)
    probes = models.JSONField(default=dict)
    leaving_version = models.BigIntegerField(default=0)
    replacement = models.JSONField(default=dict)  # a bare pod's new manifest, applied when this one is gone
    orphaned = models.BooleanField(default=False)  # found on a host, its owner not known (yet)
    # An orphan's owner, as its containers' labels tell it: "Deployment/web"
    claimed_owner = models.CharField(max_length=320, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["namespace", "name"], name="pod_name"),)
        indexes = (
            models.Index(fields=["node", "deleted_at"]),
            models.Index(fields=["owner", "namespace"]),
            models.Index(fields=["phase"], name="pod_phase"),
            models.Index(fields=["leaving_version"], condition=models.Q(leaving_version__gt=0), name="pod_leaving"),
        )
