"""A simulated machine with an engine on it: what it holds and how it fares, whichever cluster asks.

Nobody has to call it for time to pass: whoever looks brings it up to date first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from deployer.adapters import simulated_lifecycle as life
from deployer.adapters.simulated_lifecycle import Happened, Record
from deployer.adapters.simulated_programs import Machine, is_missing
from deployer.adapters.simulated_state import open_state
from deployer.core.container import EngineEvent
from deployer.ports import Clock, EngineError, EngineUnreachable

_LOST_POWER = 255
_CUTS_KEPT = 50
Link = Callable[[float], bool]
_NOTHING_DUE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Faults:
    """How a host misbehaves. `failing` are names of calls (Engine's methods) that answer with a 500.

    `unreachable`: nobody reaches it, as without its cable. `unseen`: the control plane does not, other hosts do.
    `cut_links`: names of hosts that it does not reach, nor they it.
    """

    unreachable: bool = False
    unseen: bool = False
    cut_links: tuple[str, ...] = ()
    slow_seconds: float = 0
    failing: tuple[str, ...] = ()
    disk_full: bool = False


class SimulatedHost:
    def __init__(self, name: str, run_dir: Path, clock: Clock, sleep: Callable[[float], None]) -> None:
        self.name, self.run_dir, self.clock, self.sleep = name, run_dir, clock, sleep
        self.state = open_state(run_dir / f"sim-{name}.sqlite3")

    def answer(self, call: str) -> None:
        """Do as told before every call: be away, slow, failing."""
        faults = self._faults()
        if faults.unreachable or faults.unseen:
            raise EngineUnreachable("Unreachable", f"{self.name}: cannot reach the engine: no answer")
        if faults.slow_seconds:
            self.sleep(faults.slow_seconds)
        if call in faults.failing:
            raise self.error("EngineFailed", f"{call}: the simulated engine was told to fail")

    def need_disk(self, what: str) -> None:
        if self._faults().disk_full:
            raise self.error("DiskFull", f"{what}: no space left on device; free space on the host")

    def error(self, reason: str, sentence: str, *, retryable: bool = True) -> EngineError:
        return EngineError(reason, f"{self.name}: cannot {sentence}", retryable=retryable)

    @contextmanager
    def looking(self, now: float) -> Iterator[dict[str, Record]]:
        """All containers by name as they are at `now`. Writes nothing when nothing was due."""
        with self.state.reading():
            if self.state.memory.get("due_at", 0.0) <= now:
                self._advance(now)
            yield self.records()

    @contextmanager
    def changing(self, now: float) -> Iterator[dict[str, Record]]:
        """The same, to be changed with `save` and `drop`."""
        with self.state.changing():
            if self.state.memory.get("due_at", 0.0) <= now:
                self._advance(now)
            yield self.records()

    def records(self) -> dict[str, Record]:
        if "records" not in self.state.memory:
            stored = self.state.all("container")
            self.state.memory["records"] = {name: Record(**value) for name, value in stored.items()}
        records: dict[str, Record] = self.state.memory["records"]
        return records

    def save(self, record: Record, happened: list[Happened]) -> None:
        self.records()[record.name] = record
        self.state.put("container", record.name, asdict(record))
        for event in happened:
            self.state.append(EngineEvent(event.action, record.id, record.labels, event.at, event.exit_code))
        due_at = life.due_at(record, self.machine(record))
        if due_at is not None:
            self.state.memory["due_at"] = min(due_at, self.state.memory.get("due_at", due_at))

    def drop(self, record: Record) -> None:
        self.state.drop("container", record.name)
        self.records().pop(record.name, None)

    def machine(self, record: Record) -> Machine:
        """What the record's programs can see: its own files and those in its volumes."""
        files = {path: text.encode("latin-1") for path, text in record.files.items()}
        for volume, folder in record.mounts:
            held = self.state.all("volume").get(volume, {"files": {}})["files"]
            files |= {f"{folder.rstrip('/')}/{path}": text.encode("latin-1") for path, text in held.items()}
        return Machine(files, record.env)

    def start(self, record: Record, now: float) -> None:
        if record.state in ("running", "restarting"):
            return
        self._may_start(record)
        self._give_address(record)
        self.save(record, life.start(record, self.machine(record), now))

    # Misbehaviour, for every process that looks at this host

    def misbehave(self, faults: Faults) -> None:
        """From now on; `Faults()` ends it."""
        cut = [self.clock.now(), faults.unreachable, faults.cut_links]
        with self.state.changing():
            self.state.put("host", "faults", asdict(faults))
            self.state.put("host", "cuts", [*self.state.all("host").get("cuts", ()), cut][-_CUTS_KEPT:])

    def cut_off(self) -> None:
        """Nobody reaches it, and it reaches nobody; its containers run on."""
        self._change(unreachable=True)

    def cut_off_from_control(self) -> None:
        """The control plane reaches neither its engine nor its router; other hosts do."""
        self._change(unseen=True)

    def reconnect(self) -> None:
        """The end of both; links to single hosts are mended one by one."""
        self._change(unreachable=False, unseen=False)

    def cut_link(self, other: str) -> None:
        """This host and the one of that name do not reach each other; everybody else reaches both."""
        self._change(cut_links=tuple(sorted({*self._faults().cut_links, other})))

    def mend_link(self, other: str) -> None:
        """Of a link that was cut at this end."""
        self._change(cut_links=tuple(name for name in self._faults().cut_links if name != other))

    def link_to(self, other: SimulatedHost) -> Link:
        """Whether packets get from one to the other, now or at an earlier time."""
        ends = ((self._cuts(), other.name), (other._cuts(), self.name))
        return lambda at: not any(_is_cut(cuts, name, at) for cuts, name in ends)

    def power_off(self) -> None:
        """Everything on the host ends at once; `power_on` starts what has a restart policy."""
        now = self.clock.now()
        with self.changing(now) as records:
            for record in records.values():
                if record.state in ("running", "restarting"):
                    record.state, record.finished_at, record.exit_code = "exited", now, _LOST_POWER
                    self.save(record, [])
            self.cut_off()

    def power_on(self) -> None:
        now = self.clock.now()
        with self.changing(now) as records:
            for record in records.values():
                if record.state == "exited" and record.exit_code == _LOST_POWER and record.restart != "no":
                    self.save(record, life.start(record, self.machine(record), now))
            self.reconnect()

    def kill(self, container: str) -> None:
        """SIGKILL the process of the container of this name, as the kernel would."""
        now = self.clock.now()
        with self.changing(now) as records:
            self.save(records[container], life.kill(records[container], now))

    def _faults(self) -> Faults:
        with self.state.reading():
            return Faults(**self.state.all("host").get("faults", {}))

    def _change(self, **changes: Any) -> None:
        self.misbehave(replace(self._faults(), **changes))

    def _cuts(self) -> list[tuple[float, bool, Sequence[str]]]:
        """Since when it was cut off from all, and from which hosts; in the order of time."""
        with self.state.reading():
            return list(self.state.all("host").get("cuts", ()))

    def _advance(self, now: float) -> None:
        with self.state.changing():
            self.state.memory["due_at"] = now + _NOTHING_DUE_SECONDS
            for record in self.records().values():
                happened = life.advance(record, self.machine(record), now)
                if happened:
                    self.save(record, happened)
                due_at = life.due_at(record, self.machine(record))
                if due_at is not None:
                    self.state.memory["due_at"] = min(due_at, self.state.memory["due_at"])

    def _may_start(self, record: Record) -> None:
        what = f"start {record.name}"
        if record.network.startswith("container:"):
            owner = self.records().get(record.network.removeprefix("container:"))
            if owner is None or owner.state != "running":
                sentence = f"{what}: cannot join the network of {record.network}, which is not running"
                raise self.error("RunContainerError", sentence)
        elif record.network not in life.NO_NETWORKS and record.network not in self.state.all("network"):
            raise self.error("NetworkMissing", f"{what}: network {record.network} not found")
        if is_missing(record.words):
            record.error, record.exit_code = f"exec: {record.words[0]}: executable file not found in $PATH", 127
            self.save(record, [])
            raise self.error("CommandNotFound", f"{what}: {record.error}", retryable=False)
        self._ports_are_free(record, what)

    def _give_address(self, record: Record) -> None:
        """The fixed one, or a free one of those that the network keeps for pods."""
        subnet = (self.state.all("network").get(record.network) or {}).get("subnet")
        others = [other for other in self.records().values() if other.name != record.name]
        for network, address in {record.network: record.address, **record.attached}.items():
            holder = addresses_on(network, others).get(address)
            if holder:
                raise self.error("RunContainerError", f"start {record.name}: {holder} has the address {address}")
        if record.address:
            record.ip = record.address
        elif subnet:
            taken = addresses_on(record.network, others)
            reserved = {*taken, subnet["gateway"]}
            free = (str(address) for address in ip_network(subnet["pods"]).hosts() if str(address) not in reserved)
            record.ip = next(free, record.ip)

    def _ports_are_free(self, record: Record, what: str) -> None:
        wanted = {(port, protocol) for _, port, protocol in record.ports}
        for other in self.records().values():
            if other.name == record.name or other.state != "running":
                continue
            for _, port, protocol in other.ports:
                if (port, protocol) in wanted:
                    raise self.error("PortTaken", f"{what}: port {port} is already allocated to {other.name}")


def _is_cut(cuts: Sequence[tuple[float, bool, Sequence[str]]], name: str, at: float) -> bool:
    _, is_from_all, links = next((cut for cut in reversed(cuts) if cut[0] <= at), (0.0, False, ()))
    return is_from_all or name in links


def addresses_on(network: str, records: Iterable[Record]) -> dict[str, str]:
    """The addresses in use on a network -> whose they are."""
    taken = {}
    for record in records:
        if record.state != "running":
            continue  # an engine gives the address of what is stopped to others
        if network in record.attached:
            taken[record.attached[network]] = record.name
        if record.network == network:
            taken[record.ip] = record.name
    return taken
