"""What an object takes for itself alone, and what it counts on: for the checks that no single object can answer.

`deployer.core.manifest_set` compares marks over all files of a commit. A Secret's values are looked at when it is read,
so nothing of them is carried on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deployer.core.canary.templates import About
from deployer.core.manifest_checks.finding import Path, shown
from deployer.core.objects.analysis import AnalysisTemplateSpec
from deployer.core.objects.kinds import AnalysisTemplate, Ingress, KubernetesObject, Rollout, Secret, Service
from deployer.core.objects.network import IngressBackend
from deployer.core.objects.rollout import CanaryStrategy, RolloutAnalysis
from deployer.core.tls_pair import CERTIFICATE, KEY, TLS_TYPE


@dataclass(frozen=True, slots=True)
class Claim:
    """`thing` is taken by the field at `path`; nobody else may have it. `text` names it in a sentence."""

    thing: tuple[str, ...]
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class TlsUse:
    """An Ingress serves with this Secret of its namespace."""

    secret: str
    path: Path


@dataclass(frozen=True, slots=True)
class TlsDoubt:
    """Why this Secret cannot serve: told only when an Ingress wants it to."""

    path: Path
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class PortUse:
    """An Ingress leads to this port (name or number) of a Service of its namespace."""

    service: str
    port: str | int
    path: Path


@dataclass(frozen=True, slots=True)
class PortsOffered:
    """All that a Service may be asked for: the names and numbers of its ports."""

    ports: tuple[str | int, ...]
    path: Path = ("spec", "ports")


@dataclass(frozen=True, slots=True)
class TemplateOffered:
    """What an AnalysisTemplate says."""

    spec: AnalysisTemplateSpec
    path: Path = ("spec",)


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """An AnalysisTemplate of its namespace is named."""

    template: str
    path: Path


@dataclass(frozen=True, slots=True)
class AnalysisUse:
    """An analysis of a Rollout; `ends`: a step waits for it."""

    analysis: RolloutAnalysis
    about: About
    ends: bool
    path: Path


@dataclass(frozen=True, slots=True)
class ServiceUse:
    """A Rollout has traffic led to some of its pods by a Service of its namespace. `labels` are those of the pods."""

    service: str
    labels: Mapping[str, str]
    path: Path


@dataclass(frozen=True, slots=True)
class StableUse:
    """A Rollout's `stableService`, and the Ingresses whose requests to it are split all the same."""

    service: str
    ingresses: tuple[str, ...]
    path: Path = ("spec", "strategy", "canary", "stableService")


@dataclass(frozen=True, slots=True)
class IngressUse:
    """One of those Ingresses, of the Rollout's namespace: it leads to `service`."""

    ingress: str
    service: str
    path: Path


@dataclass(frozen=True, slots=True)
class Selects:
    """The pods that a Service leads to; none for one that is not Pierhead's to lead."""

    selector: Mapping[str, str]
    path: Path = ("spec", "selector")


Mark = (
    Claim
    | TlsUse
    | TlsDoubt
    | PortUse
    | PortsOffered
    | TemplateOffered
    | TemplateUse
    | AnalysisUse
    | ServiceUse
    | Selects
    | StableUse
    | IngressUse
)


def marks(found: KubernetesObject) -> Iterator[Mark]:
    match found:
        case Service():
            yield from _of_service(found)
        case Ingress():
            yield from _of_ingress(found)
        case Secret():
            yield from _of_secret(found)
        case Rollout():
            yield from _of_rollout(found)
        case AnalysisTemplate():
            yield TemplateOffered(found.spec)
            for index, one in enumerate(found.spec.templates):
                yield TemplateUse(one.template_name, ("spec", "templates", index, "templateName"))


def _of_service(found: Service) -> Iterator[Mark]:
    """Ports of the nodes, the first of each number: one that is there twice is told by the Service's own check."""
    spec = found.spec
    numbers = {one.node_port: index for index, one in reversed([*enumerate(spec.ports)]) if one.node_port}
    for number, index in sorted(numbers.items()):
        yield Claim(("nodePort", str(number)), ("spec", "ports", index, "nodePort"), str(number))
    yield Selects({} if spec.type == "ExternalName" else spec.selector)
    if spec.type != "ExternalName":
        yield PortsOffered((*(one.name for one in spec.ports if one.name), *(one.port for one in spec.ports)))


