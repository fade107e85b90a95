"""Pods that have a node, as the scheduler counts them: read once per process, then only what was written since.

Every write of what is counted (its node, labels, owner, requests, deletion) takes a resource version and appends to the
change log, in the order in which they are committed. So what is remembered at one version, with the rows above it and
the deletions logged above it, is what a look at all rows would find. A log that does not have the remembered write any
more (another database, a restored one, a transaction undone) has all rows read again; so has every fifth minute.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from control.models import Change, Counter, Pod
from deployer.core.objects.placement import PodAffinityTerm
from deployer.core.scheduling import values

READ_AGAIN_SECONDS = 300.0
_COLUMNS = ("uid", "namespace", "name", "node__name", "labels", "owner", "placement", "deleted_at")
_NODE = _COLUMNS.index("node__name")


@dataclass
class PlacedPods:
    """`known`: the newest change that is in it, with what tells it from another one of the same number."""

    pods: dict[str, values.PlacedPod] = field(default_factory=dict)
    known: tuple[Any, ...] | None = None
    read_at: float = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, now: float) -> list[values.PlacedPod]:
        """As of the caller's transaction, which has not written any pod yet."""
        with self.lock:
            newest = _change(Counter.objects.values_list("value", flat=True).first() or 0)
            if self._follows(now):
                self._take_over()
            else:
                self.pods, self.read_at = {}, now
                self._put(Pod.objects.filter(node__isnull=False).values_list(*_COLUMNS))
                # It stays: nobody need walk through it again and again for what could go.
                gc.collect()
                gc.freeze()
            self.known = newest
            return list(self.pods.values())

    def _follows(self, now: float) -> bool:
        if self.known is None or not 0 <= now - self.read_at < READ_AGAIN_SECONDS:
            return False
        return _change(self.known[0]) == self.known

    def _take_over(self) -> None:
        assert self.known is not None
        since = self.known[0]
        gone = Change.objects.filter(resource_version__gt=since, kind=Pod.kind, type=Change.DELETED)
        for uid in gone.values_list("uid", flat=True):
            self.pods.pop(uid, None)
        self._put(Pod.objects.filter(resource_version__gt=since).values_list(*_COLUMNS))

    def _put(self, columns: Iterable[tuple[Any, ...]]) -> None:
        for column in columns:
            if column[_NODE] is None:
                self.pods.pop(column[0], None)
            else:
                self.pods[column[0]] = placed_pod(column)


def placed_pod(column: tuple[Any, ...]) -> values.PlacedPod:
    uid, namespace, name, node, labels, owner, summary, deleted = column
    return values.PlacedPod(
        uid=uid, namespace=namespace, name=name, node=node, labels=labels, owner=owner_key(namespace, owner),
        requests=values.Resources(summary.get("cpu", 0), summary.get("memory", 0)),
        host_ports=frozenset((ip, port, protocol) for ip, port, protocol in summary.get("ports", ())),
        anti_affinity=tuple(PodAffinityTerm.model_validate(term) for term in summary.get("antiAffinity", ())),
        terminating=deleted is not None,
    )  # fmt: skip


def owner_key(namespace: str, owner: str) -> str:
    """ "Deployment/web" -> "Deployment/shop/web"."""
    kind, _, name = owner.partition("/")
    return f"{kind}/{namespace}/{name}"


def _change(version: int) -> tuple[Any, ...] | None:
    columns = Change.objects.filter(resource_version=version).values_list(
        "resource_version", "uid", "kind", "name", "at"
    )
    return columns.first()
