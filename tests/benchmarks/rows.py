"""A cluster as rows: so many nodes, applications and pods, most of them healthy, a few in every kind of trouble."""

from __future__ import annotations

import time


def cluster(*, nodes: int, applications: int, pods: int) -> None:
    """Each application has a Deployment and a Service; pods are spread over them and the nodes evenly."""
    from control.models import (
        Application,
        AuditEntry,
        Counter,
        Deployment,
        Event,
        Namespace,
        Node,
        Pod,
        ReplicaSet,
        Repository,
        Router,
        Service,
        Sync,
    )

    now = time.time()
    Counter.objects.create(pk=1, value=1)
    hosts = Node.objects.bulk_create(
        Node(
            name=f"node-{number:03}", address=f"sim://node-{number:03}", engine_id=str(number), ready=number != 13,
            reason="EngineReady" if number != 13 else "Dead", cpu_millicores=64_000, memory_bytes=256 << 30,
            heartbeat_at=now, observed_at=now,
        )
        for number in range(nodes)
    )  # fmt: skip
    Router.objects.bulk_create(Router(node=host, ready=True, version=1, applied_at=now) for host in hosts)
    repository = Repository.objects.create(name="all", url="https://git.example.com/all.git", head="b" * 40)
    each = max(pods // applications, 1)
    spaces = [f"team-{number:03}" for number in range(applications)]
    Namespace.objects.bulk_create(Namespace(name=name) for name in spaces)
    owners = Application.objects.bulk_create(
        Application(
            name=f"app-{number:03}", repository=repository, path=f"apps/{number}", namespace=space, commit="b" * 40,
            sync_status="Synced", applied_at=now - 3600,
        )
        for number, space in enumerate(spaces)
    )  # fmt: skip
    Sync.objects.bulk_create(
        Sync(
            application=owner, commit=("b" if newest else "a") * 40, commit_message=f"Change {owner.name}",
            commit_author="Ada", phase=Sync.SUCCEEDED, started_at=now - 3600, finished_at=now - 3599,
            healthy_at=now - 3590, trigger="poll",
        )
        for newest in (False, True)
        for owner in owners
    )  # fmt: skip
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": "example.com/web:1", "ports": [{"containerPort": 80}]}]},
    }
    progress = {
        "observed_generation": 1, "updated": each, "ready": each, "available": each, "replicas": each, "desired": each,
        "reason": "NewReplicaSetAvailable", "last_progress_at": now - 3500,
    }  # fmt: skip
    workloads = Deployment.objects.bulk_create(
        Deployment(
            namespace=owner.namespace, name="web", application=owner, commit="b" * 40, live_hash="h2",
            spec={"replicas": each, "selector": {"matchLabels": labels}, "template": template},
            progress=progress if number % 50 else {**progress, "available": each - 1, "ready": each - 1},
        )
        for number, owner in enumerate(owners)
    )  # fmt: skip
    Service.objects.bulk_create(
        Service(
            namespace=owner.namespace, name="web", application=owner, commit="b" * 40,
            spec={"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 80}]},
        )
        for owner in owners
    )  # fmt: skip
    sets = ReplicaSet.objects.bulk_create(
        ReplicaSet(
            namespace=row.namespace, name=f"web-h{revision}", deployment=row, template_hash=f"h{revision}",
            revision=revision, replicas=each if revision == 2 else 0, healthy=True, commit="b" * 40,
            spec={"template": template}, labels=labels,
        )
        for revision in (1, 2)
        for row in workloads
    )[len(workloads) :]  # fmt: skip
    status = {
        "containerStatuses": [{
            "name": "web", "ready": True, "restartCount": 0, "containerID": "docker://1", "image": "web:1",
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }],
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }  # fmt: skip
    Pod.objects.bulk_create(
        (
            Pod(
                namespace=one.namespace, name=f"web-h2-{number:02}", replica_set=one, owner="Deployment/web",
                labels=labels, node=hosts[(index * each + number) % nodes], template_hash="h2", revision=2,
                phase="Running", ready=bool(number or index % 50), ready_at=now - 3500, status=status,
                ip="10.208.0.9", placement={"cpu": 100, "memory": 256 << 20}, settled="x",
            )
            for index, one in enumerate(sets)
            for number in range(each)
        ),
        batch_size=500,
    )  # fmt: skip
    Event.objects.bulk_create(
        Event(
            kind="Pod", namespace=spaces[number % applications], name="web-h2-00", reason="Started", message="started",
            first_at=now - number, last_at=now - number, node=hosts[number % nodes].name,
        )
        for number in range(20_000)
    )  # fmt: skip
    AuditEntry.objects.bulk_create(
        AuditEntry(at=now - number, actor="ada", action="application sync", object=f"Application app-{number % 100:03}")
        for number in range(5_000)
    )
