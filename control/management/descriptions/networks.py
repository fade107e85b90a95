"""`describe` for what connects: services with every endpoint, ingresses with every route, network policies."""

from __future__ import annotations

from collections.abc import Iterator

from control.management.descriptions import parts
from control.management.network_columns import external, given_ports, label_words, ports_text
from control.management.output import table
from control.models import Ingress, NetworkPolicy, Service
from control.selectors.endpoints import (
    PortEndpoints,
    ServiceEndpoints,
    endpoints_of_services,
)
from control.selectors.health import health_of_routes, health_of_service
from control.selectors.ingresses import IngressRoutes, routes_of_ingresses
from control.selectors.kubernetes_network import openings_for
from control.selectors.kubernetes_nodes import address_of
from control.selectors.measurements import TrafficPoint, recent_traffic
from control.selectors.openings import openings
from control.selectors.policies import pods_of_policies
from control.selectors.routers import problems_about, routers, routers_in_trouble
from control.selectors.service_problems import CARRIED, WHY, selector_text, service_problems, why_not
from deployer.core.health import Health
from deployer.core.network.measurements import Percentile
from deployer.core.network.policy_words import peer_words, ports_words
from deployer.core.objects.network import NetworkPolicyIngressRule, NetworkPolicySpec

TRAFFIC_SECONDS = 300


def describe_service(row: Service, now: float) -> str:
    one = endpoints_of_services([row])[0]
    opened = openings_for([row])
    text = parts.head(
        row, now,
        ("Selector", selector_text(one.service.spec.selector)),
        ("Type", one.service.spec.type),
        ("IP", one.address),
        *([("Reached At", external(row, opened))] if external(row, opened) else []),
        ("Ports", ports_text(row.spec.get("ports") or (), given_ports(row, opened))),
        ("Session Affinity", one.service.spec.session_affinity),
        ("Endpoints", _counts(one)),
        ("Health", _health(health_of_service(row))),
    )  # fmt: skip
    for port in one.ports:
        text += parts.section(_port_title(port), _endpoints(port))
    text += parts.section(f"Traffic, last {TRAFFIC_SECONDS // 60} minutes", _traffic(row, now))
    text += _problems(list(service_problems(one, opened, routers())))
    return text + parts.events("Service", row.namespace, row.name, now)


def describe_ingress(row: Ingress, now: float) -> str:
    one = routes_of_ingresses([row])[0]
    where = ", ".join(f"{address_of(node)[1]} ({node.name})" for node in openings().ingress)
    text = parts.head(
        row, now,
        ("Class", row.spec.get("ingressClassName") or ""),
        ("Address", where),
        ("TLS", "\n".join(_tls(*entry) for entry in one.tls)),
        ("Health", _health(health_of_routes(one))),
    )  # fmt: skip
    text += parts.section("Routes", _routes(one))
    routers = problems_about("Ingress", row.namespace, row.name)
    own = [problem for problem in one.problems if not any(sentence.startswith(problem) for sentence in routers)]
    said = [*own, *routers, *routers_in_trouble()]
    return text + _problems(said) + parts.events("Ingress", row.namespace, row.name, now)


def describe_network_policy(row: NetworkPolicy, now: float) -> str:
    spec, pods = NetworkPolicySpec.model_validate(row.spec), pods_of_policies([row])[0]
    rules = "".join(f"  {line}\n" for rule in spec.ingress for line in _rule(rule, row.namespace))
    text = parts.head(
        row, now,
        ("Pod Selector", label_words(spec.pod_selector) or "all pods of the namespace"),
        ("Selected Pods", ", ".join(pods) or "none yet"),
        ("Policy Types", "Ingress"),
    )  # fmt: skip
    text += parts.section("Allowed", rules or "  nothing: no rule lets anybody in\n")
    text += _problems(problems_about("NetworkPolicy", row.namespace, row.name))
    return text + parts.events("NetworkPolicy", row.namespace, row.name, now)


def _counts(one: ServiceEndpoints) -> str:
    if not one.has_selector:
        return "none of Pierhead's: it has no selector"
    return f"{one.ready_pods} ready of {len(one.pods)} selected pods"


def _health(health: Health) -> str:
    return f"{health.status}: {health.message}" if health.message else health.status


def _port_title(port: PortEndpoints) -> str:
    """ "Port http 80/TCP -> 8080, carried as http (HTTP/1.1 and websockets; by its name)"."""
    given = port.port
    name = f"{given.name} " if given.name else ""
    target = given.port if given.target_port is None else given.target_port
    how = f"{port.mode} ({CARRIED[port.mode]}; {WHY[port.why]})"
    return f"Port {name}{given.port}/{given.protocol} -> {target}, carried as {how}"


def _endpoints(port: PortEndpoints) -> str:
    header = ("Pod", "Address", "Node", "Ready", "Why Not")
    lines = [
        (one.pod.name, one, one.pod.node.name if one.pod.node else "", "yes", "-")
        if one.ready
        else (one.pod.name, one, one.pod.node.name if one.pod.node else "", "no", why_not(one))
        for one in port.endpoints
    ]
    return parts.inset(table(header, lines)) if lines else ""


def _traffic(row: Service, now: float) -> str:
    points = recent_traffic(row.namespace, row.name, now, TRAFFIC_SECONDS)
    header = ("Port", "Revision", "Rate", "Errors", "p50", "p95", "p99")
    return parts.inset(table(header, [_point(one) for one in points])) if points else ""


def _point(one: TrafficPoint) -> tuple[object, ...]:
    errors = f"{one.error_ratio * 100:.2g}% ({one.amount.errors})"
    latencies = [_latency(found) for found in (one.p50, one.p95, one.p99)]
    return (one.port, one.revision or "-", f"{one.rate:.3g}/s", errors, *latencies)


def _latency(found: Percentile | None) -> str:
    return str(found) if found is not None else "-"


def _tls(secret: str, hosts: tuple[str, ...]) -> str:
    shown = ", ".join(hosts) or "all its hosts"
    return f"Secret {secret} for {shown}" if secret else f"the default certificate for {shown}"


def _routes(one: IngressRoutes) -> str:
    header = ("Host", "Path", "Service", "Port", "Endpoints Ready", "Problem")
    lines = [
        (route.host, route.path or "(default)", route.service, route.port, route.ready, route.problem or "-")
        for route in one.routes
    ]
    return parts.inset(table(header, lines)) if lines else ""


def _rule(rule: NetworkPolicyIngressRule, namespace: str) -> Iterator[str]:
    ports = f"on {ports_words(rule.ports)}" if rule.ports else "on every port"
    for peer in rule.from_ or (None,):
        yield f"{peer_words(peer, namespace)} {ports}"


def _problems(sentences: list[str]) -> str:
    return parts.section("Problems", "".join(f"  {one}\n" for one in sentences)) if sentences else ""
