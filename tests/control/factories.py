"""Rows as the loops would have left them: small, consistent, each detail overridable."""

from __future__ import annotations

import base64
from typing import Any

from control.models import (
    Application,
    ConfigMap,
    Deployment,
    Event,
    Ingress,
    Namespace,
    NetworkPolicy,
    Node,
    Pod,
    PodDisruptionBudget,
    PodNetwork,
    ReplicaSet,
    Repository,
    Router,
    Secret,
    Service,
    ServiceAddress,
    Sync,
)
from control.store import objects
from deployer.core.pod_status import ContainerStatus, LastExit, PodCondition, PodStatus

NOW = 1_800_000_000.0
HOUR = 3600.0
IMAGE = "registry.example.com/web:1"
ROLLED_BACK = "revision 3 failed: 0 of 3 new pods became ready; rolled back to revision 2"
COMMITS = ("", *(f"{number}" * 40 for number in range(1, 10)))
"""COMMITS[2] is the commit of revision 2, by convention."""


def template(image: str = IMAGE, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}], **spec}}


def node(name: str = "n1", **fields: Any) -> Node:
    given = {
        "address": "tcp://10.0.0.5:2376", "engine_id": f"engine-{name}", "engine_version": "27.3.1",
        "operating_system": "Debian GNU/Linux 12", "architecture": "x86_64", "cpu_millicores": 4000,
        "memory_bytes": 8 << 30, "ready": True, "reason": "EngineReady", "message": "the engine answers",
        "heartbeat_at": NOW - 1, "observed_at": NOW - 1, "created_at": NOW - HOUR, "ready_changed_at": NOW - HOUR,
    }  # fmt: skip
    return Node.objects.create(name=name, **{**given, **fields})


def repository(name: str = "shop", **fields: Any) -> Repository:
    given = {"url": "https://git.example.com/shop.git", "head": COMMITS[2], "created_at": NOW - HOUR}
    return Repository.objects.create(name=name, **{**given, **fields})


def application(name: str = "shop", **fields: Any) -> Application:
    given = {
        "path": "deploy", "namespace": "shop", "sync_status": "Synced", "commit": COMMITS[2], "tree": "t2",
        "created_at": NOW - HOUR, "applied_at": NOW - 60,
    }  # fmt: skip
    given["repository"] = fields.pop("repository", None) or Repository.objects.first() or repository()
    return Application.objects.create(name=name, **{**given, **fields})


def attempt(row: Application, phase: str = Sync.SUCCEEDED, **fields: Any) -> Sync:
    given = {"commit": row.commit, "trigger": "poll", "started_at": NOW - 60, "finished_at": NOW - 59}
    return Sync.objects.create(application=row, phase=phase, **{**given, **fields})


def namespace(name: str = "shop", **fields: Any) -> Namespace:
    return made(Namespace(name=name, created_at=NOW - HOUR, **fields))


def deployment(name: str = "web", *, replicas: int = 3, **fields: Any) -> Deployment:
    """Observed and complete, unless `progress` says otherwise."""
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template()}
    given: dict[str, Any] = {
        "namespace": "shop", "spec": {**spec, **fields.pop("spec", {})}, "commit": COMMITS[2], "live_hash": "hash2",
        "labels": {"app": "web"}, "created_at": NOW - HOUR,
        "progress": {
            "observed_generation": 1, "updated": replicas, "ready": replicas, "available": replicas,
            "replicas": replicas, "reason": "NewReplicaSetAvailable", "desired": replicas,
        },
        "status": {
            "observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas,
            "availableReplicas": replicas,
            "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}],
        },
    }  # fmt: skip
    return made(Deployment(name=name, **{**given, **fields}))


