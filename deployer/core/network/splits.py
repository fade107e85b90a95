"""A Service whose pods are a canary and others: two backends for each of its ports, and what chooses between them.

    svc.shop.web.80          stable pods; the canary's in reserve
    svc.shop.web.80:canary   the canary's pods; the stable ones in reserve. Empty while there is none

Each request draws a lot of 0 to 9999, at random or out of a cookie, a header or the client's address; it goes to the
canary when the lot is below the weight. So whoever is at the canary stays there while its weight grows. Weights and
header routes are in maps, so they change at once and without a reload, and so does who is the canary. Only that there
is a strategy, and what makes the lot, is in the text.

A reserve (`backup`) serves when nobody else of its backend is up: neither half of a workload takes the other down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from deployer.core.canary.values import WHOLE, Split, Stickiness
from deployer.core.network.commands import command_word
from deployer.core.network.endpoints import mode
from deployer.core.network.header_words import route_key
from deployer.core.network.maps import FIRST, HEADER_ROUTES, STICKY, WEIGHTS, map_path
from deployer.core.network.values import Endpoint, RoutedPod, RoutedService
from deployer.core.objects.workload import ServicePort

Role = Literal["split", "canary", "stable"]
_CANARY = ":canary"
OWNERS = ("Deployment", "Rollout")
CLIENT = Stickiness("client")
OWN_COOKIE = "pierhead-canary"
"""The one that routers give; a strategy may also name it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How the requests to one Service are divided: by weight, or all to one side (`canaryService`, `stableService`)."""

    split: Split
    role: Role

    @property
    def by_ingress(self) -> Choice:
        """For what comes by Ingress: a stable Service is split there when Ingresses are named that lead to it."""
        return Choice(self.split, "split") if self.role == "stable" and self.split.ingresses else self

    def is_split_behind(self, ingress: str) -> bool:
        """Whether requests by this Ingress, of the Service's namespace, need a backend of their own."""
        return self.role == "stable" and ingress in self.split.ingresses

    @property
    def is_under_way(self) -> bool:
        return bool(self.split.canary_hash) and not self.split.withdrawn

    @property
    def weight(self) -> int:
        """In basis points."""
        if not self.is_under_way or self.role == "stable":
            return 0
        return WHOLE if self.role == "canary" else min(WHOLE, max(0, self.split.weight))


@dataclass(frozen=True, slots=True)
class Sides:
    """Who serves on either side, and who is in reserve there."""

    stable: tuple[Endpoint, ...]
    stable_reserve: tuple[Endpoint, ...]
    canary: tuple[Endpoint, ...] = ()
    canary_reserve: tuple[Endpoint, ...] = ()


def canary_backend(name: str) -> str:
    """ "svc.shop.web.80:canary" of "svc.shop.web.80"."""
    return f"{name}{_CANARY}"


def backend_name(service: RoutedService, port: ServicePort) -> str:
    return f"svc.{service.namespace}.{service.name}.{port.port}"


def ingress_name(service: RoutedService, port: ServicePort) -> str:
    """Its backend for what comes by Ingress, when the other one carries no http or leads to stable pods alone."""
    return f"ingress.{service.namespace}.{service.name}.{port.port}"


def owned(pods: Iterable[RoutedPod], splits: Iterable[Split]) -> Mapping[str, Sequence[RoutedPod]]:
    """The pods of each workload with a strategy."""
    found: dict[str, list[RoutedPod]] = {one.workload: [] for one in splits}
    for pod in pods if found else ():
        if (workload := _workload(pod)) in found:
            found[workload].append(pod)
    return found


def choices(
    services: Iterable[RoutedService], pods: Mapping[str, Sequence[RoutedPod]], splits: Iterable[Split]
) -> tuple[Mapping[str, Choice], tuple[str, ...]]:
    """By the Service's uid, and sentences about what cannot be divided as asked. `pods`: see `owned`."""
    found: dict[str, Choice] = {}
    problems: list[str] = []
    known = sorted(splits, key=lambda one: one.workload)
    for service in services if known else ():
        behind = _behind(service, pods, known)
        if behind and _is_headless(service):
            problems.append(_headless_problem(service, behind[0]))
        elif behind:
            found[service.uid] = choice = Choice(behind[0], _role(service, behind[0]))
            problems += [_several_problem(service, behind)] if len(behind) > 1 else []
            problems += _choice_problems(service, choice)
    return found, tuple(problems)


def sides(choice: Choice, endpoints: Iterable[Endpoint]) -> Sides:
    """Of a withdrawn canary pods are in reserve only; its own side is emptied when they are gone."""
    split = choice.split
    kinds: dict[str, list[Endpoint]] = {"canary": [], "stable": [], "left over": []}
    for endpoint in endpoints:
        kinds[_kind(endpoint.pod, split)].append(endpoint)
    stable, canary, others = (tuple(kinds[kind]) for kind in ("stable", "canary", "left over"))
    if not split.canary_hash or (split.withdrawn and all(one.pod.leaving for one in canary)):
        return Sides(stable, (*canary, *others))
    return Sides(stable, (*canary, *others), canary, (*stable, *others))


def stickiness(choice: Choice, service: RoutedService) -> Stickiness | None:
    """What makes the lot of a request. A Service's affinity to clients is one to a side, too."""
    if choice.role != "split":
        return None
    if choice.split.sticky == Stickiness("cookie", OWN_COOKIE):
        return Stickiness("cookie")
    return choice.split.sticky or (CLIENT if service.spec.session_affinity == "ClientIP" else None)


