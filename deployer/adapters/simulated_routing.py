"""What a simulated router holds: the configuration that it last read, and what was changed since while it "ran".

A router is a container with the label `pierhead.io/component: router` on a simulated host. Whenever its program was
started or told to reload (`simulated_lifecycle.load`), servers and maps begin again with what stood in the files then.
Traffic is counted as somebody dials it (`simulated_traffic`). A checked server is up when a program runs behind its
address: on this host, or behind the mesh port of another simulated one, whose router must know the name that it is
asked for. How the checks of peers come by their findings is told in `simulated_peers`.

Called inside the host's transactions, except for `peers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from deployer.adapters.simulated_host import SimulatedHost
from deployer.adapters.simulated_lifecycle import ROUTER, Record
from deployer.adapters.simulated_state import State
from deployer.core.container import LABEL_CLUSTER, LABEL_COMPONENT, LABEL_CONTAINER, PAUSE_CONTAINER
from deployer.core.network.simulated_hosts import mesh_address

_SECTION = re.compile(
    r"(global|defaults|frontend|backend|listen|peers|resolvers|userlist|cache|ring)\b\s*(\S*)(?: from (\S+))?"
)
_VARIABLE = re.compile(r"set-var\s+proc\.(\S+)\s+str\((.*)\)\s*$")
_TABLE = re.compile(r"stick-table\s+type\s+(\w+)\b.*?\bsize\s+(\d+)([km]?)")
_FACTORS = {"": 1, "k": 1024, "m": 1024 * 1024}
_MESH_MAP = "/maps/mesh.map"
_OF_ONE_LOAD = ("router-server", "router-map", "router-count", "router-latency", "router-owed")


@dataclass(slots=True)
class Loaded:
    """What was read: of which container, and the how-many-eth time. Proxies by name -> mode, in the file's order."""

    container: str
    loads: int
    at: float
    variables: dict[str, str] = field(default_factory=dict)
    frontends: dict[str, str] = field(default_factory=dict)
    backends: dict[str, str] = field(default_factory=dict)
    tables: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Name -> type and size."""
    defaults: dict[str, str] = field(default_factory=dict)
    """Backend -> the defaults that it names."""

    def speaks_http(self, backend: str) -> bool:
        return self.backends.get(backend) == "http" or self.defaults.get(backend, "").startswith("http")


@dataclass(slots=True)
class Check:
    """How the check of a peer stands. `health`: 2 up, 1 up but for one failure, 0 down. `failures` while it was up."""

    next_at: float
    changed_at: float
    found: str = ""
    health: int = 1
    failures: int = 0

    @property
    def status(self) -> str:
        return ("DOWN", "UP 1/2", "UP")[self.health]


@dataclass(slots=True)
class HeldServer:
    backend: str
    name: str
    number: int
    address: str
    arguments: list[str]
    state: str
    is_watched: bool
    since: float
    weight: int = 1
    check: Check | None = None

    def __post_init__(self) -> None:
        if isinstance(self.check, dict):  # as it was stored
            self.check = Check(**self.check)

    @property
    def which(self) -> str:
        return f"{self.backend}/{self.name}"

    @property
    def is_checked(self) -> bool:
        return self.is_watched and "check" in self.arguments

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0]

    @property
    def sni(self) -> str:
        """The name that another node's router is asked for; "" for a server on this host."""
        if "ssl" not in self.arguments or "check-sni" not in self.arguments:
            return ""
        return self.arguments[self.arguments.index("check-sni") + 1]


@dataclass(slots=True)
class HeldMap:
    """`prepared`: the entries of versions that are not in force yet."""

    entries: list[tuple[str, str]]
    version: int = 0
    newest: int = 0
    prepared: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


