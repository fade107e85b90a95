"""A HAProxy in miniature: the rules of its command line that `runtime.py` rests on (held to the real one in
tests/contracts/test_haproxy_runtime.py)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from deployer.core.network.runtime import Live, LiveServer, StatRow
from deployer.core.network.values import RouterConfig, Server

MAINT, DRAIN = 1, 8


@dataclass
class Proxy:
    """`busy`: (backend, server) -> streams on it. `idle`: connections that a `maint` closes only a moment later."""

    servers: dict[str, dict[str, LiveServer]] = field(default_factory=dict)
    modes: Mapping[str, str] = field(default_factory=dict)
    busy: dict[tuple[str, str], int] = field(default_factory=dict)
    idle: set[tuple[str, str]] = field(default_factory=set)
    now: float = 1000.0
    lost: int = 0
    refused: list[str] = field(default_factory=list)

    def look(self, pods: Mapping[str, str] | None = None) -> Live:
        rows = [
            StatRow(backend, name, scur=self.busy.get((backend, name), 0), mode=self.modes.get(backend, "http"))
            for backend, servers in self.servers.items()
            for name in servers
        ]
        copy = {backend: dict(servers) for backend, servers in self.servers.items()}
        return Live(copy, tuple(rows), self.now, pods or {})

    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        for servers in self.servers.values():
            for name, one in servers.items():
                servers[name] = replace(one, changed_seconds=one.changed_seconds + seconds)

    def send(self, commands: Iterable[str]) -> None:
        for command in commands:
            words = [re.sub(r"\\(.)", r"\1", word) for word in re.split(r"(?<!\\) ", command)]
            verb = "ready" if words[0] == "enable" else words[4] if words[3:4] == ["state"] else words[0]
            place = words[2]
            backend, _, name = place.partition("/")
            known = self.servers.setdefault(backend, {})
            if words[:2] == ["add", "server"]:
                self._add(known, backend, name, words[3:])
            elif name not in known:
                self.refused.append(command)
            elif words[:2] == ["del", "server"]:
                self._delete(known, backend, name, command)
            elif words[:2] == ["enable", "health"]:
                pass
            elif words[3:4] == ["weight"]:
                known[name] = replace(known[name], weight=int(words[4]))
            else:
                self._state(known, backend, name, verb)

    def _add(self, known: dict[str, LiveServer], backend: str, name: str, words: list[str]) -> None:
        if name in known:
            self.refused.append(f"add {name}")
        else:
            known[name] = replace(_live(backend, name, words), admin=MAINT)

    def _delete(self, known: dict[str, LiveServer], backend: str, name: str, command: str) -> None:
        place = (backend, name)
        if not known[name].in_maintenance or place in self.idle or self.busy.get(place):
            self.idle.discard(place)
            self.refused.append(command)
        else:
            del known[name]

    def _state(self, known: dict[str, LiveServer], backend: str, name: str, state: str) -> None:
        admin = {"ready": 0, "drain": DRAIN, "maint": MAINT}[state]
        if admin == MAINT:
            self.lost += self.busy.pop((backend, name), 0)
        if known[name].admin != admin:
            known[name] = replace(known[name], admin=admin, changed_seconds=0)


def config(servers: Mapping[str, Iterable[Server]]) -> RouterConfig:
    return RouterConfig("", "s", {name: tuple(them) for name, them in servers.items()}, {}, {})


def started(desired: RouterConfig, modes: Mapping[str, str] | None = None) -> Proxy:
    """As it comes out of its file."""
    found = {
        backend: {one.name: _live(backend, one.name, [one.address, *one.arguments]) for one in servers}
        for backend, servers in desired.servers.items()
    }
    return Proxy(found, modes or {})


def _live(backend: str, name: str, words: list[str]) -> LiveServer:
    def value(keyword: str, default: str) -> str:
        return words[words.index(keyword) + 1] if keyword in words else default

    return LiveServer(backend, name, words[0], weight=int(value("weight", "1")), mark=value("agent-addr", ""))
