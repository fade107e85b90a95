"""Where Ingresses lead: each rule with its service, and what is missing for it to work.

Read from rows as they are: they were checked when they came from Git, and pages stay small.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from control.models import Ingress, Secret, Service
from control.selectors.backing import Backing, backings
from control.selectors.connecting import Connecting, connecting
from control.selectors.routers import Routers, routers

Key = tuple[str, str]
"""(namespace, name)"""
Backend = Mapping[str, Any]
_PAIR = {"tls.crt", "tls.key"}


@dataclass(frozen=True, slots=True)
class Route:
    """One path, or the default backend (`path` ""). `problem`: why it answers 503, "" when nothing is wrong with it.

    `ready` is the number of pods behind it that get traffic.
    """

    host: str
    path: str
    service: str
    port: str
    ready: int
    problem: str


@dataclass(frozen=True, slots=True)
class IngressRoutes:
    """`problems`: what cannot heal by waiting. `tls`: (Secret, hosts)."""

    row: Ingress | Connecting
    routes: tuple[Route, ...]
    tls: tuple[tuple[str, tuple[str, ...]], ...]
    problems: tuple[str, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.host for one in self.routes if one.host != "*"))

    @property
    def services(self) -> frozenset[str]:
        return frozenset(one.service for one in self.routes)

    @property
    def ready_services(self) -> frozenset[str]:
        """Those of which every route has an endpoint."""
        return self.services - {one.service for one in self.routes if not one.ready}


def routes_of_ingresses(
    rows: Sequence[Ingress | Connecting], known: Iterable[Backing] | None = None, told: Routers | None = None
) -> list[IngressRoutes]:
    """In the order of `rows`; at most six queries. `known`: what backs all services, `told`: what the routers say,
    where that is at hand."""
    if not rows:
        return []
    found = _backings(rows) if known is None else known
    services = {(one.row.namespace, one.row.name): one for one in found}
    secrets, said = _secrets(rows), (told or routers()).problems_of(Ingress.kind)
    return [_routes(row, services, secrets, said.get((row.namespace, row.name), ())) for row in rows]


def _backings(rows: Sequence[Ingress | Connecting]) -> list[Backing]:
    namespaces = {row.namespace for row in rows}
    return backings(connecting(Service, Q(namespace__in=namespaces)))


def _secrets(rows: Sequence[Ingress | Connecting]) -> dict[Key, set[str]]:
    """The names of the keys that each Secret has; no value is read."""
    namespaces = {row.namespace for row in rows if row.spec.get("tls")}
    found = Secret.objects.filter(namespace__in=namespaces, deleted_at=None).values_list("namespace", "name", "spec")
    return {(namespace, name): set(spec.get("keys") or ()) for namespace, name, spec in (found if namespaces else ())}


def _routes(
    row: Ingress | Connecting, services: Mapping[Key, Backing], secrets: Mapping[Key, set[str]], said: Iterable[str]
) -> IngressRoutes:
    """What routers `said` of it counts where the records show nothing: a path that belongs to another Ingress."""
    routes = tuple(_route(row, host, path, backend, services) for host, path, backend in _backends(row.spec))
    tls = tuple((one.get("secretName") or "", tuple(one.get("hosts") or ())) for one in row.spec.get("tls") or ())
    problems = [*(one.problem for one in routes if one.problem), *_tls_problems(row, tls, secrets)]
    return IngressRoutes(row, routes, tls, tuple(dict.fromkeys(problems or said)))


def _backends(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, Backend]]:
    for rule in spec.get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            yield rule.get("host") or "*", path.get("path") or "/", path["backend"]["service"]
    if spec.get("defaultBackend"):
        yield "*", "", spec["defaultBackend"]["service"]


def _route(row: Ingress | Connecting, host: str, path: str, backend: Backend, services: Mapping[Key, Backing]) -> Route:
    name, wanted = backend["name"], backend.get("port") or {}
    found = services.get((row.namespace, name))
    port = _port(found, wanted) if found else None
    ready = 0
    if found and port:
        # What is outside of the cluster is not Pierhead's to judge.
        ready = found.by_port.get(int(port["port"]), 0) if found.has_selector else 1
    word = str(wanted.get("name") or wanted.get("number") or "")
    return Route(host, path, name, word, ready, _problem(name, word, found, port))


def _port(found: Backing, wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for port in found.ports:
        if wanted.get("name") and port.get("name") == wanted["name"]:
            return port
        if not wanted.get("name") and port["port"] == wanted.get("number"):
            return port
    return None


def _problem(name: str, wanted: str, found: Backing | None, port: Mapping[str, Any] | None) -> str:
    if found is None:
        return f"it leads to service {name}, which does not exist"
    if port is None:
        there = ", ".join(f"{one['port']}" + (f" ({one['name']})" if one.get("name") else "") for one in found.ports)
        return f"it leads to port {wanted or '(none)'} of service {name}, which has {there or 'no port'}"
    return ""


def _tls_problems(
    row: Ingress | Connecting, tls: Iterable[tuple[str, tuple[str, ...]]], secrets: Mapping[Key, set[str]]
) -> Iterator[str]:
    for name, _ in tls:
        keys = secrets.get((row.namespace, name))
        if name and keys is None:
            yield f"its TLS Secret {name} does not exist"
        elif name and keys is not None and not keys >= _PAIR:
            yield f"its TLS Secret {name} has no {' and '.join(sorted(_PAIR - keys))}"
