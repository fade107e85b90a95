"""Clusters as one would sketch them: `"a:WW b: c:D"` is three nodes, two web pods on a, a database pod on c.

W is a pod of Deployment/shop/web (label app=web), D one of Deployment/shop/db; each takes 1 of the 4 CPUs and 1 of the
4 GiB of its node. Nodes carry their hostname; `a@z1` stands in zone z1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deployer.core.objects.placement import Affinity, TopologySpreadConstraint
from deployer.core.scheduling.placement import place
from deployer.core.scheduling.values import Node, PendingPod, PlacedPod, Placement, Resources

GI = 1024**3
HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
APPS = {"W": "web", "D": "db"}
ONE = Resources(1000, GI)


def cluster(picture: str) -> tuple[list[Node], list[PlacedPod]]:
    nodes: list[Node] = []
    placed: list[PlacedPod] = []
    for word in picture.split():
        where, _, pods = word.partition(":")
        name, _, zone = where.partition("@")
        nodes.append(node(name, **({"labels": {ZONE: zone}} if zone else {})))
        placed.extend(running(letter, name, number) for number, letter in enumerate(pods))
    return nodes, placed


def node(name: str, labels: dict[str, str] | None = None, **parts: Any) -> Node:
    parts.setdefault("allocatable", Resources(4000, 4 * GI))
    return Node(name=name, labels={HOSTNAME: name, **(labels or {})}, **parts)


def running(letter: str, on: str, number: int = 0, **parts: Any) -> PlacedPod:
    app = APPS[letter]
    return PlacedPod(
        uid=f"{on}-{app}-{number}", namespace="shop", name=f"{app}-{on}-{number}", node=on, labels={"app": app},
        owner=f"Deployment/shop/{app}", requests=ONE, **parts,
    )  # fmt: skip


def pod(app: str = "web", **parts: Any) -> PendingPod:
    usual: dict[str, Any] = {
        "uid": f"{app}-0", "namespace": "shop", "name": f"{app}-0", "labels": {"app": app},
        "owner": f"Deployment/shop/{app}", "template_hash": "1", "requests": ONE,
    }  # fmt: skip
    return PendingPod(**{**usual, **parts})


def replicas(count: int, template: PendingPod) -> list[PendingPod]:
    app = template.labels["app"]
    return [replace(template, uid=f"{app}-{number}", name=f"{app}-{number}") for number in range(count)]


def affinity(**parts: Any) -> Affinity:
    """`affinity(podAffinity=required(term))`: as it stands in a manifest."""
    return Affinity.model_validate(parts)


def required(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}


def on_node(name: str) -> dict[str, Any]:
    field = {"key": "metadata.name", "operator": "In", "values": [name]}
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [field]}]}}


def preferred(*terms: dict[str, Any]) -> dict[str, Any]:
    wishes = [{"weight": 1, "podAffinityTerm": term} for term in terms]
    return {"preferredDuringSchedulingIgnoredDuringExecution": wishes}


def beside(app: str, key: str = HOSTNAME) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}


def spread(app: str, key: str = HOSTNAME, skew: int = 1, hard: bool = True, **more: Any) -> TopologySpreadConstraint:
    unsatisfiable = "DoNotSchedule" if hard else "ScheduleAnyway"
    selector = {"labelSelector": {"matchLabels": {"app": app}}, "whenUnsatisfiable": unsatisfiable}
    return TopologySpreadConstraint.model_validate({"maxSkew": skew, "topologyKey": key, **selector, **more})


def placed_in(picture: str, *pods: PendingPod) -> str:
    """Where the pods go, in their order: `"a b -"`; `-` waits."""
    nodes, placed = cluster(picture)
    return targets(place(pods, nodes, placed), *pods)


def targets(placement: Placement, *pods: PendingPod) -> str:
    return " ".join(placement.bound.get(one.uid, "-") for one in pods)
