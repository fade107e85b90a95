"""Services as the network page lists them: where each is reached, and which of its pods get no traffic, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from control.models import Pod, PodNetwork, Service, ServiceAddress
from control.selectors.backing import Backing
from control.selectors.connecting import Connecting
from control.selectors.pod_lines import why
from control.selectors.words import WORST_FIRST, State, sentence, state_of
from deployer.core.network.addresses import virtual_address

WAITING_SHOWN = 3
_COLUMNS = ("spec", "annotations", "log_tail", "attempts", "pulls", "status")


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """`selected` pods of which `ready` get traffic; None for a Service that selects none. `message`: what is wrong."""

    namespace: str
    name: str
    type: str
    ports: tuple[str, ...]
    state: State
    message: str
    selected: int | None
    ready: int

    @property
    def searched(self) -> str:
        return f"{self.namespace}/{self.name} {self.type} {' '.join(self.ports)} {self.message}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pod behind a Service that is not ready, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A line with what is asked for those that are shown only. `more` pods wait that are not listed."""

    line: ServiceLine
    address: str
    waiting: tuple[Waiting, ...]
    more: int


FACETS: Mapping[str, Callable[[ServiceLine], str]] = {
    "health": lambda line: line.state.word,
    "type": lambda line: line.type,
    "namespace": lambda line: line.namespace,
}


def service_lines(backed: Iterable[Backing], said: Mapping[tuple[str, str], Sequence[str]]) -> list[ServiceLine]:
    """The worst first. `said`: what routers say about each."""
    lines = [_line(one, said.get((one.row.namespace, one.row.name), ())) for one in backed]
    return sorted(lines, key=lambda line: (WORST_FIRST.index(line.state.tone), line.namespace, line.name))


def service_rows(lines: Sequence[ServiceLine], backed: Iterable[Backing]) -> list[ServiceRow]:
    """`lines` in their order. Three queries."""
    rows = {(one.row.namespace, one.row.name): one.row for one in backed}
    mine = [rows[line.namespace, line.name] for line in lines]
    addresses, pods = addresses_of(mine), _not_ready({row.namespace for row in mine})
    found = []
    for line, row in zip(lines, mine, strict=True):
        wanted = (row.spec.get("selector") or {}).items()
        late = [pod for pod in pods[row.namespace] if wanted and wanted <= pod.labels.items()]
        shown = tuple(Waiting(pod.name, why(pod) or "it is being started") for pod in late[:WAITING_SHOWN])
        found.append(ServiceRow(line, addresses[row.uid], shown, len(late) - len(shown)))
    return found


def addresses_of(rows: Sequence[Service | Connecting]) -> dict[str, str]:
    """Service uid -> its virtual address in words. Two queries."""
    given = ServiceAddress.objects.filter(service__in=[row.uid for row in rows], pod="", released_at=None)
    indexes = dict(given.values_list("service", "index"))
    there = PodNetwork.objects.filter(namespace__in={row.namespace for row in rows}, workload="")
    networks = dict(there.values_list("namespace", "index"))
    return {row.uid: _address(row, indexes.get(row.uid), networks.get(row.namespace)) for row in rows}


def port_words(port: Mapping[str, Any]) -> str:
    """ "80 → 8080", "5432 (db)"."""
    target = port.get("targetPort")
    led = f" → {target}" if target not in (None, port["port"]) else ""
    opened = f", node port {port['nodePort']}" if port.get("nodePort") else ""
    name = f" ({port['name']})" if port.get("name") else ""
    return sentence(f"{port['port']}{led}{name}{opened}")


def _line(one: Backing, said: Sequence[str]) -> ServiceLine:
    health, row = one.health, one.row
    state, told = state_of(health), [health.message] if health.status != "Healthy" else []
    if said and state.tone == "good":
        state = State("Degraded", "warn")
    return ServiceLine(
        namespace=row.namespace,
        name=row.name,
        type="Headless" if row.spec.get("clusterIP") == "None" else str(row.spec.get("type") or "ClusterIP"),
        ports=tuple(port_words(port) for port in one.ports),
        state=state,
        message=sentence("; ".join(filter(None, [*told, *said]))),
        selected=one.selected if one.has_selector else None,
        ready=one.ready,
    )


def _address(row: Service | Connecting, index: int | None, network: int | None) -> str:
    if row.spec.get("type") == "ExternalName":
        return sentence(str(row.spec.get("externalName") or ""))
    if row.spec.get("clusterIP") == "None":
        return "its pods' own addresses"
    if not index or network is None:
        return ""
    return virtual_address(settings.PIERHEAD.pod_range, network, index)


def _not_ready(namespaces: Iterable[str]) -> Mapping[str, list[Pod]]:
    found: dict[str, list[Pod]] = defaultdict(list)
    rows = Pod.objects.filter(namespace__in=namespaces, deleted_at=None, ready=False).select_related("node")
    for pod in rows.defer(*_COLUMNS, "node__credentials", "node__images").order_by("namespace", "name"):
        found[pod.namespace].append(pod)
    return found
