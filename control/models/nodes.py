"""Nodes: registered Docker hosts."""

from __future__ import annotations

from django.db import models

from control.models.base import new_uid, now
from control.models.sealed import SealedField

MESH_ADDRESS = "pierhead.io/mesh-address"
"""Annotation: the host name or address under which other nodes reach this one's router."""


class Node(models.Model):
    """A Docker host. `engine_id` is the engine's own identity: one engine is registered once.

    `ready` is what the heartbeat last concluded, with `reason` (deployer/core/survival/states.py) and `message` in
    words. `observed_at` is when its containers were last read: a node that was never read is given no pods, since it
    may hold some already. `evicting_at`: since when its pods are replaced elsewhere because it is dead, 0: they are
    not, and of a dead one `held` says why. `declared_dead_by`: who declared it dead, "" for nobody. `witnesses`: what
    its peers' routers said when the state last changed, {name of the peer: whether it sees the node}. `replaced`: bare
    pods that were made again elsewhere while it was dead, {uid: namespace/name}; what is left of them here is removed.
    `drain_pods`: how many pods there were when its drain began.
    """

    kind = "Node"
    uid = models.CharField(max_length=36, primary_key=True, default=new_uid, editable=False)
    name = models.CharField(max_length=63, unique=True)
    address = models.CharField(max_length=512)
    engine_id = models.CharField(max_length=128, unique=True)
    engine_version = models.CharField(max_length=64, blank=True)
    operating_system = models.CharField(max_length=128, blank=True)
    architecture = models.CharField(max_length=32, blank=True)
    cpu_millicores = models.BigIntegerField(default=0)
    memory_bytes = models.BigIntegerField(default=0)
    credentials = SealedField()
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    taints = models.JSONField(default=list)
    cordoned = models.BooleanField(default=False)
    draining = models.BooleanField(default=False)
    drain_pods = models.IntegerField(default=0)
    ready = models.BooleanField(default=False)
    reason = models.CharField(max_length=64, blank=True)
    message = models.TextField(blank=True)
    ready_changed_at = models.FloatField(default=now)
    reason_changed_at = models.FloatField(default=now)
    evicting_at = models.FloatField(default=0)
    held = models.TextField(blank=True)
    replaced = models.JSONField(default=dict)
    declared_dead_by = models.CharField(max_length=255, blank=True)
    witnesses = models.JSONField(default=dict)
    heartbeat_at = models.FloatField(default=0)
    observed_at = models.FloatField(default=0)
    images = models.JSONField(default=dict)  # image id -> reference: pulled by us, ours to collect
    resource_version = models.BigIntegerField(default=0)
    created_at = models.FloatField(default=now)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"Node {self.name}"

    @property
    def is_simulated(self) -> bool:
        return self.address.startswith("sim://")

    @property
    def host(self) -> str:
        """The host part of the engine's address; 127.0.0.1 for a local socket."""
        return host_of(self.address)


def host_of(address: str) -> str:
    transport, _, rest = address.partition("://")
    if transport == "unix":
        return "127.0.0.1"
    host = rest.rpartition("@")[2]
    return host.rpartition(":")[0].strip("[]") if ":" in host else host
