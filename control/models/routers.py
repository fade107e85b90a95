"""The routers: what each node's router is, who they trust, and the addresses that were given out.

Networks and virtual addresses are the same on every node (`deployer/core/network/addresses.py` makes addresses out of
an index), so that an index is given once for the whole cluster.
"""

from __future__ import annotations

from django.db import models

from control.models.base import now
from control.models.nodes import Node
from control.models.sealed import SealedField


class Router(models.Model):
    """The router of a node. `version` is the newest routing version that is in it whole, at `applied_at` (0: never).

    `failures` counts passes in a row that failed. `identity` is {certificate, key}, with `serial` (in decimal: it has
    up to 160 bits) and `expires_at` beside it. `problems` are sentences: what could not be configured.
    """

    node = models.OneToOneField(Node, primary_key=True, on_delete=models.CASCADE, related_name="router")
    ready = models.BooleanField(default=False)
    reason = models.CharField(max_length=64, blank=True)
    message = models.TextField(blank=True)
    problems = models.JSONField(default=list)
    version = models.BigIntegerField(default=0)
    failures = models.IntegerField(default=0)
    changed_at = models.FloatField(default=now)
    applied_at = models.FloatField(default=0)
    identity = SealedField()
    serial = models.CharField(max_length=64, blank=True)
    expires_at = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"Router of {self.node_id}"


class Authority(models.Model):
    """The cluster's certificate authority. One row, which is also the lock under which indexes are given out.

    `ca` is {certificate, key}; `control` likewise, what the control plane proves itself with to routers.
    `revoked` is [[serial in decimal, at]]; `revocation_list` says it in PEM, "" when it is to be made anew.
    """

    ca = SealedField()
    control = SealedField()
    control_expires_at = models.FloatField(default=0)
    revoked = models.JSONField(default=list)
    revocation_list = models.TextField(blank=True)

    def __str__(self) -> str:
        return "Authority"


class PodNetwork(models.Model):
    """A bridge, on each node that has pods for it. `workload` is set for one that a NetworkPolicy isolates.

    `seen`: a host has it with these addresses, or is about to, so that its index cannot change any more.
    """

    name = models.CharField(max_length=128, unique=True)
    index = models.IntegerField(unique=True)
    namespace = models.CharField(max_length=63)
    workload = models.CharField(max_length=320, blank=True)
    seen = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.index})"


class ServiceAddress(models.Model):
    """The index of a Service's virtual address; of a headless one, of each pod behind it.

    A row stays when it is not needed any more, with `released_at`, until its index is given again: that takes as
    long as possible, because clients may remember an address.
    """

    index = models.IntegerField(unique=True)
    service = models.CharField(max_length=36)
    pod = models.CharField(max_length=36, blank=True)
    released_at = models.FloatField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["service", "pod"], name="service_address_once"),)

    def __str__(self) -> str:
        return f"{self.service} {self.pod} ({self.index})"
