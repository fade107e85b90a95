"""Sections of haproxy.cfg as values, and the part of a configuration that one module makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deployer.core.network.values import Server


@dataclass(frozen=True, slots=True)
class Section:
    """`head` such as "backend svc.shop.web.80 from http-backend". `servers` can be changed while HAProxy runs;
    None: it has none of that kind."""

    head: str
    lines: tuple[str, ...] = ()
    servers: tuple[Server, ...] | None = None

    @property
    def name(self) -> str:
        return self.head.split()[1]


@dataclass(frozen=True, slots=True)
class Part:
    """`maps` and `files` by their path below FOLDER; `problems` as sentences."""

    sections: tuple[Section, ...] = ()
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    problems: tuple[str, ...] = ()


def joined(parts: Iterable[Part]) -> Part:
    """All of them as one, in this order. Entries of one map may come from several."""
    sections: list[Section] = []
    maps: dict[str, dict[str, str]] = {}
    files: dict[str, bytes] = {}
    problems: list[str] = []
    for part in parts:
        sections.extend(part.sections)
        for name, entries in part.maps.items():
            maps.setdefault(name, {}).update(entries)
        files.update(part.files)
        problems.extend(part.problems)
    return Part(tuple(sections), maps, files, tuple(dict.fromkeys(problems)))


def text(sections: Iterable[Section], with_servers: bool = True) -> str:
    return "\n".join(_section(section, with_servers) for section in sections)


def server_line(server: Server) -> str:
    """The words after `server`; those after the name are what `add server` is given."""
    return " ".join((server.name, server.address, *server.arguments))


def _section(section: Section, with_servers: bool) -> str:
    lines = [section.head, *(f"    {line}" for line in section.lines)]
    if with_servers:
        lines.extend(f"    server {server_line(server)}" for server in section.servers or ())
    return "\n".join(lines) + "\n"
