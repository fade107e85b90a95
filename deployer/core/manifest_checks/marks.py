"""What an object takes for itself alone, and what it counts on: for the checks that no single object can answer.

`deployer.core.manifest_set` compares marks over all files of a commit. A Secret's values are looked at when it is read,
so nothing of them is carried on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deployer.core.manifest_checks.finding import Path, shown
from deployer.core.objects.kinds import Ingress, KubernetesObject, Secret, Service
from deployer.core.objects.network import IngressBackend
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


Mark = Claim | TlsUse | TlsDoubt | PortUse | PortsOffered


def marks(found: KubernetesObject) -> Iterator[Mark]:
    match found:
        case Service():
            yield from _of_service(found)
        case Ingress():
            yield from _of_ingress(found)
        case Secret():
            yield from _of_secret(found)


def _of_service(found: Service) -> Iterator[Mark]:
    """Ports of the nodes, the first of each number: one that is there twice is told by the Service's own check."""
    spec = found.spec
    numbers = {one.node_port: index for index, one in reversed([*enumerate(spec.ports)]) if one.node_port}
    for number, index in sorted(numbers.items()):
        yield Claim(("nodePort", str(number)), ("spec", "ports", index, "nodePort"), str(number))
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