class Routing:
    """One router's state. Made anew for every look: all that lasts is in the host's state."""

    def __init__(self, state: State, record: Record, now: float) -> None:
        self._state, self._now = state, now
        held = state.all("router").get("loaded")
        if held is None or (held["container"], held["loads"]) != (record.id, record.loads):
            self._load(record)
        self.loaded = Loaded(**state.all("router")["loaded"])

    def servers(self) -> list[HeldServer]:
        """In the order of the backends in the file, then as they were added."""
        places = {name: place for place, name in enumerate(self.loaded.backends)}
        held = [HeldServer(**value) for value in self._state.all("router-server").values()]
        return sorted(held, key=lambda server: (places.get(server.backend, 0), server.number, server.name))

    def server(self, which: str) -> HeldServer | None:
        value = self._state.all("router-server").get(which)
        return HeldServer(**value) if value else None

    def keep(self, server: HeldServer) -> None:
        self._state.put("router-server", server.which, asdict(server))

    def forget(self, server: HeldServer) -> None:
        self._state.drop("router-server", server.which)
        self._state.drop("router-count", server.which)

    def add(self, backend: str, name: str, address: str, arguments: Iterable[str], *, runs_at: float = 0.0) -> None:
        """`runs_at`: since when, of servers in the file; one that is added later waits in maintenance."""
        number = 1 + max((s["number"] for s in self._state.all("router-server").values()), default=0)
        state, since = ("ready", runs_at) if runs_at else ("maint", self._now)
        self.keep(HeldServer(backend, name, number, address, list(arguments), state, bool(runs_at), since))

    def map(self, path: str) -> HeldMap | None:
        value = self._state.all("router-map").get(path)
        if value is None:
            return None
        prepared = {version: _pairs(entries) for version, entries in value["prepared"].items()}
        return HeldMap(_pairs(value["entries"]), value["version"], value["newest"], prepared)

    def maps(self) -> list[str]:
        return sorted(self._state.all("router-map"))

    def keep_map(self, path: str, held: HeldMap) -> None:
        self._state.put("router-map", path, asdict(held))

    def answered_names(self, records: Mapping[str, Record]) -> set[str]:
        """The names behind this router's mesh port at which a program runs."""
        listening = addresses_with_a_program(records)
        held = next((self.map(path) for path in self.maps() if path.endswith(_MESH_MAP)), None)
        return {name for name, address in (held.entries if held else ()) if address.partition("|")[0] in listening}

    # What was counted

    def counts(self, which: str) -> Mapping[str, int]:
        """Columns of `show stat` -> numbers, of a server; what is not there is 0."""
        found: Mapping[str, int] = self._state.all("router-count").get(which, {})
        return found

    def add_counts(self, which: str, fresh: Mapping[str, int]) -> None:
        before = self.counts(which)
        self._state.put("router-count", which, {**before, **{k: before.get(k, 0) + v for k, v in fresh.items()}})

    def latencies(self, table: str) -> Mapping[str, list[int]]:
        """Key -> 16 counts."""
        held = self._state.all("router-latency")
        return {name.partition(" ")[2]: counts for name, counts in held.items() if name.startswith(f"{table} ")}

    def add_latencies(self, table: str, key: str, fresh: Sequence[int]) -> None:
        before = self.latencies(table).get(key, [0] * len(fresh))
        summed = [old + new for old, new in zip(before, fresh, strict=True)]
        self._state.put("router-latency", f"{table} {key}", summed)

    def owed(self, name: str) -> float:
        found: float = self._state.all("router-owed").get(name, 0.0)
        return found

    def owe(self, name: str, amount: float) -> None:
        self._state.put("router-owed", name, amount)

    def _load(self, record: Record) -> None:
        for kind in _OF_ONE_LOAD:
            for name in list(self._state.all(kind)):
                self._state.drop(kind, name)
        text = "\n".join(text for path, text in sorted(record.loaded.items()) if path.endswith(".cfg"))
        loaded = Loaded(record.id, record.loads, record.loaded_at or self._now)
        self._read(text, loaded)
        for path, content in record.loaded.items():
            if path.endswith(".map") and path in text:
                self.keep_map(path, HeldMap([_entry(line) for line in content.splitlines() if _is_entry(line)]))
        self._state.put("router", "loaded", asdict(loaded))

    def _read(self, text: str, loaded: Loaded) -> None:
        section = name = ""
        for line in text.splitlines():
            if begins := _SECTION.match(line):
                section, name = begins[1], begins[2]
                if section == "backend" and begins[3]:
                    loaded.defaults[name] = begins[3]
            words = line.split()
            proxies = {"frontend": loaded.frontends, "backend": loaded.backends}.get(section)
            if proxies is not None:
                proxies[name] = words[1] if words[:1] == ["mode"] else proxies.get(name, "tcp")
            if section == "backend" and words[:1] == ["server"] and len(words) > 2:
                self.add(name, words[1], words[2], words[3:], runs_at=loaded.at)
            if variable := _VARIABLE.search(line):
                loaded.variables[variable[1]] = variable[2]
            if table := _TABLE.search(line):
                loaded.tables[name] = (table[1], int(table[2]) * _FACTORS[table[3]])


def router_of(records: Mapping[str, Record], cluster_id: str, *, running: bool = True) -> Record | None:
    """The cluster's router on this host; if it is to be `running`, so must be its network's owner."""
    for record in records.values():
        labels = record.labels
        if labels.get(LABEL_COMPONENT) == ROUTER and labels.get(LABEL_CLUSTER) == cluster_id:
            owner = records.get(record.network.removeprefix("container:"), record)
            return record if record.state == owner.state == "running" or not running else None
    return None


def addresses_with_a_program(records: Mapping[str, Record]) -> set[str]:
    """Addresses of running containers. One that only holds a pod's network counts when something runs on it."""
    running = [record for record in records.values() if record.state == "running"]
    joined = {record.network.removeprefix("container:") for record in running}
    return {
        address
        for record in running
        if record.labels.get(LABEL_CONTAINER) != PAUSE_CONTAINER or record.name in joined
        for address in (record.ip, *record.attached.values())
    }


def peers(host: SimulatedHost, cluster_id: str, addresses: Iterable[str], now: float) -> dict[str, set[str] | None]:
    """What is answered behind the mesh ports of other hosts -> its names; None: the host does not answer.

    Outside of every transaction: two routers that look at each other would wait for each other.
    """
    names = hosts_by_address(host) if addresses else {}
    return {address: _answered(host, cluster_id, names.get(address, address), now) for address in sorted({*addresses})}


def hosts_by_address(host: SimulatedHost) -> dict[str, str]:
    """The names of all simulated hosts of the folder."""
    names = sorted(path.stem.removeprefix("sim-") for path in host.run_dir.glob("sim-*.sqlite3"))
    return {mesh_address(name): name for name in names}


def _answered(host: SimulatedHost, cluster_id: str, address: str, now: float) -> set[str] | None:
    if not (host.run_dir / f"sim-{address}.sqlite3").exists():
        return set()
    peer = SimulatedHost(address, host.run_dir, host.clock, host.sleep)
    if not host.link_to(peer)(now):
        return None
    with peer.changing(now) as records:
        record = router_of(records, cluster_id)
        return Routing(peer.state, record, now).answered_names(records) if record else set()


def _pairs(entries: Any) -> list[tuple[str, str]]:
    return [(key, value) for key, value in entries]


def _is_entry(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _entry(line: str) -> tuple[str, str]:
    key, _, value = line.strip().partition(" ")
    return key, value.strip()
