"""A real HAProxy watches hosts that listen, refuse, are silent and come back; what it says is what `peers.py` reads."""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.core.network.config import router_config
from deployer.core.network.endpoints import node_label
from deployer.core.network.peers import peer_views
from deployer.core.network.runtime import Live, moves, read_servers, read_stats
from deployer.core.network.values import RoutedNode, RouterConfig
from tests.contracts.loopback import Router, eventually, free_port, needs_haproxy, scratch
from tests.contracts.mesh_certificates import MeshAuthority
from tests.core.network.sketch import cluster

MANY = 64
NAMES = ("steady", "nobody", "silent", "falls", "closes")


class Peer:
    """A host's mesh port whose router never accepts: the kernel does, as for a process that hangs."""

    def __init__(self, address: str, port: int) -> None:
        self._where, self._socket = (address, port), socket.socket()

    def listen(self) -> None:
        self._socket.close()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(self._where)
        self._socket.listen(MANY)

    def fall_silent(self) -> None:
        """Without any room for one that waits, the kernel drops what else comes."""
        with socket.create_connection(self._where):
            self._socket.listen(0)

    def come_back(self) -> None:
        self._socket.listen(MANY)

    def close(self) -> None:
        self._socket.close()


class Town:
    """A router and its peers, by their names; everything that each of its processes has ever told of each."""

    def __init__(self, folder: Path) -> None:
        self.port, self._identity = free_port(), MeshAuthority().identity("uid-a")
        self.addresses = {name: f"127.0.3.{number}" for number, name in enumerate((*NAMES, "late", "never"), 1)}
        self.peers = {name: Peer(address, self.port) for name, address in self.addresses.items()}
        own = {f"bind :{self.port}": f"bind 127.0.0.1:{free_port()}"}
        self.router = Router(folder, self.config(*NAMES), own)
        self.seen: dict[str, dict[str, set[bool | None]]] = {}
        self.process = ""

    def config(self, *names: str) -> RouterConfig:
        nodes = tuple(RoutedNode(name, name, self.addresses[name]) for name in names)
        return router_config(replace(cluster(identity=self._identity), nodes=nodes, mesh_port=self.port))

    def views(self) -> Mapping[str, bool | None]:
        about, _, stat = self.router.ask("show info; show stat -1 4 -1").partition("\n\n")
        self.process = next(line for line in about.splitlines() if line.startswith("Pid: "))
        found = peer_views(stat)
        told = {name: found[node_label(name)] for name in self.addresses if node_label(name) in found}
        for name, view in told.items():
            self.seen.setdefault(self.process, defaultdict(set))[name].add(view)
        return told

    def comes_to(self, **expected: bool) -> None:
        eventually(self.views, lambda found: expected.items() <= found.items())

    def becomes(self, config: RouterConfig) -> None:
        def left_to_do() -> float | None:
            state, stat = self.router.ask("show servers state"), self.router.ask("show stat")
            found = moves(config, Live(read_servers(state), tuple(read_stats(stat)), time.monotonic()))
            for command in found.commands:
                self.router.ask(command)
            return found.wake_at

        eventually(left_to_do, lambda at: at is None)


@pytest.fixture
def town() -> Iterator[Town]:
    needs_haproxy()
    with scratch() as folder:
        made = Town(folder)
        yield made
        for peer in made.peers.values():
            peer.close()


def test_peers_are_seen_and_missed_and_nothing_is_made_up(town: Town) -> None:
    assert town.router.complaints() == ""
    for name in ("steady", "silent", "falls", "closes", "late"):
        town.peers[name].listen()
    town.peers["silent"].fall_silent()
    with town.router.running():
        town.comes_to(steady=True, nobody=False, silent=False, falls=True, closes=True)
        seen = town.seen[town.process]
        assert not {name for name in NAMES if {True, False} <= seen[name]}
        town.peers["falls"].fall_silent()
        town.peers["closes"].close()
        town.peers["silent"].come_back()
        town.comes_to(steady=True, nobody=False, silent=True, falls=False, closes=False)
        town.peers["falls"].come_back()
        town.peers["closes"].listen()
        town.comes_to(falls=True, closes=True)

        town.becomes(town.config("steady", "closes", "late", "never"))
        assert set(town.views()) == {"steady", "closes", "late", "never"}
        town.comes_to(late=True)
        assert True not in seen["never"] | seen["nobody"]

        town.peers["closes"].fall_silent()
        town.router.reload(town.config("steady", "closes", "late"))
        eventually(lambda: town.views()["steady"] and len(town.seen) == 2)
        town.comes_to(steady=True, late=True)
        seen = town.seen[town.process]
        assert False not in seen["steady"] | seen["late"]
        assert True not in seen["closes"], "what was found before a reload is forgotten with it"


def test_peers_may_have_addresses_of_any_kind(town: Town) -> None:
    town.addresses["late"] = "2001:db8::1"
    assert Router(town.router.folder, town.config("steady", "late")).complaints() == ""
