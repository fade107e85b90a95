"""Probes: one handler each, and figures that make sense (Kubernetes: core/validation, validateProbe).

Paths and header values are led to the node's router as data. What they may hold is limited here, so that a request
stays one request: no white space, no control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from deployer.core.manifest_checks import names
from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.objects.pod import Container, HTTPGetAction, HTTPHeader, Probe

_PATH = re.compile(r"/(?:[!$&-~]|%[0-9A-Fa-f]{2})*")
"""Printable ASCII without white space, `#` (which is never sent) and `"`; what is percent-encoded is so in full."""
_HEADER_NAME = re.compile(r"[-A-Za-z0-9]+")
_HOST_VALUE = re.compile(r"[!-~]+")
_SET_BY_THE_ROUTER = frozenset({"connection", "content-length", "transfer-encoding"})
_LONGEST_PATH, _LONGEST_VALUE = 2048, 1024


def probes(found: Container, path: Path) -> Iterator[Finding]:
    given = {
        "startupProbe": found.startup_probe,
        "livenessProbe": found.liveness_probe,
        "readinessProbe": found.readiness_probe,
    }
    for name, probe in given.items():
        if probe is not None:
            yield from _handler(probe, (*path, name), found)
            yield from _successes(probe, name, (*path, name, "successThreshold"))
    yield from _commands({name: probe for name, probe in given.items() if probe and probe.exec}, path)


def _handler(probe: Probe, path: Path, found: Container) -> Iterator[Finding]:
    count = sum(one is not None for one in (probe.exec, probe.http_get, probe.tcp_socket))
    if count != 1:
        has = "none" if count == 0 else str(count)
        yield Finding(path, f"needs exactly one of exec, httpGet and tcpSocket, and has {has}", "write one of them")
    if probe.http_get is not None:
        yield from _port(probe.http_get.port, (*path, "httpGet", "port"), found)
        yield from _request(probe.http_get, (*path, "httpGet"))
    if probe.tcp_socket is not None:
        yield from _port(probe.tcp_socket.port, (*path, "tcpSocket", "port"), found)


def _successes(probe: Probe, name: str, path: Path) -> Iterator[Finding]:
    if probe.success_threshold == 1:
        return
    if name != "readinessProbe":
        yield Finding(path, f"must be 1 for a {name}, as in Kubernetes", "leave it out")
    elif probe.exec is not None:
        message = f"{probe.success_threshold} is not supported with exec: Docker counts one success as healthy"
        yield Finding(path, message, "leave it out, or use httpGet or tcpSocket")


def _port(port: int | str, path: Path, found: Container) -> Iterator[Finding]:
    if isinstance(port, int):
        if not 1 <= port <= 65535:
            yield Finding(path, "must be between 1 and 65535", "write the container's port, or its name")
    elif port.isdecimal():
        yield Finding(path, f'"{shown(port)}" is text, which is the name of a port', "write the number without quotes")
    elif port not in [one.name for one in found.ports if one.name]:
        listed = ", ".join(one.name for one in found.ports if one.name) or "none"
        message = f'container {shown(found.name)} has no port "{shown(port)}"'
        yield Finding(path, message, f"named ports of the container: {listed}; or write a number")


def _request(request: HTTPGetAction, path: Path) -> Iterator[Finding]:
    place = (*path, "path")
    if not request.path.startswith("/"):
        yield Finding(place, "must start with '/'", "write one such as /healthz")
    elif not _PATH.fullmatch(request.path):
        message = "holds characters that no request has as they are"
        remedy = "write white space, '#', '\"', '%' and letters beyond ASCII percent-encoded, such as %20"
        yield Finding(place, message, remedy)
    elif len(request.path) > _LONGEST_PATH:
        yield Finding(place, f"has {len(request.path)} characters, {_LONGEST_PATH} are the limit", "shorten it")
    for index, header in enumerate(request.http_headers):
        yield from _header(header, (*path, "httpHeaders", index))
    named = ((one.name.lower(), (*path, "httpHeaders", n, "name")) for n, one in enumerate(request.http_headers))
    yield from names.unique(named, "headers")


def _header(header: HTTPHeader, path: Path) -> Iterator[Finding]:
    if not _HEADER_NAME.fullmatch(header.name):
        message = f'"{shown(header.name)}" is not the name of a header'
        yield Finding((*path, "name"), message, "use letters, digits and '-', such as X-Probe")
    elif header.name.lower() in _SET_BY_THE_ROUTER:
        yield Finding((*path, "name"), f"{header.name} is set by the prober itself", "remove it")
    if not header.value.isprintable():
        yield Finding((*path, "value"), "holds a line end or another character that cannot be printed", "remove it")
    elif header.name.lower() == "host" and not _HOST_VALUE.fullmatch(header.value):
        yield Finding((*path, "value"), f'"{shown(header.value)}" is not a host', "write one such as shop.example")
    elif len(header.value) > _LONGEST_VALUE:
        message = f"has {len(header.value)} characters, {_LONGEST_VALUE} are the limit"
        yield Finding((*path, "value"), message, "shorten it")


def _commands(given: dict[str, Probe], path: Path) -> Iterator[Finding]:
    """See `Probe` for why exec probes share one command."""
    first: tuple[str, tuple[str, ...]] | None = None
    for name, probe in given.items():
        place = (*path, name, "exec", "command")
        command = probe.exec.command if probe.exec else ()
        if not command:
            yield Finding(place, "must not be empty", "write the program and its arguments as a list")
        elif first is not None and command != first[1]:
            message = f"differs from the command of {first[0]}: Docker runs one health check per container"
            yield Finding(place, message, "use the same command in all exec probes of the container")
        first = first or (name, command)