def replica_set(owner: Deployment, revision: int = 2, **fields: Any) -> ReplicaSet:
    digest = fields.pop("template_hash", f"hash{revision}")
    given: dict[str, Any] = {
        "namespace": owner.namespace, "name": f"{owner.name}-{digest}", "labels": {"app": "web"}, "revision": revision,
        "template_hash": digest, "replicas": 3, "healthy": True, "commit": COMMITS[revision],
        "spec": {"template": template()}, "created_at": NOW - 600, "images": {IMAGE: "sha256:" + "a" * 64},
        "application_id": owner.application_id,
    }  # fmt: skip
    return made(ReplicaSet(deployment=owner, **{**given, **fields}))


def pod(owner: ReplicaSet | None = None, name: str = "", **fields: Any) -> Pod:
    """Ready on a node, unless told otherwise. A bare pod without an owner."""
    prefix = owner.name if owner else "job"
    row = Pod(
        name=name or f"{prefix}-{Pod.objects.count()}", namespace=fields.pop("namespace", "shop"), replica_set=owner,
        labels={"app": "web", **({"pod-template-hash": owner.template_hash} if owner else {})},
        owner=f"Deployment/{owner.deployment.name}" if owner else "",
        template_hash=owner.template_hash if owner else "",
        revision=owner.revision if owner else 0, commit=owner.commit if owner else "",
        application_id=owner.application_id if owner else None, spec={} if owner else template()["spec"],
        placement={"cpu": 250, "memory": 256 << 20}, created_at=NOW - 300,
    )  # fmt: skip
    place = fields.pop("node", ...)
    row.node = (Node.objects.first() or node()) if place is ... else place
    if row.node is not None and "status" not in fields:
        ready = fields.get("ready", True)
        status = pod_status(running(), ready=ready) if ready else pod_status(waiting("ContainerCreating"), ready=False)
        fields = {"ready": ready, "ready_at": NOW - 200 if ready else 0, "phase": status.phase, **fields}
        row.status = status.to_dict()
    if "status" in fields:
        fields.setdefault("phase", fields["status"]["phase"])
    for field, value in fields.items():
        setattr(row, field, value)
    return made(row)


def crashed_pod(owner: ReplicaSet, log: str = "Traceback\nboom", **fields: Any) -> Pod:
    status = pod_status(
        waiting("CrashLoopBackOff", restarts=5, last=LastExit(1, "Error", NOW - 35, log)), ready=False, phase="Running"
    )
    return pod(
        owner, status=status.to_dict(), phase="Running", ready=False, restarts=5, waiting="CrashLoopBackOff",
        message="container web exited with code 1, 5 times", log_tail=log, **fields,
    )  # fmt: skip


def pod_status(*containers: ContainerStatus, ready: bool = True, phase: Any = None, **fields: Any) -> PodStatus:
    return PodStatus(
        phase=phase or ("Running" if ready else "Pending"), ready=ready, ready_at=NOW - 200 if ready else 0,
        pod_ip="172.18.0.7", host_ip="10.0.0.5", start_time=NOW - 290, containers=containers,
        conditions=(
            PodCondition("PodScheduled", True, NOW - 295),
            PodCondition("Ready", ready, NOW - 200, "" if ready else "ContainersNotReady"),
        ),
        **fields,
    )  # fmt: skip


def running(name: str = "web", **fields: Any) -> ContainerStatus:
    given = {
        "container_id": "c" * 64, "image": IMAGE, "image_id": "sha256:" + "a" * 64, "state": "running",
        "started_at": NOW - 280, "ready": True, "started": True, "attempt": 0,
    }  # fmt: skip
    return ContainerStatus(name, **{**given, **fields})


def waiting(reason: str, name: str = "web", **fields: Any) -> ContainerStatus:
    return ContainerStatus(name, image=IMAGE, state="waiting", reason=reason, **fields)


def config_map(name: str = "settings", data: dict[str, str] | None = None, **fields: Any) -> ConfigMap:
    spec = {"data": {"color": "red"} if data is None else data}
    return made(ConfigMap(namespace="shop", name=name, spec=spec, created_at=NOW - HOUR, **fields))


