"""A router and the hosts that it watches, one real and one simulated, behind the same few words.

host(name).listen()     host(name).fall_silent()     host(name).come_back()     host(name).refuse()
"""

from __future__ import annotations

import socket
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from deployer.adapters.simulated import SimulatedEngine
from deployer.adapters.simulated_router import open_simulated_line
from deployer.core.container import LABEL_COMPONENT, ContainerSpec, FileEntry, Mount, VolumeSpec
from deployer.core.network import simulated_hosts
from deployer.core.network.config import router_config
from deployer.core.network.endpoints import node_label
from deployer.core.network.peers import peer_views
from deployer.core.network.runtime import Live, moves, read_servers, read_stats
from deployer.core.network.values import RoutedNode, RouterConfig
from tests.contracts.bench import IMAGE, MovingClock
from tests.contracts.loopback import Router
from tests.contracts.mesh_certificates import MeshAuthority
from tests.core.network.sketch import cluster
from tests.ports import free_port

_DEADLINE_SECONDS, _STEP_SECONDS = 30.0, 0.02
_MANY = 64


class Peer(Protocol):
    def listen(self) -> None: ...
    def fall_silent(self) -> None: ...
    def come_back(self) -> None: ...
    def refuse(self) -> None: ...


class Town(ABC):
    """`seen`: everything that each process of the router has ever told of each peer."""

    def __init__(self, addresses: Mapping[str, str], port: int) -> None:
        self.port, self._identity, self.addresses = port, MeshAuthority().identity("uid-a"), dict(addresses)
        self.seen: dict[str, dict[str, set[bool | None]]] = {}
        self.process = ""

    @abstractmethod
    def host(self, name: str) -> Peer: ...

    @abstractmethod
    def ask(self, *commands: str) -> list[str]: ...

    @abstractmethod
    def reload(self, *names: str) -> None: ...

    @abstractmethod
    def sleep(self, seconds: float) -> None: ...

    def config(self, *names: str) -> RouterConfig:
        nodes = tuple(RoutedNode(name, name, self.addresses[name]) for name in names)
        return router_config(replace(cluster(identity=self._identity), nodes=nodes, mesh_port=self.port))

    def views(self) -> Mapping[str, bool | None]:
        about, stat = self.ask("show info", "show stat -1 4 -1")
        self.process = next(line for line in about.splitlines() if line.startswith("Pid: "))
        found = peer_views(stat)
        told = {name: found[node_label(name)] for name in self.addresses if node_label(name) in found}
        for name, view in told.items():
            self.seen.setdefault(self.process, defaultdict(set))[name].add(view)
        return told

    def comes_to(self, **expected: bool) -> None:
        self.eventually(lambda: expected.items() <= self.views().items(), f"{expected}")

    def becomes(self, *names: str) -> None:
        def is_done() -> bool:
            state, stat = self.ask("show servers state", "show stat")
            found = moves(self.config(*names), Live(read_servers(state), tuple(read_stats(stat)), time.monotonic()))
            for command in found.commands:
                self.ask(command)
            return found.wake_at is None

        self.eventually(is_done, f"{names} are watched")

    def eventually(self, condition: Callable[[], object], what: str) -> None:
        waited = 0.0
        while not condition():
            assert waited < _DEADLINE_SECONDS, f"{what}: not in time, seen were {self.seen}"
            self.sleep(_STEP_SECONDS)
            waited += _STEP_SECONDS


class Port:
    """A host's mesh port whose router never accepts: the kernel does, as for a process that hangs."""

    def __init__(self, address: str, port: int) -> None:
        self._where = (address, port)
        self._socket: socket.socket | None = None

    def listen(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(self._where)
        self._socket.listen(_MANY)

    def fall_silent(self) -> None:
        """Without any room for one that waits, the kernel drops what else comes."""
        with socket.create_connection(self._where):
            self._listening.listen(0)

    def come_back(self) -> None:
        self._listening.listen(_MANY)

    def refuse(self) -> None:
        if self._socket is not None:
            self._socket.close()

    @property
    def _listening(self) -> socket.socket:
        assert self._socket is not None
        return self._socket


class RealTown(Town):
    """HAProxy on loopback, and ports."""

    def __init__(self, folder: Path, names: Iterable[str], watched: Iterable[str]) -> None:
        super().__init__({name: f"127.0.3.{number}" for number, name in enumerate(names, 1)}, free_port())
        self._ports = {name: Port(address, self.port) for name, address in self.addresses.items()}
        own = {f"bind :{self.port}": f"bind 127.0.0.1:{free_port()}"}
        self._router = Router(folder, self.config(*watched), own)

    def host(self, name: str) -> Peer:
        return self._ports[name]

    def ask(self, *commands: str) -> list[str]:
        """In one breath: during a reload, the next question may be another process'."""
        answers = self._router.ask("; ".join(commands)).split("\n\n")
        return [one.strip() for one in answers[: len(commands)]]

    def reload(self, *names: str) -> None:
        self._router.reload(self.config(*names))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    @contextmanager
    def running(self) -> Iterator[None]:
        try:
            with self._router.running():
                yield
        finally:
            for port in self._ports.values():
                port.refuse()


class Simulated:
    """A simulated host with a router, which is started once it has its configuration."""

    def __init__(self, name: str, folder: Path, clock: MovingClock) -> None:
        self.engine = SimulatedEngine(name, "c1", run_dir=folder, clock=clock, sleep=clock.sleep)
        self.line = open_simulated_line(self.engine)
        self.engine.load_image(IMAGE)
        self.engine.ensure_volume(VolumeSpec("pierhead-router", {}))
        mounts, net = (Mount("pierhead-router", "/pierhead"),), "container:pierhead-router-net"
        self._create("pierhead-router-net", "router-net", ())
        self._create("pierhead-router", "router", mounts, network=net)

    def put(self, config: RouterConfig) -> None:
        self.engine.put_files("pierhead-router", "/pierhead", [FileEntry("haproxy.cfg", config.text.encode())])

    def listen(self) -> None:
        self.engine.start("pierhead-router-net")
        self.engine.start("pierhead-router")

    def fall_silent(self) -> None:
        self.engine.host.cut_off()

    def come_back(self) -> None:
        self.engine.host.reconnect()

    def refuse(self) -> None:
        self.engine.stop("pierhead-router", 0)

    def _create(self, name: str, component: str, mounts: tuple[Mount, ...], network: str = "") -> None:
        labels = {LABEL_COMPONENT: component}
        self.engine.create(ContainerSpec(name, IMAGE, labels, restart="always", network=network, mounts=mounts))


class SimulatedTown(Town):
    def __init__(self, folder: Path, names: Iterable[str], watched: Iterable[str]) -> None:
        names = tuple(names)
        super().__init__({name: simulated_hosts.mesh_address(name) for name in names}, 8443)
        self._clock = MovingClock()
        self._hosts = {name: Simulated(name, folder, self._clock) for name in ("here", *names)}
        self._here = self._hosts["here"]
        self._here.put(self.config(*watched))

    def host(self, name: str) -> Simulated:
        return self._hosts[name]

    def ask(self, *commands: str) -> list[str]:
        return self._here.line.ask(commands)

    def reload(self, *names: str) -> None:
        self._here.put(self.config(*names))
        self._here.engine.execute("pierhead-router", ("kill", "-USR2", "1"), 5)

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._here.listen()
        yield
