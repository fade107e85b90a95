"""Which pods stand behind services, counted from rows: enough to say whether a Service is healthy.

For pages, which are made often and by a process that is to stay small: no typed manifest is read here. Who wants to
know each endpoint with its address and why it gets no traffic asks `endpoints.py`, where the routers' own rules
decide; a test holds that the two count alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.db.models import Count, Min, Q
from django.db.models.functions import Coalesce

from control.models import Pod, ReplicaSet, Service
from control.selectors.connecting import Connecting
from control.selectors.raw import KEPT, parsed, text

MANY = 200
"""Namespaces; of more than these all pods are read."""
EXTERNAL_PORTS = ({"port": 80}, {"port": 443})
"""Those of an ExternalName that lists none."""


@dataclass(frozen=True, slots=True)
class Backing:
    """`selected` pods of which `ready` get traffic on some port; `by_port`: port -> how many do.

    `lacking`: a targetPort by a name that none of them has, "" when there is none.
    """

    row: Service | Connecting
    selected: int = 0
    ready: int = 0
    by_port: Mapping[int, int] = field(default_factory=dict)
    lacking: str = ""

    @property
    def has_selector(self) -> bool:
        return bool(self.row.spec.get("selector")) and self.row.spec.get("type") != "ExternalName"

    @property
    def ports(self) -> Sequence[Mapping[str, Any]]:
        found = self.row.spec.get("ports") or ()
        return found if found or self.row.spec.get("type") != "ExternalName" else EXTERNAL_PORTS


@dataclass(frozen=True, slots=True)
class _Pods:
    """Pods of one revision that are alike to every Service: the same labels, the same ports. `uid`: of any of them.

    `addressed`: those that are ready or have an address. A bare pod stands for itself.
    """

    uid: str
    labels: Mapping[str, str]
    count: int
    ready: int
    addressed: int


def backings(rows: Sequence[Service | Connecting]) -> list[Backing]:
    """In the order of `rows`. One query; up to three more when a targetPort is a name."""
    pods = _pods({row.namespace for row in rows if row.spec.get("selector")})
    named = [row.namespace for row in rows if any(_is_name(port) for port in row.spec.get("ports") or ())]
    ports = named_ports(pod.uid for namespace in set(named) for pod in pods.get(namespace, ()))
    return [_backing(row, pods.get(row.namespace, ()), ports) for row in rows]


def named_ports(pods: Iterable[str]) -> dict[str, dict[str, int]]:
    """Pod uid -> its named ports, main containers first (Kubernetes' `FindPort`). No query for no pods."""
    uids = list(pods)
    if not uids:
        return {}
    owners = dict(Pod.objects.filter(pk__in=uids).values_list("uid", "replica_set_id"))
    sets = ReplicaSet.objects.filter(pk__in={owner for owner in owners.values() if owner})
    templates = {uid: _ports((spec.get("template") or {}).get("spec") or {}) for uid, spec in _specs(sets)}
    bare = {uid: _ports(spec) for uid, spec in _specs(Pod.objects.filter(pk__in=uids, replica_set=None))}
    return {uid: templates.get(owner, {}) if owner else bare.get(uid, {}) for uid, owner in owners.items()}


def _pods(namespaces: Collection[str]) -> Mapping[str, list[_Pods]]:
    """Those that stay; one that is being deleted is no endpoint. Counted by the database: there may be thousands."""
    found: dict[str, list[_Pods]] = defaultdict(list)
    staying = Pod.objects.filter(deleted_at=None)
    if len(namespaces) < MANY:
        staying = staying.filter(namespace__in=namespaces)
    up, early = Q(ready=True), Q(ready=True) | ~Q(ip="")
    alike = Coalesce("replica_set_id", "uid")  # those of one revision, in one namespace; a bare pod is like no other
    groups = (
        staying.values(alike=alike, told=text("labels"))
        .annotate(
            place=Min("namespace"), first=Min("uid"), all=Count("uid"), up=Count("uid", filter=up),
            early=Count("uid", filter=early),
        )
        .order_by()
    )  # fmt: skip
    columns = ("place", "told", "first", "all", "up", "early")
    for namespace, labels, uid, count, ready, addressed in groups.values_list(*columns) if namespaces else ():
        found[namespace].append(_Pods(uid, _labels(labels), count, ready, addressed))
    return found


@lru_cache(KEPT)
def _labels(told: str) -> Mapping[str, str]:
    found: Mapping[str, str] = parsed(told)
    return found


def _backing(row: Service | Connecting, pods: Iterable[_Pods], named: Mapping[str, Mapping[str, int]]) -> Backing:
    wanted, ports = (row.spec.get("selector") or {}).items(), row.spec.get("ports") or ()
    if not wanted or row.spec.get("type") == "ExternalName":
        return Backing(row)
    mine = [group for group in pods if wanted <= group.labels.items()]
    early = bool(row.spec.get("publishNotReadyAddresses"))
    up = {group.uid: group.addressed if early else group.ready for group in mine}
    behind = {int(port["port"]): [group.uid for group in mine if _has(port, group, named)] for port in ports}
    served = set().union(*behind.values()) if ports else set(up)
    lacking = [port["targetPort"] for port in ports if mine and not any(_has(port, group, named) for group in mine)]
    return Backing(
        row, sum(group.count for group in mine), sum(up[uid] for uid in served),
        {port: sum(up[uid] for uid in those) for port, those in behind.items()}, "".join(lacking[:1]),
    )  # fmt: skip


def _has(port: Mapping[str, Any], pods: _Pods, named: Mapping[str, Mapping[str, int]]) -> bool:
    return not _is_name(port) or port["targetPort"] in named.get(pods.uid, {})


def _is_name(port: Mapping[str, Any]) -> bool:
    return isinstance(port.get("targetPort"), str)


def _specs(rows: Any) -> list[tuple[str, dict[str, Any]]]:
    return list(rows.values_list("uid", "spec"))


def _ports(spec: Mapping[str, Any]) -> dict[str, int]:
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    found: dict[str, int] = {}
    for container in (*(spec.get("containers") or ()), *sidecars):
        for port in container.get("ports") or ():
            if port.get("name"):
                found.setdefault(port["name"], int(port["containerPort"]))
    return found
