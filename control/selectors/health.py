"""Health of objects and of applications, from rows alone. The rules are the core's (`deployer.core.health`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol

from django.db.models import Q

from control.models import Deployment, Ingress, Pod, Service
from control.selectors.backing import PODS, Backing, PodFact, backings, backings_of_all
from control.selectors.connecting import INGRESSES, SERVICES, Connecting, connecting
from control.selectors.deployment_facts import DEPLOYMENTS, Facts, facts, judged
from control.selectors.followed import Rows, each, followed, in_order
from control.selectors.ingresses import IngressRoutes, routes_of_ingresses
from control.selectors.raw import KEPT
from deployer.core.health import (
    Health,
    ingress_health,
    pod_health,
    rollup,
    service_health,
)

MANY = 200
"""Of so many applications all rows are read: databases bound the length of a list of ids."""
Parts = dict[str, list[tuple[str, Health]]]
Judged = list[tuple[Service | Ingress | Connecting, Health]]


class Applied(Protocol):
    """What is asked of an application here."""

    @property
    def uid(self) -> str: ...
    @property
    def commit(self) -> str: ...


def application_health(
    rows: Sequence[Applied] | None, network: Judged | None = None, everything: Iterable[Facts] | None = None,
    bare: Iterable[Pod] | None = None,
) -> dict[str, Health]:  # fmt: skip
    """Application uid -> the worst of its objects' health, with the cause. As many queries however many they are.

    `rows`: of these, None for all. The rest is given where it is at hand: the health of what connects
    (`network_health`), all Deployments, all bare pods. One that holds nothing is left out (`health_of_nothing`).
    """
    few = rows is not None and len(rows) < MANY
    wanted = Q(application__in=[row.uid for row in rows]) if rows is not None and few else Q(application__isnull=False)
    if everything is None:
        everything = facts(wanted & Q(deleted_at=None)) if few else each(followed.now(DEPLOYMENTS)[0])
    parts: Parts = defaultdict(list)
    for one in everything:
        if not one.leaving and one.application:
            parts[one.application].append((_title(one), one.health))
    for pod in bare_pods(wanted) if bare is None else bare:
        if pod.deleted_at is None:
            parts[str(pod.application_id)].append((_title(pod), health_of_pod(pod)))
    if network is None:
        network = network_health(wanted if few else None)
    for row, health in network:
        parts[str(row.application_id)].append((_title(row), health))
    found = {uid: _rolled_up(tuple(those)) for uid, those in parts.items()}
    return found | {row.uid: health_of_nothing(row) for row in rows or () if row.uid not in found}


_rolled_up = lru_cache(KEPT)(rollup)


def health_of_nothing(row: Applied) -> Health:
    """Of an application that has no object whose health anybody could judge."""
    return rollup([]) if row.commit else Health("Missing", "nothing of it was applied yet")


def bare_pods(of: Q | None = None) -> Iterable[Pod]:
    rows = Pod.objects.filter(replica_set=None).select_related("node").defer("annotations", "probes")
    return rows.filter(of) if of is not None else rows


def network_health(of: Q | None = None) -> Judged:
    """Every Service and Ingress with its health; a NetworkPolicy holds as soon as it is there. At most 8 queries.

    `of`: of these only.
    """
    if of is None:
        return health_of_network(*followed.now(SERVICES, INGRESSES, PODS))
    judged: Judged = [(one.row, health_of_backing(one)) for one in backings(connecting(Service, of))]
    # an Ingress may lead to a Service of somebody else
    return judged + [(one.row, health_of_routes(one)) for one in routes_of_ingresses(connecting(Ingress, of))]


def health_of_network(
    services: Rows[Connecting], ingresses: Rows[Connecting], pods: Rows[PodFact], visible: Collection[str] | None = None
) -> Judged:
    backed = backings_of_all(services, pods, visible)
    judged: Judged = [(one.row, health_of_backing(one)) for one in backed]
    routes = routes_of_ingresses(in_order(ingresses, visible), backed)
    return judged + [(one.row, health_of_routes(one)) for one in routes]


def health_of_deployment(row: Deployment) -> Health:
    return judged(
        row.paused or bool(row.spec.get("paused")), row.generation, row.replicas, row.progress,
        row.status.get("conditions") or (), row.pin, row.live_hash,
    )  # fmt: skip


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


def _title(row: Any) -> str:
    return f"{row.kind} {row.namespace}/{row.name}"
