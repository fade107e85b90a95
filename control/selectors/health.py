"""Health of objects and of applications, from rows alone. The rules are the core's (`deployer.core.health`)."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from django.db.models import Q

from control.models import Deployment, Ingress, Pod, Service
from control.selectors.backing import PODS, PodFact, backings, backings_of_all
from control.selectors.connecting import INGRESSES, SERVICES, Connecting, connecting
from control.selectors.deployment_facts import DEPLOYMENTS, Facts, facts, judged
from control.selectors.followed import Rows, each, followed, in_order
from control.selectors.ingresses import IngressRoutes, routes_of_ingresses
from deployer.core.health import Health, all_healthy, ingress_health, pod_health, rollup

MANY = 200
"""Of so many applications all rows are read: databases bound the length of a list of ids."""
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
    if network is None:
        network = network_health(wanted if few else None)
    found = _rolled_up(
        itertools.chain(
            ((one.application, one.title, one.health) for one in everything if one.application and not one.leaving),
            (
                (str(pod.application_id), str(pod), health_of_pod(pod))
                for pod in (bare_pods(wanted) if bare is None else bare)
                if pod.deleted_at is None
            ),
            ((str(row.application_id), str(row), health) for row, health in network),
        )
    )
    return found | {row.uid: health_of_nothing(row) for row in rows or () if row.uid not in found}


def _rolled_up(parts: Iterable[tuple[str, str, Health]]) -> dict[str, Health]:
    """`rollup` of what is of one application (uid, title, health), without putting together what is healthy: as nearly
    everything is."""
    counts: dict[str, int] = defaultdict(int)
    others: dict[str, list[tuple[str, Health]]] = defaultdict(list)
    for uid, title, health in parts:
        counts[uid] += 1
        if health.status != "Healthy":
            others[uid].append((title, health))
    known = {count: all_healthy(count) for count in set(counts.values())}
    return {uid: known[count] for uid, count in counts.items()} | {uid: rollup(ill) for uid, ill in others.items()}


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
    judged: Judged = [(one.row, one.health) for one in backings(connecting(Service, of))]
    # an Ingress may lead to a Service of somebody else
    return judged + [(one.row, health_of_routes(one)) for one in routes_of_ingresses(connecting(Ingress, of))]


def health_of_network(
    services: Rows[Connecting], ingresses: Rows[Connecting], pods: Rows[PodFact], visible: Collection[str] | None = None
) -> Judged:
    backed = backings_of_all(services, pods, visible)
    judged: Judged = [(one.row, one.health) for one in backed]
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
    return backings([row])[0].health


def health_of_routes(one: IngressRoutes) -> Health:
    return ingress_health(len(one.ready_services), len(one.services), one.problems)
