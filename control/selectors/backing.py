"""Which pods stand behind services, counted from rows: enough to say whether a Service is healthy.

For pages, which are made often and by a process that is to stay small: no typed manifest is read here. Who wants to
know each endpoint with its address and why it gets no traffic asks `endpoints.py`, where the routers' own rules
decide; a test holds that the two count alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from control.models import Pod, ReplicaSet, Service

EXTERNAL_PORTS = ({"port": 80}, {"port": 443})
"""Those of an ExternalName that lists none."""


@dataclass(frozen=True, slots=True)
class Backing:
    """`selected` pods of which `ready` get traffic on some port; `by_port`: port -> how many do.

    `lacking`: a targetPort by a name that none of them has, "" when there is none.
    """

    row: Service
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
class _Pod:
    uid: str
    labels: Mapping[str, str]
    ready: bool
    has_address: bool


def backings(rows: Sequence[Service]) -> list[Backing]:
    """In the order of `rows`. One query; up to two more when a targetPort is a name."""
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


def _pods(namespaces: Iterable[str]) -> Mapping[str, list[_Pod]]:
    """Those that stay; one that is being deleted is no endpoint."""
    wanted = list(namespaces)
    found: dict[str, list[_Pod]] = defaultdict(list)
    columns = ("uid", "namespace", "labels", "ready", "ip")
    rows = Pod.objects.filter(namespace__in=wanted, deleted_at=None).values_list(*columns) if wanted else ()
    for uid, namespace, labels, ready, ip in rows:
        found[namespace].append(_Pod(uid, labels, ready, bool(ip)))
    return found


def _backing(row: Service, pods: Iterable[_Pod], named: Mapping[str, Mapping[str, int]]) -> Backing:
    wanted, ports = (row.spec.get("selector") or {}).items(), row.spec.get("ports") or ()
    if not wanted or row.spec.get("type") == "ExternalName":
        return Backing(row)
    mine = [pod for pod in pods if wanted <= pod.labels.items()]
    early = bool(row.spec.get("publishNotReadyAddresses"))
    up = [pod for pod in mine if pod.ready or (early and pod.has_address)]
    behind = {int(port["port"]): {pod.uid for pod in up if _has(port, pod, named)} for port in ports}
    ready = len(set().union(*behind.values())) if ports else len(up)
    lacking = [
        port["targetPort"] for port in ports if mine and not any(_has(port, pod, named) for pod in mine)
    ]
    return Backing(row, len(mine), ready, {port: len(those) for port, those in behind.items()}, "".join(lacking[:1]))


def _has(port: Mapping[str, Any], pod: _Pod, named: Mapping[str, Mapping[str, int]]) -> bool:
    return not _is_name(port) or port["targetPort"] in named.get(pod.uid, {})


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