def maps(services: Iterable[RoutedService], found: Mapping[str, Choice]) -> Mapping[str, Mapping[str, str]]:
    """Weights, header routes and stickiness by backend. Nothing when there is nothing to choose."""
    weights: dict[str, str] = {}
    routes: dict[str, str] = {}
    sticky: dict[str, str] = {}
    for service in services:
        choice = found.get(service.uid)
        if choice is None:
            continue
        for name, chosen in _named(service, choice):
            weights[name] = str(chosen.weight)
            routes.update({key: "canary" for key, _ in _routes(name, chosen) if key})
            if made := stickiness(chosen, service):
                sticky[name] = f"{sticky_word(made)}|{chosen.split.workload}"
    return {WEIGHTS: weights, HEADER_ROUTES: routes, STICKY: sticky} if found else {}


def first_maps(
    services: Iterable[RoutedService], pods: Iterable[RoutedPod], splits: Sequence[Split]
) -> Mapping[str, Mapping[str, str]]:
    """The maps of FIRST alone; nothing when no workload has a canary."""
    them = tuple(services)
    found = maps(them, choices(them, owned(pods, splits), splits)[0])
    return {name: found[name] for name in FIRST if name in found}


def easing(running: Mapping[str, Mapping[str, str]], wanted: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Commands that take from canaries what they are to have no longer, and give nobody more. Maps by their path below
    FOLDER; `running` is what HAProxy holds of those in `wanted`. A weight that nobody speaks of is let be."""
    commands: list[str] = []
    for name, entries in sorted(running.items()):
        where, desired = command_word(map_path(name)), wanted.get(name, {})
        for key, value in sorted(entries.items()):
            if name == HEADER_ROUTES and key not in desired:
                commands.append(f"del map {where} {command_word(key)}")
            elif name == WEIGHTS and int(desired.get(key, value)) < int(value):
                commands.append(f"set map {where} {command_word(key)} {int(desired[key])}")
    return tuple(commands)


def sticky_word(sticky: Stickiness) -> str:
    """Its name in the map: "client", "cookie.uid", "header.x-user"."""
    return f"{sticky.by}.{sticky.name}" if sticky.name else sticky.by


def _behind(service: RoutedService, pods: Mapping[str, Sequence[RoutedPod]], splits: Iterable[Split]) -> list[Split]:
    """The workloads with a strategy that it leads to: by the labels of their template, or by the pods there are."""
    wanted = service.spec.selector.items()
    if not wanted or service.spec.type == "ExternalName":
        return []
    return [
        one
        for one in splits
        if one.workload.startswith(f"{service.namespace}/")
        and (wanted <= dict(one.labels).items() or any(wanted <= pod.labels.items() for pod in pods[one.workload]))
    ]


def _headless_problem(service: RoutedService, split: Split) -> str:
    return (
        f"{service} (headless) leads to single pods of {split.workload}, so no requests are split there:"
        " use a Service with an address to give a canary its share"
    )


def _several_problem(service: RoutedService, behind: Sequence[Split]) -> str:
    others = ", ".join(one.workload for one in behind[1:])
    return (
        f"{service} selects pods of {len(behind)} workloads with a canary: {behind[0].workload} is split, all"
        f" pods of {others} get traffic as stable ones; give each workload a Service of its own"
    )


def _is_headless(service: RoutedService) -> bool:
    return service.spec.cluster_ip == "None"


def _role(service: RoutedService, split: Split) -> Role:
    if service.name == split.canary_service:
        return "canary"
    return "stable" if service.name == split.stable_service else "split"


def _workload(pod: RoutedPod) -> str:
    """ "shop/web", "" for a pod of anything else."""
    kind, _, name = pod.owner.partition("/")
    return f"{pod.namespace}/{name}" if kind in OWNERS else ""


def _kind(pod: RoutedPod, split: Split) -> str:
    if not split.canary_hash or _workload(pod) != split.workload:
        return "stable"
    if pod.template_hash == split.canary_hash:
        return "canary"
    return "stable" if split.stable_hash in ("", pod.template_hash) else "left over"


def _named(service: RoutedService, choice: Choice) -> Iterator[tuple[str, Choice]]:
    """Each of its backends, and what is chosen there."""
    for port in service.spec.ports:
        yield backend_name(service, port), choice
        if mode(port) == "tcp" or choice.by_ingress != choice:
            yield ingress_name(service, port), choice.by_ingress


def _routes(name: str, choice: Choice) -> Iterator[tuple[str, str]]:
    """(key, "") or ("", what is wrong) for each header route that is in force."""
    if choice.role != "split" or not choice.is_under_way:
        return
    for route in choice.split.headers:
        try:
            yield (route_key(name, route), "") if route.matches else ("", "")
        except ValueError as error:
            yield "", f"header route {route.name!r} is left out: {error}"


def _choice_problems(service: RoutedService, choice: Choice) -> Iterator[str]:
    for _, fault in _routes("", choice):
        if fault:
            yield f"{service}: {fault}"
    carried = [str(port.port) for port in service.spec.ports if mode(port) == "tcp"]
    if not carried or choice.role != "split":
        return
    ports = f"port {carried[0]} is" if len(carried) == 1 else f"ports {', '.join(carried)} are"
    if choice.split.sticky not in (None, CLIENT):
        yield f"{service}: {ports} carried as tcp: the client's address decides there who goes to the canary"
    if choice.split.headers and choice.is_under_way:
        yield f"{service}: {ports} carried as tcp: header routes lead nobody to the canary there"
