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
from sys import intern
from typing import Any, NamedTuple

from django.db.models import Count, Min, Q
from django.db.models.functions import Coalesce

from control.models import Pod, ReplicaSet, Service
from control.selectors.connecting import Connecting
from control.selectors.followed import Rows, Table, by_name
from control.selectors.raw import KEPT, parsed, text
from deployer.core.health import Health, service_health

MANY = 200
"""Namespaces; of more than these all pods are read."""
EXTERNAL_PORTS = ({"port": 80}, {"port": 443})
"""Those of an ExternalName that lists none."""


@dataclass(frozen=True, slots=True)
class Backing:
    """`selected` pods of which `ready` get traffic on some port; `by_port`: port -> how many do.

    `lacking`: a targetPort by a name that none of them has, "" when there is none. `health`: what follows.
    """

    row: Service | Connecting
    selected: int = 0
    ready: int = 0
    by_port: Mapping[int, int] = field(default_factory=dict)
    lacking: str = ""
    health: Health = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "health", _health(self))

    @property
    def has_selector(self) -> bool:
        return bool(self.row.spec.get("selector")) and self.row.spec.get("type") != "ExternalName"

    @property
    def ports(self) -> Sequence[Mapping[str, Any]]:
        found = self.row.spec.get("ports") or ()
        return found if found or self.row.spec.get("type") != "ExternalName" else EXTERNAL_PORTS


def _health(one: Backing) -> Health:
    """By the pods that get traffic: one that is ready behind a port that it does not have is none."""
    if one.lacking and one.selected == 1:
        return Health("Degraded", f"the pod that it selects has no port named {one.lacking}")
    if one.lacking:
        return Health("Degraded", f"none of the {one.selected} pods that it selects has a port named {one.lacking}")
    return service_health(one.ready, one.has_selector, one.selected)


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


class PodFact(NamedTuple):
    """What Services ask of a pod that stays. `alike`: its replica set; of a bare pod, itself. `told`: its labels."""

    uid: str
    alike: str
    told: str
    ready: bool
    addressed: bool


def _facts(of: Q) -> Iterable[tuple[str, str, PodFact]]:
    rows: Any = Pod.objects.filter(of, deleted_at=None).order_by()
    columns = rows.values_list("namespace", "name", "uid", "replica_set_id", text("labels"), "ready", "ip")
    for namespace, name, uid, owner, told, ready, ip in columns.iterator(2000):
        yield namespace, name, PodFact(uid, intern(owner or uid), intern(told), ready, ready or bool(ip))


PODS: Table[PodFact] = Table(_facts, frozenset({"Pod"}), {"ReplicaSet": lambda names: by_name(names, "replica_set__")})
"""A replica set's template says which port has which name."""
_Known = tuple[Mapping[str, Connecting], Mapping[str, PodFact], list[Backing]]
_known: dict[str, _Known] = {}
"""Namespace -> what was counted there, and of which rows."""
_NONE: Mapping[str, PodFact] = {}


def backings_of_all(
    services: Rows[Connecting], pods: Rows[PodFact], visible: Collection[str] | None = None
) -> list[Backing]:
    """By namespace and name. They are counted anew in the namespaces where a row was written; at most three queries."""
    wanted = sorted(services if visible is None else services.keys() & set(visible))
    found = {one: _known.get(one) for one in wanted}
    late = [one for one in wanted if not _holds(found[one], services[one], pods.get(one, _NONE))]
    counted = {one: _counted(pods.get(one, _NONE).values()) for one in late}
    named = {one for one in late for row in services[one].values() if _asks_by_name(row)}
    ports = named_ports(pod.uid for one in named for pod in counted[one])
    for one in late:
        those = [_backing(row, counted[one], ports) for _, row in sorted(services[one].items())]
        found[one] = _known[one] = (services[one], pods.get(one, _NONE), those)
    for gone in _known.keys() - services.keys():
        _known.pop(gone, None)
    return [backing for known in found.values() if known for backing in known[2]]


def _holds(known: _Known | None, services: Mapping[str, Connecting], pods: Mapping[str, PodFact]) -> bool:
    return known is not None and known[0] is services and known[1] is pods


def _counted(pods: Iterable[PodFact]) -> list[_Pods]:
    groups: dict[tuple[str, str], list[PodFact]] = defaultdict(list)
    for pod in pods:
        groups[pod.alike, pod.told].append(pod)
    return [
        _Pods(
            min(pod.uid for pod in those), _labels(told), len(those), sum(pod.ready for pod in those),
            sum(pod.addressed for pod in those),
        )
        for (_, told), those in groups.items()
    ]  # fmt: skip


def backings(rows: Sequence[Service | Connecting]) -> list[Backing]:
    """In the order of `rows`. One query; up to three more when a targetPort is a name."""
    pods = _pods({row.namespace for row in rows if row.spec.get("selector")})
    named = {row.namespace for row in rows if _asks_by_name(row)}
    ports = named_ports(pod.uid for namespace in named for pod in pods.get(namespace, ()))
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


def _asks_by_name(row: Service | Connecting) -> bool:
    return any(_is_name(port) for port in row.spec.get("ports") or ())


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