def secret(name: str = "token", values: dict[str, str] | None = None, **fields: Any) -> Secret:
    given = {"password": "hunter2"} if values is None else values
    row = Secret(
        namespace="shop", name=name, spec={"type": "Opaque", "keys": sorted(given)}, created_at=NOW - HOUR, **fields
    )
    row.sealed.store({key: base64.b64encode(value.encode()).decode() for key, value in given.items()})
    return made(row)


def service(name: str = "web", **fields: Any) -> Service:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], **fields.pop("spec", {})}
    return made(Service(**{"namespace": "shop", "name": name, "spec": spec, "created_at": NOW - HOUR, **fields}))


def ingress(name: str = "web", host: str = "shop.example.com", **fields: Any) -> Ingress:
    """One path to port 80 of service web."""
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
    spec = {"rules": [{"host": host, "http": {"paths": [path]}}], **fields.pop("spec", {})}
    return made(Ingress(**{"namespace": "shop", "name": name, "spec": spec, "created_at": NOW - HOUR, **fields}))


def budget(name: str = "web", **spec: Any) -> PodDisruptionBudget:
    limit = {} if "maxUnavailable" in spec else {"minAvailable": 2}
    given = {**limit, "selector": {"matchLabels": {"app": "web"}}, **spec}
    return made(PodDisruptionBudget(namespace="shop", name=name, spec=given, created_at=NOW - HOUR))


def policy(name: str = "database", **fields: Any) -> NetworkPolicy:
    """Only app=web-app reaches app=database, on 5432."""
    spec = {
        "podSelector": {"matchLabels": {"app": "database"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web-app"}}}], "ports": [{"port": 5432}]}],
        **fields.pop("spec", {}),
    }
    return made(NetworkPolicy(**{"namespace": "shop", "name": name, "spec": spec, "created_at": NOW - HOUR, **fields}))


def virtual_address(row: Service, index: int = 7, network: int = 1) -> str:
    """On the network of its namespace. Returns it."""
    ServiceAddress.objects.create(index=index, service=row.uid)
    PodNetwork.objects.get_or_create(name=f"pierhead-{row.namespace}", index=network, namespace=row.namespace)
    return f"10.208.{network * 16 + 8}.{index + 1}"


def router(row: Node, *problems: str, **fields: Any) -> Router:
    """Ready, unless told otherwise."""
    given = {
        "ready": True, "reason": "RouterReady", "message": "it has all that is to be in it", "changed_at": NOW - 60,
        "applied_at": NOW - 60, "problems": list(problems),
    }  # fmt: skip
    return Router.objects.update_or_create(node=row, defaults={**given, **fields})[0]


def event(reason: str = "Started", message: str = "it runs", **fields: Any) -> Event:
    given = {
        "type": "Normal", "kind": "Pod", "namespace": "shop", "name": "web-1", "first_at": NOW - 90,
        "last_at": NOW - 30,
    }  # fmt: skip
    return Event.objects.create(reason=reason, message=message, **{**given, **fields})


def pin(row: Deployment, revision: int, *, automatic: bool = False, **fields: Any) -> Deployment:
    """Held at `revision` while Git asks for what it asks for now."""
    row.pin = {
        "revision": revision, "template_hash": f"hash{revision}", "commit": COMMITS[revision],
        "skipped_hash": row.live_hash, "skipped_commit": row.commit, "by": "Pierhead" if automatic else "ann",
        "reason": ROLLED_BACK if automatic else f"ann rolled back to revision {revision}",
        "log_tail": "Traceback\nboom" if automatic else "", "at": NOW - 10, "automatic": automatic, **fields,
    }  # fmt: skip
    objects.update([row], ["pin"])
    return row


def shop(replicas: int = 3) -> tuple[Deployment, ReplicaSet, list[Pod]]:
    """An application with a Deployment at revision 2, all of it running on node n1."""
    owner = application()
    namespace()
    row = deployment(replicas=replicas, application=owner)
    current = replica_set(row, 2, replicas=replicas)
    return row, current, [pod(current, f"web-{number}") for number in range(1, replicas + 1)]


def made(row: Any) -> Any:
    objects.create([row])
    return row
