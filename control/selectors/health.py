"""Health of objects and of applications, from rows alone. The rules are the core's (`deployer.core.health`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from control.models import Application, Deployment, Pod, Service
from deployer.core.health import Health, deployment_health, pod_health, rollup, service_health
from deployer.core.workloads.values import Progress

Parts = dict[str, list[tuple[str, Health]]]
Labelled = tuple[Mapping[str, str], bool]
"""A pod's labels, and whether it is ready."""


def application_health(rows: Sequence[Application]) -> dict[str, Health]:
    """Application uid -> the worst of its objects' health, with the cause. Three queries however many they are."""
    parts: Parts = defaultdict(list)
    for deployment in Deployment.objects.filter(application__in=rows, deleted_at=None):
        parts[str(deployment.application_id)].append((_title(deployment), health_of_deployment(deployment)))
    for pod in Pod.objects.filter(application__in=rows, deleted_at=None, replica_set=None).select_related("node"):
        parts[str(pod.application_id)].append((_title(pod), health_of_pod(pod)))
    services = list(Service.objects.filter(application__in=rows, deleted_at=None))
    for service, health in zip(services, health_of_services(services), strict=True):
        parts[str(service.application_id)].append((_title(service), health))
    return {row.uid: _of_application(row, parts.get(row.uid, [])) for row in rows}


def health_of_deployment(row: Deployment) -> Health:
    replicas = row.spec.get("replicas")
    held = row.pin.get("automatic") and row.pin.get("skipped_hash") == row.live_hash
    return deployment_health(
        paused=row.paused or bool(row.spec.get("paused")),
        generation=row.generation,
        desired=1 if replicas is None else int(replicas),
        progress=Progress(**row.progress),
        message=next((one["message"] for one in row.status.get("conditions", ()) if one["type"] == "Progressing"), ""),
        rolled_back=str(row.pin.get("reason") or "it was rolled back automatically") if held else "",
    )


def health_of_pod(row: Pod) -> Health:
    """A pod on a node that is not seen is Unknown: nobody can tell."""
    lost = row.node is not None and not row.node.ready
    phase = "Unknown" if lost and row.phase in ("Pending", "Running") else row.phase
    message = f"node {row.node.name} does not answer" if lost and row.node else row.message
    return pod_health(phase=phase, ready=row.ready, waiting="" if lost else row.waiting, message=message)


def health_of_services(rows: Sequence[Service]) -> list[Health]:
    selected = selected_pods(rows)
    return [
        service_health(sum(ready for _, ready in pods), bool(row.spec.get("selector")), len(pods))
        for row, pods in zip(rows, selected, strict=True)
    ]


def selected_pods(rows: Sequence[Service]) -> list[list[Labelled]]:
    """For each service the pods of its namespace that its selector finds; one query."""
    namespaces = {row.namespace for row in rows if row.spec.get("selector")}
    by_namespace: dict[str, list[Labelled]] = defaultdict(list)
    pods = Pod.objects.filter(namespace__in=namespaces, deleted_at=None).values_list("namespace", "labels", "ready")
    for namespace, labels, ready in pods if namespaces else ():
        by_namespace[namespace].append((labels, ready))
    return [_matching(row.spec.get("selector") or {}, by_namespace[row.namespace]) for row in rows]


def _matching(selector: Mapping[str, str], pods: Iterable[Labelled]) -> list[Labelled]:
    wanted = selector.items()
    return [pod for pod in pods if wanted <= pod[0].items()] if selector else []


def _of_application(row: Application, parts: list[tuple[str, Health]]) -> Health:
    if not row.commit and not parts:
        return Health("Missing", "nothing of it was applied yet")
    return rollup(parts)


def _title(row: Any) -> str:
    return f"{row.kind} {row.namespace}/{row.name}"
