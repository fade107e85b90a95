"""The command line of a simulated router: as much of HAProxy's runtime API as Pierhead uses, in its words.

What it answers was read off HAProxy 2.6; `simulated_routing` knows what there is to tell.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from deployer.adapters.router_line import statements
from deployer.adapters.simulated import SimulatedEngine
from deployer.adapters.simulated_columns import ADMIN_STATES, COUNTERS, SAID, STAT_COLUMNS, STAT_HEADER, STATE_COLUMNS
from deployer.adapters.simulated_host import SimulatedHost
from deployer.adapters.simulated_lifecycle import Record
from deployer.adapters.simulated_peers import Sight, advance, sights
from deployer.adapters.simulated_routing import (
    HeldServer,
    Routing,
    addresses_with_a_program,
    peers,
    router_of,
)
from deployer.core.network.runtime import PEERS
from deployer.ports import EngineError, RouterLine

_VERSION = "2.6.12-simulated"
_HEAVIEST = 256
_WORD, _ESCAPED = re.compile(r"(?:\\.|[^\\\s])+"), re.compile(r"\\(.)")
_NO_MAP = "Unknown map identifier. Please use #<id> or <file>."
_LOOKS_AT_SERVERS = ("show stat", "show servers")


def open_simulated_line(engine: SimulatedEngine) -> RouterLine:
    """The command line of the router that `engine`'s cluster runs on that simulated host."""
    return SimulatedLine(engine)


class SimulatedLine:
    def __init__(self, engine: SimulatedEngine) -> None:
        self._engine, self._host = engine, engine.host

    def ask(self, commands: Sequence[str]) -> list[str]:
        """As the real one's. Raises RouterUnreachable when the host or its router does not answer."""
        now, cluster = self._answering(), self._engine.cluster_id
        others: dict[str, set[str] | None] = {}
        watched: dict[str, Sight] = {}
        if any(command.startswith(_LOOKS_AT_SERVERS) for command in commands):
            servers = self._servers(now)
            others = peers(self._host, cluster, [one.host for one in servers if one.sni], now)
            watched = sights(self._host, cluster, servers, now)
        with self._host.changing(now) as records:
            routing = self._routing(records, now)
            advance(routing, watched, now)
            runtime = Runtime(routing, addresses_with_a_program(records), others, now)
            return [runtime.answer(command).strip() for command in commands]

    def close(self) -> None:
        """Nothing is kept open."""

    def _answering(self) -> float:
        try:
            self._host.answer("ask")
        except EngineError as error:
            raise self._unreachable("no answer") from error
        return self._host.clock.now()

    def _servers(self, now: float) -> list[HeldServer]:
        with self._host.changing(now) as records:
            return self._routing(records, now).servers()

    def _routing(self, records: Mapping[str, Record], now: float) -> Routing:
        record = router_of(records, self._engine.cluster_id)
        if record is None:
            raise self._unreachable("connection refused: is the router running, and is this its mesh port?")
        return Routing(self._host.state, record, now)

    def _unreachable(self, words: str) -> EngineError:
        return EngineError("RouterUnreachable", f"router at {_where(self._host)}: {words}")


