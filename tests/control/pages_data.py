"""A harbour with everything in it that the first page can show, in rows as the loops would have left them."""

from __future__ import annotations

import json
import time
from typing import Any

from control.models import Application, Deployment, Sync
from control.store.rendered import keep
from deployer.core.rendering.kept import Kept
from tests.control import factories
from tests.control.factories import COMMITS, attempt, deployment, event, node, pin, pod, replica_set, repository

ROLLBACK = (
    "revision 3 (commit 3333333) failed: 3 of 3 new pods are not available: 3 crash (container api exited with code 1);"
    " rolled back to revision 2 (commit 2222222)"
)
LOG = "\x1b[32mINFO\x1b[0m listening on :8080\n\x1b[31mERROR\x1b[0m <b>connection</b> to postgres refused\nexit 1"
NO_ROOM = "0 of 3 nodes fit: 2 lack memory (needs 6Gi), 1 is cordoned"
_CONFIG = {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"nginx.conf": "worker_processes 1;\n" * 5}}
_ROW = {"file": "base/settings.yaml", "line": 0, "kind": "ConfigMap", "namespace": "shop", "name": "settings"}
_KEPT = {"way": "kustomize", "objects": [{**_ROW, "body": _CONFIG}], "left_out": 0}
MANIFESTS = Kept(json.dumps(_KEPT), "kustomize", 1)
REFUSED = "deploy/web.yaml:12: Deployment shop/web: spec.replica: there is no such field (did you mean replicas?)"


def story() -> None:
    """A rollback, a rollout under way, a pin, a refused commit, a pod without room, a node that is not seen."""
    now = factories.NOW = time.time()
    _nodes(now)
    shop = factories.application(applied_at=now - 420)
    attempt(
        shop, commit_message="Checkout: retry payments\n\nLong text.", commit_author="Ada", healthy_at=now - 50,
        rendered=keep(MANIFESTS),
    )  # fmt: skip
    rolled_back(shop)
    rolling(shop, now)
    held(shop)
    stuck(shop)
    healthy(shop, "catalog")
    healthy(shop, "worker", replicas=2)
    _refused(now)
    event("Pulled", "image registry.example.com/web:1 is present", last_at=now - 12)
    event("BackOff", "container api exited with code 1, 5 times", type="Warning", count=5, last_at=now - 95)
    event(
        "ScalingReplicaSet", "scaled up replica set front-hash3 to 2", kind="Deployment", name="front", last_at=now - 20
    )


def rolled_back(owner: Application | None) -> Deployment:
    row = deployment("api", application=owner, live_hash="hash3", commit=COMMITS[3])
    good, failed = replica_set(row, 2), replica_set(row, 3, failed=True, healthy=False, replicas=0)
    replica_set(row, 1)
    for number in range(3):
        pod(good, f"api-{number}")
    assert failed.failed
    return pin(row, 2, automatic=True, reason=ROLLBACK, log_tail=LOG)


def rolling(owner: Application | None, now: float) -> Deployment:
    progress = {
        "observed_generation": 1, "updated": 2, "ready": 3, "available": 3, "replicas": 5, "desired": 4,
        "reason": "ReplicaSetUpdated", "last_progress_at": now - 8,
    }  # fmt: skip
    row = deployment("front", application=owner, replicas=4, live_hash="hash3", commit=COMMITS[3], progress=progress)
    old, new = replica_set(row, 2), replica_set(row, 3, healthy=False)
    for number in range(3):
        pod(old, f"front-old-{number}")
    pod(new, "front-new-0")
    pod(new, "front-new-1", ready=False)
    return row


def held(owner: Application | None) -> Deployment:
    row = deployment("mail", application=owner, replicas=1, live_hash="hash3", commit=COMMITS[3])
    good = replica_set(row, 2, replicas=1)
    replica_set(row, 3, replicas=0)
    pod(good, "mail-0")
    return pin(row, 2)


def stuck(owner: Application | None) -> Deployment:
    progress = {"observed_generation": 1, "updated": 2, "replicas": 2, "desired": 2, "reason": "NewReplicaSetCreated"}
    row = deployment("search", application=owner, replicas=2, live_hash="hash1", commit=COMMITS[1], progress=progress)
    new = replica_set(row, 1, healthy=False, replicas=2)
    for number in range(2):
        pod(new, f"search-{number}", node=None, phase="Pending", waiting="Unschedulable", message=NO_ROOM)
    return row


def healthy(owner: Application | None, name: str, *, replicas: int = 3, **fields: Any) -> Deployment:
    row = deployment(name, application=owner, replicas=replicas, **fields)
    replica_set(row, 1, replicas=0)
    current = replica_set(row, 2, replicas=replicas)
    for number in range(replicas):
        pod(current, f"{name}-{number}")
    return row


def _nodes(now: float) -> None:
    node("harbour-1", ready_changed_at=now - 86400)
    node("harbour-2", cordoned=True)
    node("sim-1", address="sim://sim-1", cpu_millicores=2000, memory_bytes=4 << 30)
    node(
        "harbour-3", ready=False, reason="Unknown", ready_changed_at=now - 65, reason_changed_at=now - 65,
        message="3 heartbeats were missed: no answer within 1 s",
    )  # fmt: skip


def _refused(now: float) -> None:
    row = factories.application(
        "billing", repository=repository("billing", head=COMMITS[4]), namespace="billing", sync_status="OutOfSync",
        message=f"commit 4444444 was refused, nothing was changed: {REFUSED} (and 1 more)",
    )  # fmt: skip
    error = {
        "file": "deploy/web.yaml", "line": 12, "object": "Deployment shop/web", "field": "spec.replica",
        "message": "there is no such field (did you mean replicas?)", "remedy": "",
    }  # fmt: skip
    attempt(
        row, Sync.FAILED, commit=COMMITS[4], commit_message="Scale billing", commit_author="Bea", message=row.message,
        errors=[error, {**error, "file": "deploy/<i>.yaml", "line": 3, "remedy": "remove it"}], started_at=now - 30,
    )  # fmt: skip
