"""Ingresses as the network page lists them: hosts, paths, where they lead, with which certificate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from control.selectors.certificates import Certificate, Key, secret_certificates
from control.selectors.health import health_of_routes
from control.selectors.ingresses import IngressRoutes, Route
from control.selectors.words import WORST_FIRST, State, sentence, state_of

ROUTES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Tls:
    """`secret` "": the router's own certificate is shown."""

    secret: str
    hosts: str
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class IngressLine:
    """`routes`: some of them, `more` are not listed. `problems`: what does not heal by waiting."""

    namespace: str
    name: str
    state: State
    message: str
    routes: tuple[Route, ...]
    more: int
    tls: tuple[Tls, ...]
    problems: tuple[str, ...]

    @property
    def searched(self) -> str:
        paths = (f"{one.host}{one.path} {one.service}" for one in self.routes)
        return f"{self.namespace}/{self.name} {self.state.word} {' '.join(paths)}".lower()


def ingress_lines(found: Iterable[IngressRoutes]) -> list[IngressLine]:
    """The worst first; their certificates are read for those that are shown (`with_certificates`)."""
    lines = [_line(one) for one in found]
    return sorted(lines, key=lambda line: (WORST_FIRST.index(line.state.tone), line.namespace, line.name))


def with_certificates(lines: Iterable[IngressLine], now: float) -> list[IngressLine]:
    those = list(lines)
    read = secret_certificates(((line.namespace, tls.secret) for line in those for tls in line.tls if tls.secret), now)
    return [replace(line, tls=tuple(_tls(line, tls, read) for tls in line.tls)) for line in those]


def _tls(line: IngressLine, tls: Tls, read: Mapping[Key, Certificate]) -> Tls:
    return Tls(tls.secret, tls.hosts, read.get((line.namespace, tls.secret)))


def _line(one: IngressRoutes) -> IngressLine:
    health = health_of_routes(one)
    problems = tuple(sentence(problem) for problem in one.problems)
    message = sentence(health.message)
    return IngressLine(
        namespace=one.row.namespace,
        name=one.row.name,
        state=state_of(health),
        message="" if health.status == "Healthy" or message in problems else message,
        routes=tuple(_clean(route) for route in one.routes[:ROUTES_SHOWN]),
        more=max(len(one.routes) - ROUTES_SHOWN, 0),
        tls=tuple(Tls(sentence(name), sentence(", ".join(hosts)), None) for name, hosts in one.tls),
        problems=problems,
    )


def _clean(one: Route) -> Route:
    return Route(
        host=sentence(one.host),
        path=sentence(one.path),
        service=sentence(one.service),
        port=sentence(one.port),
        ready=one.ready,
        problem=sentence(one.problem),
    )
