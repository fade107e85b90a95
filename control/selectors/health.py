"""Health of objects and of applications, from rows alone. The rules are the core's (`deployer.core.health`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from control.models import Application, Deployment, Ingress, Pod, Service
from control.selectors.backing import Backing, backings
from control.selectors.ingresses import IngressRoutes, routes_of_ingresses
from deployer.core.health import (
    Health,
    deployment_health,
    ingress_health,
    pod_health,
    rollup,
    service_health,
)
from deployer.core.workloads.values import Progress

Parts = dict[str, list[tuple[str, Health]]]
Judged = list[tuple[Service | Ingress, Health]]


def application_health(rows: Sequence[Application], network: Judged | None = None) -> dict[str, Health]:
    """Application uid -> the worst of its objects' health, with the cause. As many queries however many they are.

    `network`: that of what connects (`network_health`), where it is at hand.
    """
    parts: Parts = defaultdict(list)
    for deployment in Deployment.objects.filter(application__in=rows, deleted_at=None):
        parts[str(deployment.application_id)].append((_title(deployment), health_of_deployment(deployment)))
    for pod in Pod.objects.filter(application__in=rows, deleted_at=None, replica_set=None).select_related("node"):
        parts[str(pod.application_id)].append((_title(pod), health_of_pod(pod)))
    for one, health in network_health() if network is None else network:
        parts[str(one.application_id)].append((_title(one), health))
    return {row.uid: _of_application(row, parts.get(row.uid, [])) for row in rows}


def network_health() -> Judged:
    """Every Service and Ingress with its health; a NetworkPolicy holds as soon as it is there. At most 7 queries."""
    services = list(Service.objects.filter(deleted_at=None).order_by("namespace", "name"))
    ingresses = list(Ingress.objects.filter(deleted_at=None).order_by("namespace", "name"))
    backed = backings(services)
    judged: Judged = [(one.row, health_of_backing(one)) for one in backed]
    return judged + [(one.row, health_of_routes(one)) for one in routes_of_ingresses(ingresses, backed)]


def health_of_deployment(row: Deployment) -> Health:
    held = row.pin.get("automatic") and row.pin.get("skipped_hash") == row.live_hash
    return deployment_health(
        paused=row.paused or bool(row.spec.get("paused")),
        generation=row.generation,
        desired=row.replicas,
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


def health_of_service(row: Service) -> Health:
    return health_of_backing(backings([row])[0])


def health_of_backing(one: Backing) -> Health:
    """By the pods that get traffic: one that is ready behind a port that it does not have is none."""
    if one.lacking and one.selected == 1:
        return Health("Degraded", f"the pod that it selects has no port named {one.lacking}")
    if one.lacking:
        return Health("Degraded", f"none of the {one.selected} pods that it selects has a port named {one.lacking}")
    return service_health(one.ready, one.has_selector, one.selected)


def health_of_routes(one: IngressRoutes) -> Health:
    return ingress_health(len(one.ready_services), len(one.services), one.problems)


def _of_application(row: Application, parts: list[tuple[str, Health]]) -> Health:
    if not row.commit and not parts:
        return Health("Missing", "nothing of it was applied yet")
    return rollup(parts)


def _title(row: Any) -> str:
    return f"{row.kind} {row.namespace}/{row.name}"