def _of_ingress(found: Ingress) -> Iterator[Mark]:
    spec = found.spec
    for index, rule in enumerate(spec.rules):
        for number, one in enumerate(rule.http.paths if rule.http else ()):
            place = ("spec", "rules", index, "http", "paths", number)
            yield _route(rule.host, one.path_type, one.path, (*place, "path"))
            yield _port(one.backend, (*place, "backend"))
    if spec.default_backend is not None:
        yield _port(spec.default_backend, ("spec", "defaultBackend"))
        yield Claim(("default backend",), ("spec", "defaultBackend"), "the default backend")
    for index, entry in enumerate(spec.tls):
        yield TlsUse(entry.secret_name, ("spec", "tls", index, "secretName"))


def _route(host: str, path_type: str, path: str, place: Path) -> Claim:
    """A host with a path, as the router tells them apart: /api and /api/ are one prefix."""
    thing = ("Exact", host, path) if path_type == "Exact" else ("Prefix", host, path.rstrip("/"))
    return Claim(("route", *thing), place, shown(f"{host}{path}" if host else f"{path} of every host"))


def _port(backend: IngressBackend, place: Path) -> PortUse:
    port = backend.service.port
    return PortUse(backend.service.name, port.name or port.number or 0, (*place, "service", "port"))


def _of_secret(found: Secret) -> Iterator[Mark]:
    if found.type != TLS_TYPE:
        remedy = f"write type: {TLS_TYPE}, with {CERTIFICATE} and {KEY}"
        yield TlsDoubt(("type",), f"must be {TLS_TYPE}", remedy)
        return
    for key in (CERTIFICATE, KEY):
        if not (found.string_data.get(key) or found.data.get(key)):
            field = "stringData" if key in found.string_data else "data"
            yield TlsDoubt((field, key), "must not be empty", "write it in PEM")


def _of_rollout(found: Rollout) -> Iterator[Mark]:
    labels = found.spec.template.metadata.labels
    for service, path in _services(found):
        if service:
            yield ServiceUse(service, labels, path)
    if found.spec.strategy.canary is not None:
        yield from _stable(found.spec.strategy.canary)
    meta = found.metadata
    about = About(meta.name, meta.namespace, meta.labels, meta.annotations)
    for analysis, ends, path in _analyses(found):
        yield AnalysisUse(analysis, about, ends, path)
        for index, one in enumerate(analysis.templates):
            yield TemplateUse(one.template_name, (*path, "templates", index, "templateName"))


def _services(found: Rollout) -> Iterator[tuple[str, Path]]:
    strategy, place = found.spec.strategy, ("spec", "strategy")
    if strategy.canary is not None:
        yield strategy.canary.canary_service, (*place, "canary", "canaryService")
        yield strategy.canary.stable_service, (*place, "canary", "stableService")
    if strategy.blue_green is not None:
        yield strategy.blue_green.active_service, (*place, "blueGreen", "activeService")
        yield strategy.blue_green.preview_service, (*place, "blueGreen", "previewService")


def _stable(found: CanaryStrategy) -> Iterator[StableUse | IngressUse]:
    service, nginx = found.stable_service, found.traffic_routing.nginx if found.traffic_routing else None
    named = nginx.names if nginx else ()
    if service:
        yield StableUse(service, named)
    place: Path = ("spec", "strategy", "canary", "trafficRouting", "nginx")
    for index, name in enumerate(named):
        field: Path = ("stableIngresses", index) if nginx and nginx.stable_ingresses else ("stableIngress",)
        yield IngressUse(name, service, (*place, *field))


def _analyses(found: Rollout) -> Iterator[tuple[RolloutAnalysis, bool, Path]]:
    strategy, place = found.spec.strategy, ("spec", "strategy")
    if strategy.canary is not None:
        if strategy.canary.analysis is not None:
            yield strategy.canary.analysis, False, (*place, "canary", "analysis")
        for index, step in enumerate(strategy.canary.steps):
            if step.analysis is not None:
                yield step.analysis, True, (*place, "canary", "steps", index, "analysis")
    if strategy.blue_green is not None:
        for name, analysis in (
            ("prePromotionAnalysis", strategy.blue_green.pre_promotion_analysis),
            ("postPromotionAnalysis", strategy.blue_green.post_promotion_analysis),
        ):
            if analysis is not None:
                yield analysis, True, (*place, "blueGreen", name)