@dataclass(frozen=True, slots=True)
class Runtime:
    """`others`: see `simulated_routing.peers`."""

    routing: Routing
    listening: set[str]
    others: Mapping[str, set[str] | None]
    now: float

    def answer(self, command: str) -> str:
        """One command, or several that ";" joins."""
        return "\n".join(filter(None, (self._one(each).strip() for each in statements(command.rstrip("\n")))))

    def _one(self, command: str) -> str:
        first, *payload = command.split("\n")
        words = [_ESCAPED.sub(r"\1", word) for word in _WORD.findall(first)]
        handlers: dict[tuple[str, ...], Callable[[list[str], list[str]], str]] = {
            ("get", "var"): self._variable,
            ("show", "stat"): self._stat,
            ("show", "servers"): self._servers,
            ("show", "info"): self._info,
            ("show", "version"): lambda *_: _VERSION,
            ("show", "table"): self._tables,
            ("show", "map"): self._show_map,
            ("add", "server"): self._add_server,
            ("del", "server"): self._delete_server,
            ("enable", "server"): lambda rest, _: self._change(rest[:1], state="ready"),
            ("disable", "server"): lambda rest, _: self._change(rest[:1], state="maint"),
            ("enable", "health"): lambda rest, _: self._change(rest[:1], is_watched=True),
            ("disable", "health"): lambda rest, _: self._change(rest[:1], is_watched=False),
            ("set", "server"): self._set_server,
            ("prepare", "map"): self._prepare_map,
            ("add", "map"): self._add_map,
            ("set", "map"): self._set_map,
            ("del", "map"): self._delete_from_map,
            ("commit", "map"): self._commit_map,
        }
        handler = handlers.get(tuple(words[:2]))
        return handler(words[2:], payload) if handler else f"Unknown command: '{' '.join(words[:2])}'."

    # Looking

    def _variable(self, words: list[str], _payload: list[str]) -> str:
        name = words[0] if words else ""
        value = self.routing.loaded.variables.get(name.removeprefix("proc."))
        return "Variable not found." if value is None else f"{name}: type=str value=<{value}>"

    def _info(self, _words: list[str], _payload: list[str]) -> str:
        loaded = self.routing.loaded
        up = int(self.now - loaded.at)
        return f"Name: HAProxy\nVersion: {_VERSION}\nPid: {loaded.loads}\nUptime_sec: {up}\nStopping: 0"

    def _tables(self, words: list[str], _payload: list[str]) -> str:
        tables = self.routing.loaded.tables
        if words and words[0] not in tables:
            return "No such table"
        return "\n".join(line for name in words[:1] or list(tables) for line in self._table(name, *tables[name]))

    def _table(self, name: str, kind: str, size: int) -> Iterator[str]:
        held = self.routing.latencies(name)
        yield f"# table: {name}, type: {kind}, size:{size}, used:{len(held)}"
        for number, (key, counts) in enumerate(sorted(held.items())):
            gpcs = " ".join(f"gpc{index}={count}" for index, count in enumerate(counts))
            yield f"{0x55AA00000000 + 64 * number:#x}: key={key} use=0 exp=0 shard=0 {gpcs}"

    def _stat(self, words: list[str], _payload: list[str]) -> str:
        """`show stat [PROXY|NUMBER KINDS SERVER]`; KINDS is a sum of 1 (frontends), 2 (backends), 4 (servers)."""
        loaded = self.routing.loaded
        proxy, kinds = (words[0], int(words[1])) if len(words) == 3 else ("-1", -1)
        names = [*loaded.frontends, *loaded.backends]
        wanted = {names[int(proxy) - 1]} if proxy.isdigit() and 0 < int(proxy) <= len(names) else {proxy}
        if proxy != "-1" and not wanted & {*names}:
            return "No such proxy."
        rows = (row for row in self._stat_rows(kinds) if proxy == "-1" or row["pxname"] in wanted)
        lines = (",".join([*(row.get(column, "") for column in STAT_COLUMNS), ""]) for row in rows)
        return "\n".join([f"# {STAT_HEADER},", *lines])

    def _stat_rows(self, kinds: int) -> Iterator[dict[str, str]]:
        loaded, by_backend = self.routing.loaded, self._by_backend()
        zero = dict.fromkeys(COUNTERS, "0")
        for number, (name, mode) in enumerate((loaded.frontends | loaded.backends).items(), 1):
            common = {**zero, "pxname": name, "pid": "1", "iid": str(number), "mode": mode}
            if name in loaded.frontends and kinds & 1:
                yield {**common, "svname": "FRONTEND", "status": "OPEN", "type": "0"}
            for server in by_backend.get(name, ()) if kinds & 4 else ():
                yield {**common, **self._server_row(server)}
            if name in loaded.backends and kinds & 2:
                up = sum(self._status(server)[0] in ("UP", "no check") for server in by_backend.get(name, ()))
                status = "UP" if up or name not in by_backend else "DOWN"
                counted = self._counted(by_backend.get(name, ()))
                yield {**common, **counted, "svname": "BACKEND", "status": status, "act": str(up), "type": "1"}

    def _counted(self, servers: Iterable[HeldServer]) -> dict[str, str]:
        found: Counter[str] = Counter()
        for server in servers:
            found.update(self.routing.counts(server.which))
        return {column: str(number) for column, number in found.items()}

    def _server_row(self, server: HeldServer) -> dict[str, str]:
        (status, found), check = self._status(server), server.check
        is_backup = "backup" in server.arguments
        return {
            **self._counted([server]),
            "svname": server.name,
            "status": status,
            "weight": str(server.weight),
            "act": str(int(not is_backup)),
            "bck": str(int(is_backup)),
            "lastchg": str(int(self.now - (check.changed_at if check else server.since))),
            "sid": str(server.number),
            "type": "2",
            "check_status": found,
            "check_code": "200" if found == "L7OK" else "",
            "chkfail": str(check.failures if check else 0),
            "check_desc": SAID.get(found, ""),
            "last_chk": "Connection refused" if found == "L4CON" else "",
            "addr": server.address,
        }

    def _servers(self, words: list[str], _payload: list[str]) -> str:
        loaded, by_backend = self.routing.loaded, self._by_backend()
        backend = words[1] if len(words) > 1 else ""
        if backend and backend not in loaded.backends:
            return "Can't find backend."
        lines = ["1", f"# {STATE_COLUMNS}"]
        for number, name in enumerate(loaded.backends, 1 + len(loaded.frontends)):
            if backend in ("", name):
                lines += [f"{number} {name} {self._state_row(server)}" for server in by_backend.get(name, ())]
        return "\n".join(lines)

    def _state_row(self, server: HeldServer) -> str:
        status, _ = self._status(server)
        address, _, port = server.address.rpartition(":")
        up, since = (0 if status in ("DOWN", "MAINT") else 2), int(self.now - server.since)
        checking = (6 if server.is_watched else 2) if "check" in server.arguments else 0
        result = (3 if up else 2) if server.is_checked else 0
        return (
            f"{server.number} {server.name} {address} {up} {ADMIN_STATES[server.state]} {server.weight} 1 {since} 6 "
            f"{result} {up} {checking} 0 0 0 - {port} - {int('ssl' in server.arguments)} 0 - {_agent(server)} 0"
        )

    def _by_backend(self) -> dict[str, list[HeldServer]]:
        found: dict[str, list[HeldServer]] = {}
        for server in self.routing.servers():
            found.setdefault(server.backend, []).append(server)
        return found

    def _status(self, server: HeldServer) -> tuple[str, str]:
        """Its status, and what its check found ("" without one)."""
        if server.state == "maint":
            return "MAINT", ""
        if server.backend == PEERS:
            return (server.check.status, server.check.found or "INI") if server.check else ("UP 1/2", "INI")
        found = self._checked(server) if server.is_checked else ""
        if found in ("L4CON", "L4TOUT"):
            return "DOWN", found
        if server.state == "drain":
            return "DRAIN", found
        return ("UP" if found else "no check"), found

    def _checked(self, server: HeldServer) -> str:
        if server.sni:
            names = self.others.get(server.host, set())
            return "L4TOUT" if names is None else "L6OK" if server.sni in names else "L4CON"
        is_http = server.backend.startswith("probe.http") or self.routing.loaded.backends.get(server.backend) == "http"
        return ("L7OK" if is_http else "L4OK") if server.host in self.listening else "L4CON"

    # Changing servers

    def _add_server(self, words: list[str], _payload: list[str]) -> str:
        if len(words) < 2 or "/" not in words[0]:
            return "Require 'backend/server'."
        backend, _, name = words[0].partition("/")
        if backend not in self.routing.loaded.backends:
            return "No such backend."
        if self.routing.server(words[0]):
            return "Already exists a server with the same name in backend."
        self.routing.add(backend, name, words[1], words[2:])
        return "New server registered."

    def _delete_server(self, words: list[str], _payload: list[str]) -> str:
        server = self._found(words[:1])
        if isinstance(server, str):
            return server
        if server.state != "maint":
            return "Only servers in maintenance mode can be deleted."
        self.routing.forget(server)
        return "Server deleted."

    def _set_server(self, words: list[str], _payload: list[str]) -> str:
        match words[1:]:
            case ["state", ("ready" | "drain" | "maint") as state]:
                return self._change(words[:1], state=state)
            case ["state", *_]:
                return "'set server <srv> state' expects 'ready', 'drain' and 'maint'."
            case ["weight", weight] if weight.isdigit():
                if int(weight) > _HEAVIEST:
                    return f"Absolute weight can only be between 0 and {_HEAVIEST} inclusive."
                return self._change(words[:1], weight=int(weight))
        return "usage: set server <backend>/<server> state|weight"

    def _change(self, words: list[str], **changes: str | int | bool) -> str:
        server = self._found(words)
        if isinstance(server, str):
            return server
        for name, value in changes.items():
            setattr(server, name, value)
        server.since = self.now if "state" in changes else server.since
        self.routing.keep(server)
        return ""

    def _found(self, words: list[str]) -> HeldServer | str:
        if not words or "/" not in words[0]:
            return "Require 'backend/server'."
        if words[0].partition("/")[0] not in self.routing.loaded.backends:
            return "No such backend."
        return self.routing.server(words[0]) or "No such server."

    # Maps

    def _show_map(self, words: list[str], _payload: list[str]) -> str:
        if not words:
            lines = (f"{number} ({path}) pattern" for number, path in enumerate(self.routing.maps(), 1))
            return "\n".join(["# id (file) description", *lines])
        version, path = _version_and_path(words)
        held = self.routing.map(path)
        if held is None:
            return _NO_MAP
        entries = held.prepared.get(version, []) if version and version != str(held.version) else held.entries
        return "\n".join(f"{0x55AA00000000 + 64 * n:#x} {key} {value}" for n, (key, value) in enumerate(entries))

    def _prepare_map(self, words: list[str], _payload: list[str]) -> str:
        held = self.routing.map(words[0]) if words else None
        if held is None:
            return _NO_MAP
        held.newest += 1
        held.prepared[str(held.newest)] = []
        self.routing.keep_map(words[0], held)
        return f"New version created: {held.newest}"

    def _add_map(self, words: list[str], payload: list[str]) -> str:
        version, path = _version_and_path(words)
        held = self.routing.map(path)
        if held is None:
            return _NO_MAP
        if version and version not in held.prepared:
            return "Version number in the future, please use 'prepare map' before."
        entries = held.prepared[version] if version else held.entries
        if payload:
            entries += [(line.split()[0], line.strip().partition(" ")[2].strip()) for line in payload]
        else:
            key, value = words[2:4] if version else words[1:3]  # as in HAProxy, what follows a blank is lost
            entries.append((key, value))
        self.routing.keep_map(path, held)
        return ""

    def _set_map(self, words: list[str], _payload: list[str]) -> str:
        return self._entry(words[0], words[1], words[2:3]) if len(words) > 2 else _NO_MAP

    def _delete_from_map(self, words: list[str], _payload: list[str]) -> str:
        return self._entry(words[0], words[1], []) if len(words) > 1 else _NO_MAP

    def _entry(self, path: str, key: str, value: list[str]) -> str:
        """Give the entries of this key another value, or none."""
        held = self.routing.map(path)
        if held is None:
            return _NO_MAP
        if key not in dict(held.entries):
            return "entry not found." if value else "Key not found."
        changed = ([(key, new) for new in value] if name == key else [(name, old)] for name, old in held.entries)
        held.entries = [entry for entries in changed for entry in entries]
        self.routing.keep_map(path, held)
        return ""

    def _commit_map(self, words: list[str], _payload: list[str]) -> str:
        version, path = _version_and_path(words)
        held = self.routing.map(path)
        if held is None:
            return _NO_MAP
        if version not in held.prepared:
            return "Version number out of range."
        held.entries, held.version = held.prepared.pop(version), int(version)
        held.prepared = {number: entries for number, entries in held.prepared.items() if int(number) > held.version}
        self.routing.keep_map(path, held)
        return ""


def _version_and_path(words: list[str]) -> tuple[str, str]:
    """Read off ["@2", "/maps/x.map", ...] or ["/maps/x.map", ...]."""
    if words and words[0].startswith("@"):
        return words[0][1:], words[1] if len(words) > 1 else ""
    return "", words[0] if words else ""


def _where(host: SimulatedHost) -> str:
    return f"{host.name}:8443"


def _agent(server: HeldServer) -> str:
    """The address that was given as `agent-addr`, "-" without one."""
    words = list(server.arguments)
    return words[words.index("agent-addr") + 1] if "agent-addr" in words[:-1] else "-"
