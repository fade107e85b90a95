"""How services of a Compose file reach each other and are reached: ports, names, dependencies, networks.

Compose lets every container reach every port of another by its name; a Service has to name its ports. They are those of
`ports` and `expose`, those that other services write as NAME:PORT, and for a well-known image the one it listens on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from deployer.core.compose.fields import number, read, refuse_rest, text_of, texts_of, truth
from deployer.core.compose.merging import named
from deployer.core.compose.nodes import Node, Problems, plain_data
from deployer.core.compose.refused import LISTENS_ON, NETWORK, SERVICE_NETWORK
from deployer.core.compose.words import Port, port_range, short_ports

_CONDITIONS = ("service_started", "service_healthy")
_DRIVERS = ("bridge", "overlay", "default")
_ONE_SHOT = "what runs once and ends is not supported yet: run it from your pipeline"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Link:
    """What one service listens on. `inside`: TCP ports by which others reach it; `aliases`: its other names."""

    ports: tuple[Port, ...]
    inside: tuple[int, ...]
    aliases: tuple[str, ...]
    networks: frozenset[str]
    host_network: bool


def links(services: Mapping[str, Node], networks: Mapping[str, Node], problems: Problems) -> dict[str, Link]:
    _check_networks(networks, problems)
    wanted: dict[str, list[Node]] = {}
    aliases: dict[str, set[str]] = {}
    for service in services.values():
        for other, node in _depends(service, services, problems):
            wanted.setdefault(other, []).append(node)
        for other, alias, node in _linked(service, services, problems):
            wanted.setdefault(other, []).append(node)
            aliases.setdefault(other, set()).update({alias} - {other})
    words = {name: " ".join(_words(plain_data(service))) for name, service in services.items()}
    made = {}
    for name, service in services.items():
        others = " ".join(text for other, text in words.items() if other != name)
        link = _link(name, service, networks, problems)
        called = {*link.aliases, *aliases.get(name, set())}
        inside = _inside(name, service, link, others, called)
        if not inside and name in wanted:
            inside = _guessed(name, service, wanted[name][0], problems)
        made[name] = replace(link, inside=tuple(inside), aliases=tuple(sorted(called)) if inside else ())
    return made


def are_separated(made: Mapping[str, Link]) -> bool:
    """Whether two of them share no network. All pods of a namespace reach each other otherwise."""
    apart = [one.networks for one in made.values() if not one.host_network]
    return any(not (left & right) for n, left in enumerate(apart) for right in apart[n + 1 :])


def _link(name: str, service: Node, networks: Mapping[str, Node], problems: Problems) -> Link:
    mode = service.get("network_mode")
    if mode is not None and mode.text not in ("host", "bridge", DEFAULT):
        remedy = "write host, where the namespace is allowed host-network, or remove it"
        problems.error(mode, f"{mode.text[:60]!r} is not mapped", remedy)
    aliases = set(_container_name(name, service, problems))
    joined = set()
    found = service.get("networks")
    for network, one in (named(found) if found is not None else {DEFAULT: service}).items():
        joined.add(network)
        if found is not None and network != DEFAULT and network not in networks:
            problems.error(
                one, f"there is no network {network}", f"networks at the end: {', '.join(networks) or 'none'}"
            )
        if found is not None and one.map:
            refuse_rest(one, ("aliases",), SERVICE_NETWORK, problems, "a network of a service")
            aliases |= {alias.text for alias in texts_of(one.get("aliases"), problems)}
    host = mode is not None and mode.text == "host"
    return Link(tuple(_ports(service, problems)), (), tuple(sorted(aliases - {name})), frozenset(joined), host)


def _container_name(name: str, service: Node, problems: Problems) -> Iterator[str]:
    found = service.get("container_name")
    if found is not None and found.text != name:
        problems.warn(found, "containers are named by Pierhead; others reach it by this name all the same")
        yield found.text


def _ports(service: Node, problems: Problems) -> Iterator[Port]:
    found = service.get("ports")
    for one in found.list if found is not None else ():
        if one.is_text:
            yield from read(one, short_ports, problems) or ()
        else:
            yield from _long_port(one, problems)


def _long_port(one: Node, problems: Problems) -> Iterator[Port]:
    honoured = ("target", "published", "protocol", "host_ip", "mode", "name", "app_protocol")
    refuse_rest(one, honoured, {}, problems, "a port")
    target = number(one.get("target"), problems, 1, 65535)
    if target is None:
        problems.error(one, "has no target", "write target: PORT, the port of the container")
        return
    published = one.get("published")
    ports = read(published, lambda text: list(port_range(text)), problems) if published is not None else [0]
    protocol, mode = text_of(one.get("protocol"), problems) or "tcp", text_of(one.get("mode"), problems) or "ingress"
    if protocol not in ("tcp", "udp") or mode not in ("host", "ingress"):
        problems.error(
            one, f"{protocol} in mode {mode} is not mapped", "protocols are tcp and udp, modes host and ingress"
        )
        return
    if ports and len(ports) > 1 and published is not None:
        problems.error(published, "is a range for one port", "write one port: pods on several hosts use the same")
    named_as, app = text_of(one.get("name"), problems), text_of(one.get("app_protocol"), problems)
    if ports:
        yield Port(target, ports[0], protocol, text_of(one.get("host_ip"), problems), mode, named_as, app)


def _inside(name: str, service: Node, link: Link, others: str, called: Iterable[str]) -> list[int]:
    """In the order in which they are named."""
    problems = Problems()  # `expose` is told about once, below
    found = [port.target for port in link.ports if port.protocol == "tcp"]
    for one in texts_of(service.get("expose"), problems):
        if one.text.partition("/")[2] in ("", "tcp"):
            found += read(one, tcp_range, problems) or []
    names = "|".join(re.escape(one) for one in (name, *called))
    found += [int(port) for port in re.findall(rf"(?<![\w.-])(?:{names}):(\d{{2,5}})(?![\d])", others)]
    return [port for port in dict.fromkeys(found) if 1 <= port <= 65535]


def check_expose(service: Node, problems: Problems) -> None:
    for one in texts_of(service.get("expose"), problems):
        if one.text.partition("/")[2] not in ("", "tcp"):
            problems.error(one, f"{one.text[:40]!r} is not mapped", "pods are connected by TCP: remove it")
        else:
            read(one, tcp_range, problems)


def tcp_range(text: str) -> list[int]:
    """ "8080", "8000-8010", "8080/tcp"."""
    return list(port_range(text.partition("/")[0]))


def _guessed(name: str, service: Node, asked: Node, problems: Problems) -> list[int]:
    image = service.get("image")
    last = image.text.partition("@")[0].rpartition("/")[2].partition(":")[0] if image is not None else ""
    if last in LISTENS_ON and image is not None:
        told = f"{name} is reached at port {LISTENS_ON[last]}, on which {last} listens"
        problems.warn(image, told, 'write expose: ["PORT"] to say so')
        return [LISTENS_ON[last]]
    remedy = f'write expose: ["PORT"] at {name}; or remove it here, when nobody connects to it: no order is kept'
    problems.error(asked, f"{name} is needed here, and nobody says at which port", remedy)
    return []


def _depends(service: Node, services: Mapping[str, Node], problems: Problems) -> Iterator[tuple[str, Node]]:
    found = service.get("depends_on")
    if found is None:
        return
    problems.warn(found, "the order is not kept: all start at once, and each must bear that another is not there yet")
    for other, one in named(found).items():
        if one.map:
            refuse_rest(one, ("condition", "required", "restart"), {}, problems, "depends_on")
        condition = one.get("condition")
        if condition is not None and condition.text not in _CONDITIONS:
            problems.error(condition, f"{condition.text[:60]!r} is not mapped", _ONE_SHOT)
        if truth(one.get("restart"), problems):
            problems.warn(one, "a pod is not restarted because another one is")
        required = one.get("required")
        if other in services:
            if condition is None or condition.text in _CONDITIONS:
                yield other, one
        elif required is None or truth(required, problems):
            problems.error(one, f"there is no service {other} that runs", "correct the name, or choose its profile")


def _linked(service: Node, services: Mapping[str, Node], problems: Problems) -> Iterator[tuple[str, str, Node]]:
    for one in texts_of(service.get("links"), problems):
        other, _, alias = one.text.partition(":")
        if other in services:
            yield other, alias or other, one
        else:
            problems.error(one, f"there is no service {other} that runs", "correct the name, or choose its profile")


def _check_networks(networks: Mapping[str, Node], problems: Problems) -> None:
    for one in networks.values():
        refuse_rest(one, ("driver", "name"), NETWORK, problems, "a network")
        driver = one.get("driver")
        if driver is not None and driver.text not in _DRIVERS:
            problems.error(
                driver, f"{driver.text[:40]!r} is not mapped", "pods have a network of their namespace: remove it"
            )
        if (called := one.get("name")) is not None:
            problems.warn(called, "names nothing here: pods have a network of their namespace")


def _words(data: object) -> Iterator[str]:
    """All texts of a service, as others' names may stand in any of them."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from _words(value)
    elif isinstance(data, list):
        for value in data:
            yield from _words(value)
