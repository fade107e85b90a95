"""One Service: every endpoint with its reason, what leads to it, who is let in, and what it answered.

Reads typed manifests, as the routers do: the same rules say which pod gets traffic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control.models import Ingress, Service
from control.selectors.backing import Backing
from control.selectors.endpoints import PodEndpoint, PortEndpoints, ServiceEndpoints, endpoints_of_services
from control.selectors.event_lines import EventLine, events_of
from control.selectors.ingress_lines import IngressLine, ingress_lines, with_certificates
from control.selectors.ingresses import routes_of_ingresses
from control.selectors.kubernetes_network import balancing_nodes, openings_for
from control.selectors.kubernetes_nodes import address_of
from control.selectors.narrowing import PAGE
from control.selectors.openings import Openings
from control.selectors.plots import Plot, traffic_plots
from control.selectors.policy_lines import PolicyLine, policies_about
from control.selectors.routers import Routers, routers
from control.selectors.service_problems import CARRIED, WHY, selector_text, service_problems, why_not
from control.selectors.words import Moment, State, sentence, state_of


@dataclass(frozen=True, slots=True)
class EndpointLine:
    pod: str
    address: str
    node: str
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class PortLine:
    """`title`: "80 → 8080"; `carried`: how, and why so. `endpoints`: those of the page, not ready ones first."""

    title: str
    carried: str
    opened: int
    ready: int
    count: int
    endpoints: tuple[EndpointLine, ...]


@dataclass(frozen=True, slots=True)
class ServicePage:
    """`outside`: the nodes on which it is reached from outside. `ready` of `selected` pods; -1: it selects none."""

    namespace: str
    name: str
    state: State
    message: str
    type: str
    address: str
    outside: tuple[str, ...]
    selector: str
    affinity: str
    application: str
    created: Moment
    ready: int
    selected: int
    ports: tuple[PortLine, ...]
    number: int
    pages: int
    problems: tuple[str, ...]
    ingresses: tuple[IngressLine, ...]
    policies: tuple[PolicyLine, ...]
    plots: tuple[Plot, ...]
    events: tuple[EventLine, ...]


def service_page(namespace: str, name: str, number: int, now: float) -> ServicePage | None:
    """None when there is none. `number`: the page of its endpoints."""
    row = Service.objects.select_related("application").filter(namespace=namespace, name=name, deleted_at=None).first()
    if row is None:
        return None
    one, opened, told = endpoints_of_services([row])[0], openings_for([row]), routers()
    backing = _backing(row, one)
    health = backing.health
    pages = max(-(-max((len(port.endpoints) for port in one.ports), default=0) // PAGE), 1)
    number = min(max(number, 1), pages)
    return ServicePage(
        namespace=namespace,
        name=name,
        state=state_of(health),
        message="" if health.status == "Healthy" else sentence(health.message),
        type=one.service.spec.type,
        address=one.address,
        outside=tuple(_outside(row, opened)),
        selector=sentence(selector_text(one.service.spec.selector)),
        affinity=one.service.spec.session_affinity,
        application=row.application.name if row.application else "",
        created=Moment(row.created_at, now),
        ready=one.ready_pods,
        selected=len(one.pods) if one.has_selector else -1,
        ports=tuple(_port(row, port, opened, number) for port in one.ports),
        number=number,
        pages=pages,
        problems=tuple(sentence(problem) for problem in service_problems(one, opened, told)),
        ingresses=tuple(_ingresses(row, backing, told, now)),
        policies=tuple(_policies(one)),
        plots=tuple(traffic_plots(namespace, [name], now)),
        events=tuple(events_of("Service", namespace, name, now)),
    )


def _outside(row: Service, opened: Openings | None) -> Iterable[str]:
    if row.spec.get("externalName"):
        yield sentence(str(row.spec["externalName"]))
    for node in balancing_nodes(row, opened):
        yield sentence(f"{address_of(node)[1]} ({node.name})")


def _port(row: Service, port: PortEndpoints, opened: Openings | None, number: int) -> PortLine:
    given = port.port
    target = given.port if given.target_port is None else given.target_port
    name = f" ({given.name})" if given.name else ""
    ordered = sorted(port.endpoints, key=lambda one: (one.ready, one.pod.name))
    return PortLine(
        title=sentence(f"{given.port}{f' → {target}' if target != given.port else ''}{name} {given.protocol}"),
        carried=f"carried as {CARRIED[port.mode]}, {WHY[port.why]}",
        opened=(opened.ports.get((row.uid, given.port)) or 0) if opened else 0,
        ready=sum(one.ready for one in port.endpoints),
        count=len(port.endpoints),
        endpoints=tuple(_endpoint(one) for one in ordered[(number - 1) * PAGE : number * PAGE]),
    )


def _endpoint(one: PodEndpoint) -> EndpointLine:
    return EndpointLine(
        pod=one.pod.name,
        address=str(one),
        node=one.pod.node.name if one.pod.node else "",
        state=State("Ready", "good") if one.ready else State("Not ready", "warn"),
        reason="" if one.ready else sentence(why_not(one)) or "it is being started",
    )


def _backing(row: Service, one: ServiceEndpoints) -> Backing:
    """What `backings` would count, without asking again."""
    lacking = [
        port.port.target_port
        for port in one.ports
        if isinstance(port.port.target_port, str) and one.pods and not any(end.port for end in port.endpoints)
    ]
    by_port = {port.port.port: sum(end.ready for end in port.endpoints) for port in one.ports}
    return Backing(row, len(one.pods), one.ready_pods, by_port, "".join(lacking[:1]))


def _ingresses(row: Service, backing: Backing, told: Routers, now: float) -> Sequence[IngressLine]:
    """Those of its namespace that lead to it, as far as they do."""
    rows = Ingress.objects.filter(namespace=row.namespace, deleted_at=None).order_by("name")
    mine = [found for found in (_as_far_as(row.name, one) for one in rows) if found]
    return with_certificates(ingress_lines(routes_of_ingresses(mine, [backing], told)), now)


def _as_far_as(service: str, row: Ingress) -> Ingress | None:
    """With the paths that lead to the service alone; None when none does."""
    rules = []
    for rule in row.spec.get("rules") or ():
        paths = [path for path in (rule.get("http") or {}).get("paths") or () if _leads(path["backend"], service)]
        rules += [{**rule, "http": {"paths": paths}}] if paths else []
    default = row.spec.get("defaultBackend")
    row.spec = {**row.spec, "rules": rules, "defaultBackend": default if default and _leads(default, service) else None}
    return row if rules or row.spec["defaultBackend"] else None


def _leads(backend: Mapping[str, Any], service: str) -> bool:
    return bool((backend.get("service") or {}).get("name") == service)


def _policies(one: ServiceEndpoints) -> Iterable[PolicyLine]:
    return policies_about(one.service.namespace, one.pods) if one.pods else ()
