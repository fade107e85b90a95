"""Rollouts: steps that can be taken one after the other (Argo Rollouts: pkg/apis/rollouts/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deployer.core.canary.amounts import BadAmount
from deployer.core.canary.strategy import header_route, pause_seconds
from deployer.core.manifest_checks import analyses, canaries, deployments, names
from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.manifest_checks.privileges import Rights
from deployer.core.network.header_words import regex_fault, route_key
from deployer.core.objects.rollout import (
    ROUTER,
    BlueGreenStrategy,
    CanaryScaleStep,
    CanaryStep,
    CanaryStrategy,
    HeaderRouteMatch,
    HeaderRouteStep,
    NginxRouting,
    RolloutSpec,
    Sticky,
    TrafficRouting,
)

_STRATEGY: Path = ("spec", "strategy")
_CANARY: Path = (*_STRATEGY, "canary")
_BLUE_GREEN: Path = (*_STRATEGY, "blueGreen")
_STEPS = ("setWeight", "pause", "analysis", "setCanaryScale", "setHeaderRoute")
MOST_STEPS = 200
WHOLE_WEIGHTS = 10_000
_LONGEST_BACKEND = f"ingress.{63 * 'n'}.{63 * 's'}.65535"
_REGEX_REMEDY = "routers match a small part of regular expressions, in which nothing takes long: write a simpler one"
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
"""RFC 9110, token: what a header or a cookie may be called."""


def rollout(spec: RolloutSpec, rights: Rights) -> Iterator[Finding]:
    yield from deployments.workload(spec, rights, "Rollout")
    yield from canaries.in_template(spec.template.metadata.annotations)
    strategy = spec.strategy
    if strategy.canary is not None and strategy.blue_green is not None:
        yield Finding(_STRATEGY, "has canary and blueGreen", "remove one of the two")
    elif strategy.canary is not None:
        yield from _canary(strategy.canary)
    elif strategy.blue_green is not None:
        yield from _blue_green(strategy.blue_green)
    else:
        yield Finding(_STRATEGY, "needs canary or blueGreen", "write canary: {} for a rolling update")


def _canary(found: CanaryStrategy) -> Iterator[Finding]:
    yield from deployments.bounds(found.max_surge, found.max_unavailable, _CANARY)
    yield from _services(
        {"canaryService": found.canary_service, "stableService": found.stable_service}, _CANARY, required=()
    )
    routing = found.traffic_routing or TrafficRouting()
    yield from _routing(routing, (*_CANARY, "trafficRouting"))
    if routing.nginx is not None:
        yield from _nginx(routing.nginx, found.stable_service)
    if len(found.steps) > MOST_STEPS:
        yield Finding((*_CANARY, "steps"), f"has {len(found.steps)} steps, {MOST_STEPS} are the limit", "write fewer")
        return
    for index, step in enumerate(found.steps):
        yield from _step(step, (*_CANARY, "steps", index), routing)
    if found.analysis is not None:
        path = (*_CANARY, "analysis")
        yield from analyses.of_rollout(found.analysis, path)
        if found.analysis.starting_step and found.analysis.starting_step >= len(found.steps):
            message = f"there are {len(found.steps)} steps, counted from 0: it would never begin"
            yield Finding((*path, "startingStep"), message, "write the number of a step")


def _blue_green(found: BlueGreenStrategy) -> Iterator[Finding]:
    services = {"activeService": found.active_service, "previewService": found.preview_service}
    yield from _services(services, _BLUE_GREEN, required=("activeService",))
    analysed = {
        "prePromotionAnalysis": found.pre_promotion_analysis, "postPromotionAnalysis": found.post_promotion_analysis,
    }  # fmt: skip
    for name, one in analysed.items():
        if one is not None:
            yield from analyses.of_rollout(one, (*_BLUE_GREEN, name))


def _services(found: dict[str, str], path: Path, required: tuple[str, ...]) -> Iterator[Finding]:
    for name, service in found.items():
        if service or name in required:
            yield from names.service_name(service, (*path, name))
    first, second = found
    if found[first] and found[first] == found[second]:
        yield Finding((*path, second), f"is the Service of {first} too", "name two different ones")


def _routing(found: TrafficRouting, path: Path) -> Iterator[Finding]:
    most = found.max_traffic_weight
    if WHOLE_WEIGHTS % most:
        message = f"weights are counted in hundredths of a percent: {most} does not divide {WHOLE_WEIGHTS}"
        yield Finding((*path, "maxTrafficWeight"), message, "write 100, 1000 or 10000")
    routes = ((one.name, (*path, "managedRoutes", index, "name")) for index, one in enumerate(found.managed_routes))
    yield from names.unique(routes, "routes")
    router = found.plugins.router if found.plugins else None
    if router and router.sticky:
        yield from _sticky(router.sticky, (*path, "plugins", ROUTER, "sticky"))


def _nginx(found: NginxRouting, stable_service: str) -> Iterator[Finding]:
    path = (*_CANARY, "trafficRouting", "nginx")
    if not stable_service:
        message = "is required with trafficRouting.nginx"
        yield Finding((*_CANARY, "stableService"), message, "name the Service that the Ingress leads to")
    if bool(found.stable_ingress) == bool(found.stable_ingresses):
        yield Finding(path, "must be exactly one of stableIngress and stableIngresses")
    given = ((name, (*path, "stableIngresses", index)) for index, name in enumerate(found.stable_ingresses))
    yield from names.unique(given, "Ingresses")


def _sticky(found: Sticky, path: Path) -> Iterator[Finding]:
    if found.by == "client":
        if found.name:
            yield Finding((*path, "name"), "is not for by: client", "remove it")
    elif not _NAME.fullmatch(found.name):
        yield Finding((*path, "name"), f'"{shown(found.name)}" is not the name of a {found.by}', "write one")


def _step(step: CanaryStep, path: Path, routing: TrafficRouting) -> Iterator[Finding]:
    given = [
        step.set_weight is not None, step.pause is not None, step.analysis is not None,
        step.set_canary_scale is not None, step.set_header_route is not None,
    ]  # fmt: skip
    if sum(given) != 1:
        there = [name for name, is_given in zip(_STEPS, given, strict=True) if is_given]
        message = f"has {' and '.join(there)}" if there else "is empty"
        yield Finding(path, message, f"write exactly one of {', '.join(_STEPS)} in a step")
        return
    if step.set_weight is not None and step.set_weight > routing.max_traffic_weight:
        message = f"must be from 0 to {routing.max_traffic_weight}"
        yield Finding((*path, "setWeight"), message, "a weight is a share of all requests")
    if step.pause is not None:
        try:
            pause_seconds(step.pause)
        except BadAmount as wrong:
            yield Finding((*path, "pause", "duration"), f"must be {wrong}", "leave it out to wait for a person")
    if step.analysis is not None:
        yield from analyses.of_rollout(step.analysis, (*path, "analysis"))
    if step.set_canary_scale is not None:
        yield from _scale(step.set_canary_scale, (*path, "setCanaryScale"), routing)
    if step.set_header_route is not None:
        yield from _header_route(step.set_header_route, (*path, "setHeaderRoute"), routing)


def _scale(found: CanaryScaleStep, path: Path, routing: TrafficRouting) -> Iterator[Finding]:
    given = [found.replicas is not None, found.weight is not None, found.match_traffic_weight]
    if sum(given) != 1:
        remedy = "write exactly one of replicas, weight and matchTrafficWeight: true"
        yield Finding(path, "says more than one size" if any(given) else "says no size", remedy)
    elif found.weight is not None and found.weight * 100 % routing.max_traffic_weight:
        message = f"of {routing.max_traffic_weight} is no whole percentage"
        yield Finding((*path, "weight"), message, "write another, or replicas")


def _header_route(found: HeaderRouteStep, path: Path, routing: TrafficRouting) -> Iterator[Finding]:
    managed = [one.name for one in routing.managed_routes]
    if not found.name:
        yield Finding((*path, "name"), "is required", "name the route")
    elif managed and found.name not in managed:
        message = f'"{shown(found.name)}" is not among trafficRouting.managedRoutes'
        yield Finding((*path, "name"), message, f"routes that are there: {shown(', '.join(managed))}")
    faults = [fault for index, match in enumerate(found.match) for fault in _match(match, (*path, "match", index))]
    yield from faults
    if found.match and not faults and (fault := _route_fault(found)):
        yield Finding((*path, "match"), fault, "write fewer or shorter ones")


def _match(match: HeaderRouteMatch, place: Path) -> Iterator[Finding]:
    if not _NAME.fullmatch(match.header_name):
        message = f'"{shown(match.header_name)}" is not the name of a header'
        yield Finding((*place, "headerName"), message, "write one such as X-Canary")
    value = match.header_value
    given = [one for one in (value.exact, value.prefix, value.regex) if one]
    if len(given) != 1:
        yield Finding((*place, "headerValue"), "must be exactly one of exact, prefix and regex")
    elif not given[0].isprintable():
        yield Finding((*place, "headerValue"), "holds characters that no header has", "write printable text")
    elif value.regex and (fault := regex_fault(value.regex)):
        yield Finding((*place, "headerValue", "regex"), shown(fault), _REGEX_REMEDY)


def _route_fault(found: HeaderRouteStep) -> str:
    """What the routers would say of it, whatever the Service is called."""
    try:
        route_key(_LONGEST_BACKEND, header_route(found))
    except ValueError as fault:
        return str(fault)
    return ""
