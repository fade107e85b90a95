"""A simulated Docker host behind the port `Engine`: for a first look without Docker, for scenarios and for scale.

It keeps its promises by the same contract suite as the real one, in milliseconds. Programs are a few shell words
(`simulated_programs`), lives are worked out when somebody looks (`simulated_lifecycle`), and what it holds is shared
by name and folder between threads and processes (`simulated_state`). Its `host` can be told to misbehave, and can lose
power or its cable (`simulated_host`).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from posixpath import normpath

from deployer.adapters import simulated_lifecycle as life
from deployer.adapters.clock import WallClock
from deployer.adapters.simulated_host import Faults, SimulatedHost, addresses_on
from deployer.adapters.simulated_lifecycle import Happened, Record
from deployer.adapters.simulated_programs import is_missing, run
from deployer.adapters.simulated_storage import Storage
from deployer.adapters.simulated_terminal import SimulatedTerminal
from deployer.adapters.simulated_usage import usage
from deployer.core.container import (
    LABEL_ATTEMPT,
    LABEL_CLUSTER,
    LABEL_POD_UID,
    PAUSE_IMAGE,
    ContainerSeen,
    ContainerSpec,
    EngineEvent,
    EngineInfo,
    ExecResult,
    FileEntry,
    ImageSeen,
    RegistryAuth,
    Subnet,
    VolumeSpec,
)
from deployer.core.usage import Usage
from deployer.ports import Clock, EngineUnreachable, Terminal

__all__ = ["Faults", "SimulatedEngine", "SimulatedHost"]

_POLL_SECONDS = 0.1
_SILENCE_SECONDS = 15.0


class SimulatedEngine:
    def __init__(
        self,
        name: str,
        cluster_id: str,
        *,
        run_dir: Path,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
        cpu_millicores: int = 4000,
        memory_bytes: int = 8 << 30,
    ) -> None:
        """`sleep` is what the engine waits with; with an injected clock it moves that clock on."""
        self.host = SimulatedHost(name, run_dir, clock or WallClock(), sleep)
        self.cluster_id = self._cluster_id = cluster_id
        self._capacity = (cpu_millicores, memory_bytes)
        self._storage = Storage(self.host.state, name, cluster_id)
        self._closed = False

    # The host

    def ping(self) -> None:
        self._asked("ping")

    def info(self) -> EngineInfo:
        self._asked("info")
        identity = f"sim-{hashlib.sha256(self.host.name.encode()).hexdigest()[:16]}"
        return EngineInfo(identity, self.host.name, "simulated", "simulated", "x86_64", *self._capacity)

    def host_time(self) -> float:
        return self._asked("host_time")

    def close(self) -> None:
        self._closed = True

    # Containers

    def containers(self) -> list[ContainerSeen]:
        now = self._asked("containers")
        with self.host.looking(now) as records:
            return [life.seen(record, now, with_detail=False) for record in records.values() if self._is_ours(record)]

    def inspect(self, container: str) -> ContainerSeen | None:
        now = self._asked("inspect")
        with self.host.looking(now) as records:
            record = self._find(records, container)
            return life.seen(record, now, with_detail=True) if record else None

    def create(self, spec: ContainerSpec, files: Sequence[FileEntry] = ()) -> str:
        now = self._asked("create")
        self.host.need_disk(f"create {spec.name}")
        with self.host.changing(now) as records:
            if spec.name in records:
                return self._created_before(records[spec.name], spec)
            image = self._storage.find_image(spec.image)
            if image is None:
                raise self.host.error("ImageNotFound", f"create {spec.name}: no such image: {spec.image}")
            labels = {**spec.labels, LABEL_CLUSTER: self._cluster_id}
            identity, ip = secrets.token_hex(32), self._storage.next_ip()
            record = life.record_of(spec, identity=identity, image_id=image.id, ip=ip, labels=labels)
            self._place(record, "/", files)
            self.host.save(record, [Happened("create", now)])
            return record.id

    def start(self, container: str) -> None:
        now = self._asked("start")
        with self._one(container, now, "start") as record:
            self.host.start(record, now)

    def stop(self, container: str, grace_seconds: int) -> None:
        now = self._asked("stop")
        with self.host.looking(now) as records:
            record = self._find(records, container)
            is_stubborn = record is not None and life.is_stubborn(record, self.host.machine(record))
        if is_stubborn:
            self.host.sleep(grace_seconds)
            now = self.host.clock.now()
        with self.host.changing(now) as records:
            record = self._find(records, container)
            if record:
                self.host.save(record, life.stop(record, self.host.machine(record), now))

    def remove(self, container: str) -> None:
        now = self._asked("remove")
        with self.host.changing(now) as records:
            record = self._find(records, container)
            if record:
                ended = life.stop(record, self.host.machine(record), now)
                self.host.save(record, [*ended, Happened("destroy", now)])
                self.host.drop(record)

    def put_files(self, container: str, folder: str, files: Sequence[FileEntry]) -> None:
        now = self._asked("put_files")
        self.host.need_disk(f"put files into {container}")
        with self._one(container, now, "put files into") as record:
            self._place(record, folder, files)
            self.host.save(record, [])

    def execute(self, container: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        now = self._asked("execute")
        with self._one(container, now, "run a command in") as record:
            if record.state != "running":
                raise self.host.error("RunContainerError", f"run a command in {container}: it is not running")
            if is_missing(command):
                sentence = f"run {command[0]} in {container}: executable file not found"
                raise self.host.error("CommandNotFound", sentence, retryable=False)
            outcome = run(command, "", self.host.machine(record))
            if outcome.reloads:
                life.load(record, self.host.machine(record), now)
            record.files |= {path: data.decode("latin-1") for path, data in outcome.written.items()}
            self.host.save(record, [])
        lasts = outcome.ends_after_seconds
        if lasts is None or lasts > timeout_seconds:
            self.host.sleep(timeout_seconds)
            sentence = f"cannot run a command in {container}: no answer within {timeout_seconds:g} s"
            raise EngineUnreachable("Unreachable", f"{self.host.name}: {sentence}")
        return ExecResult(outcome.exit_code, "".join(f"{text}\n" for _, text in outcome.lines))

    def terminal(self, container: str, command: Sequence[str], *, columns: int, rows: int) -> Terminal:
        with self._one(container, self._asked("terminal"), "open a terminal in") as record:
            if record.state != "running":
                raise self.host.error("RunContainerError", f"open a terminal in {container}: it is not running")
            machine = self.host.machine(record)

        def runs() -> bool:
            with self.host.looking(self.host.clock.now()) as records:
                found = self._find(records, container)
                return found is not None and found.state == "running"

        return SimulatedTerminal(self.host, container, command, machine, columns, rows, runs)

    def logs(
        self,
        container: str,
        *,
        tail: int | None = None,
        since: float | None = None,
        follow: bool = False,
        timestamps: bool = False,
    ) -> Iterator[bytes]:
        """As the real engine's: a line a piece, b"" after 15 s of silence while following."""
        now = self._asked("logs")
        with self._one(container, now, "read the logs of") as record:
            kept = [line for line in record.lines if line[0] <= now and line[0] >= (since or 0)]
        first = kept if tail is None else kept[len(kept) - min(tail, len(kept)) :]
        return self._lines(record.name, first, now, follow, timestamps)

    def usage(self, containers: Sequence[str], within_seconds: float) -> dict[str, Usage]:
        began_at = self.host.clock.now()
        now = self._asked("usage")
        if now - began_at > within_seconds:
            return {}
        with self.host.looking(now) as records:
            by_word = {word: record for record in records.values() for word in (record.id, record.name)}
            asked = {word: by_word[word] for word in containers if word in by_word}
            read = {word: usage(one, now, *self._capacity) for word, one in asked.items() if self._is_ours(one)}
            return {word: found for word, found in read.items() if found is not None}

    def events(self, since: float, until: float) -> Iterator[EngineEvent]:
        last = 0
        while True:
            now = self._asked("events")
            with self.host.looking(now):
                found = self.host.state.events(since, min(now, until), last)
            for number, event in found:
                last = max(last, number)
                if event.labels.get(LABEL_CLUSTER) == self._cluster_id:
                    yield event
            if now >= until:
                return
            self.host.sleep(min(_POLL_SECONDS, until - now))

    # Images, networks, volumes

    def image(self, reference: str) -> ImageSeen | None:
        self._asked("image")
        with self.host.state.reading():
            return self._storage.find_image(reference)

    def images(self) -> list[ImageSeen]:
        with self.host.looking(self._asked("images")) as records:
            made_from = {record.image_id for record in records.values() if self._is_ours(record)}
            return self._storage.images(made_from)

    def pull(self, reference: str, auth: RegistryAuth | None = None) -> ImageSeen:
        self._asked("pull")
        self.host.need_disk(f"pull {reference}")
        with self.host.state.changing():
            return self._storage.pull(reference, auth)

    def remove_image(self, reference: str) -> None:
        with self.host.changing(self._asked("remove_image")) as records:
            self._storage.remove_image(reference, {record.image_id for record in records.values()})

    def load_image(self, reference: str, user: str = "") -> None:
        """What an operator does with `docker load`: the image is there, and not ours to collect."""
        with self.host.state.changing():
            self._storage.add_image(reference, user=user, ours=False)

    def ensure_pause_image(self) -> str:
        self._asked("ensure_pause_image")
        self.load_image(PAUSE_IMAGE)
        return PAUSE_IMAGE

    def ensure_network(self, name: str, labels: dict[str, str], subnet: Subnet | None = None) -> None:
        with self.host.changing(self._asked("ensure_network")) as records:
            users = [r.name for r in records.values() if name == r.network or name in r.attached]
            self._storage.ensure_network(name, labels, subnet, users)

    def attach(self, container: str, network: str, address: str) -> None:
        now = self._asked("attach")
        with self._one(container, now, f"attach to network {network}:") as record:
            if network not in self._storage.ours("network"):
                sentence = f"attach {record.name} to network {network} at {address}: there is no such network"
                raise self.host.error("NetworkMissing", sentence)
            others = (other for other in self.host.records().values() if other.name != record.name)
            holder = addresses_on(network, others).get(address)
            if holder:
                sentence = f"attach {record.name} to network {network} at {address}: {holder} has this address"
                raise self.host.error("AddressesTaken", sentence)
            if record.network == network:
                record.address = record.ip = address
            else:
                record.attached[network] = address
            self.host.save(record, [])

    def detach(self, container: str, network: str) -> None:
        with self.host.changing(self._asked("detach")) as records:
            record = self._find(records, container)
            if record is None or network not in {record.network, *record.attached}:
                return
            if record.attached.pop(network, None) is None:
                record.network = record.address = ""
            self.host.save(record, [])

    def networks(self) -> list[str]:
        self._asked("networks")
        with self.host.state.reading():
            return sorted(self._storage.ours("network"))

    def subnets(self) -> dict[str, str]:
        self._asked("subnets")
        with self.host.state.reading():
            held = sorted(self._storage.ours("network").items())
            return {name: thing["subnet"]["range"] for name, thing in held if thing.get("subnet")}

    def remove_network(self, name: str) -> None:
        with self.host.changing(self._asked("remove_network")) as records:
            running = (record for record in records.values() if record.state == "running")
            users = [record.name for record in running if name == record.network or name in record.attached]
            self._storage.remove("network", name, users)

    def ensure_volume(self, spec: VolumeSpec) -> None:
        self._asked("ensure_volume")
        with self.host.state.changing():
            self._storage.ensure_volume(spec)

    def fill_volume(self, name: str, files: Sequence[FileEntry]) -> None:
        self._asked("fill_volume")
        self.host.need_disk(f"fill volume {name}")
        with self.host.state.changing():
            self._storage.fill_volume(name, files)

    def volumes(self) -> list[VolumeSpec]:
        self._asked("volumes")
        with self.host.state.reading():
            return self._storage.volumes()

    def remove_volume(self, name: str) -> None:
        with self.host.changing(self._asked("remove_volume")) as records:
            users = [r.name for r in records.values() if any(source == name for source, _ in r.mounts)]
            self._storage.remove("volume", name, users)

    # How

    def _asked(self, call: str) -> float:
        """The time of the call, if the host answers at all."""
        if self._closed:
            raise EngineUnreachable("Closed", f"{self.host.name}: the connection was closed")
        self.host.answer(call)
        return self.host.clock.now()

    def _created_before(self, existing: Record, spec: ContainerSpec) -> str:
        labels = (LABEL_POD_UID, LABEL_ATTEMPT)
        same = all(existing.labels.get(label, "") == spec.labels.get(label, "") for label in labels)
        if not self._is_ours(existing) or not same:
            sentence = f"create {spec.name}: another container has this name; remove it"
            raise self.host.error("NameConflict", sentence)
        return existing.id

    def _place(self, record: Record, folder: str, files: Sequence[FileEntry]) -> None:
        """Into the volume that is mounted there, or among the container's own files."""
        for file in files:
            path, data = normpath(f"/{folder}/{file.path}").replace("//", "/"), file.data.decode("latin-1")
            if file.is_folder:
                continue
            for volume, mounted in record.mounts:
                if path.startswith(f"{mounted.rstrip('/')}/") and volume in self.host.state.all("volume"):
                    self._storage.write(volume, {path.removeprefix(f"{mounted.rstrip('/')}/"): data})
                    break
            else:
                record.files[path] = data

    @contextmanager
    def _one(self, container: str, now: float, what: str) -> Iterator[Record]:
        with self.host.changing(now) as records:
            record = self._find(records, container)
            if record is None:
                raise self.host.error("NoSuchContainer", f"{what} {container}: there is no such container")
            yield record

    def _find(self, records: dict[str, Record], container: str) -> Record | None:
        record = records.get(container) or next((r for r in records.values() if r.id == container), None)
        return record if record and self._is_ours(record) else None

    def _is_ours(self, record: Record) -> bool:
        return record.labels.get(LABEL_CLUSTER) == self._cluster_id

    def _lines(
        self, name: str, first: list[tuple[float, str]], seen_until: float, follow: bool, timestamps: bool
    ) -> Iterator[bytes]:
        yield from (_line(at, text, timestamps) for at, text in first)
        silent_since = seen_until
        while follow:
            now = self._asked("logs")
            with self.host.looking(now) as records:
                record = self._find(records, name)
                new = [line for line in record.lines if seen_until < line[0] <= now] if record else []
            yield from (_line(at, text, timestamps) for at, text in new)
            if record is None or record.state != "running":
                return
            seen_until, silent_since = now, now if new else silent_since
            if now - silent_since >= _SILENCE_SECONDS:
                silent_since = now
                yield b""
            self.host.sleep(_POLL_SECONDS)


def _line(at: float, text: str, with_timestamp: bool) -> bytes:
    if not with_timestamp:
        return f"{text}\n".encode()
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    return f"{stamp} {text}\n".encode()
