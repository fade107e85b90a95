"""Passes of the route loop over a real HAProxy: its containers are simulated, the process in one of them is not.

Everything is on loopback (pod range 127.192.0.0/12), and the command line is reached as in earnest: through the mesh
port, by mutual TLS.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.clock import WallClock
from deployer.adapters.router_line import open_line
from deployer.adapters.simulated import SimulatedEngine
from deployer.core.container import ExecResult, FileEntry
from deployer.core.network.config import router_config
from deployer.core.network.mesh import CONTROL_NAME, command_line_name
from deployer.core.network.routing import Routed, RouterOutcome
from deployer.core.network.runtime import Live, moves, read_servers, read_stats
from deployer.core.network.values import (
    Cluster,
    ContainerProbe,
    Identity,
    NetworkCheck,
    PodNetwork,
    RoutedNode,
    RoutedPod,
    RoutedService,
)
from deployer.core.objects.workload import ServiceSpec
from deployer.loops.images import NodeImages
from deployer.loops.router_access import RouterAccess
from deployer.loops.router_turn import RouterTurn
from tests.contracts.haproxy import Pod, poll
from tests.contracts.mesh_certificates import MeshAuthority
from tests.environment import require
from tests.ports import free_port

VIRTUAL = "127.192.24.2"  # the first Service's address on the first pod network


class Machine(SimulatedEngine):
    """A simulated host whose router is a HAProxy of this machine."""

    def __init__(self, folder: Path) -> None:
        super().__init__("one", "c1", run_dir=folder)
        self.folder = folder / "volume"
        (folder / "run").mkdir()
        self.folder.mkdir()
        self.process: subprocess.Popen[bytes] | None = None

    def moved(self, text: str) -> str:
        run = str(self.folder.parent / "run")
        return text.replace("/pierhead-run", run).replace("/pierhead/", f"{self.folder}/")

    def put_files(self, container: str, folder: str, files: Sequence[FileEntry]) -> None:
        super().put_files(container, folder, files)
        for file in files:
            path = self.folder / file.path
            if file.is_folder:
                path.mkdir(exist_ok=True)
            else:
                text = file.data.decode()
                path.write_text(text if file.path.endswith(".pem") else self.moved(text))

    def start(self, container: str) -> None:
        super().start(container)
        if container == "pierhead-router":
            command = ["haproxy", "-W", "-db", "-f", str(self.folder / "haproxy.cfg")]
            with (self.folder.parent / "output").open("ab") as output:
                self.process = subprocess.Popen(command, stdout=output, stderr=output)

    def execute(self, container: str, command: Sequence[str], timeout_seconds: float, **words: Any) -> ExecResult:
        if command[0] == "kill" and self.process is not None:
            os.kill(self.process.pid, signal.SIGUSR2)
        if command[0] != "haproxy":
            return super().execute(container, command, timeout_seconds, **words)
        done = subprocess.run([*map(self.moved, command)], capture_output=True, text=True, timeout=20)
        return ExecResult(done.returncode, done.stdout + done.stderr)

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Town:
    """One node, one Service, pods on loopback."""

    def __init__(self, folder: Path) -> None:
        self.machine, self.authority, self.epoch = Machine(folder), MeshAuthority(), 0
        self.port = free_port()
        self.machine.load_image("haproxy:test")
        control = self.authority.issue(CONTROL_NAME)
        self.control = Identity(control.pem, control.key, self.authority.certificate, self.authority.list_of_revoked)
        images = NodeImages(self.machine, WallClock(), lambda *_: None, time.sleep)
        self.pool = ThreadPoolExecutor(1)
        self.access = RouterAccess("n1", "one", self.machine, images, self.line, time.sleep, self.pool)
        self.cluster = Cluster(
            "c1", RoutedNode("n1", "one"), self.authority.identity("n1"), mesh_port=self.port,
            services=(service("web", 1),), networks=(PodNetwork("pierhead-shop", 1, "shop"),),
            pod_range="127.192.0.0/12",
        )  # fmt: skip

    def line(self, routed: Routed) -> Any:
        name = command_line_name("n1")
        keys = (self.control.certificate, self.control.key, self.control.authority)
        return open_line("127.0.0.1", self.port, name, *keys, 5.0)

    def take(self, leaving: frozenset[str] = frozenset(), *pods: RoutedPod, **changes: Any) -> RouterOutcome:
        """One pass over a cluster of these pods, in the holding after the last one."""
        self.epoch += 1
        self.cluster = replace(self.cluster, pods=pods, **changes)
        routed = Routed(self.cluster, self.epoch, "haproxy:test", "haproxy:test", "127.0.0.1", self.control, leaving)
        return RouterTurn(self.access, routed, WallClock(), self.epoch).take()[0]


def service(name: str, index: int) -> RoutedService:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 18180, "targetPort": "http"}]}
    return RoutedService(f"s{index}", "shop", name, index, ServiceSpec.model_validate(spec))


def pod(name: str, server: Pod, **words: Any) -> RoutedPod:
    ports = {"http": server.server_port}
    return RoutedPod(name, "shop", name, "n1", "127.0.0.1", {"app": "web"}, True, ports=ports,
                     network="pierhead-shop", **words)  # fmt: skip


def fetched(address: str = VIRTUAL) -> int:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"http://{address}:18180/", timeout=5
    ) as answer:
        status: int = answer.status
        return status


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    require(shutil.which("haproxy"), "haproxy is missing: apt-get install haproxy")
    made = Town(tmp_path)
    try:
        yield made
    finally:
        made.access.close()
        made.machine.end()


@pytest.fixture
def running() -> Iterator[Callable[[], Pod]]:
    servers: list[Pod] = []

    def start() -> Pod:
        import threading

        servers.append(Pod())
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1]

    yield start
    for one in servers:
        one.shutdown()
        one.server_close()


def test_a_router_from_nothing_to_traffic_and_back(town: Town, running: Callable[[], Pod]) -> None:
    first, second = running(), running()
    outcome = town.take(frozenset(), pod("one", first))
    assert (outcome.ready, outcome.reason, outcome.version) == (True, "RouterReady", 1), outcome.message
    assert fetched() == 200
    process = town.machine.process
    assert town.take(frozenset(), pod("one", first), pod("two", second)).ready

    def leave() -> bool:
        gone = pod("one", first, leaving=True)
        return town.take(frozenset({"one"}), gone, pod("two", second)).version is not None

    poll(leave, "the first pod is out")
    before = len(first.seen)
    assert [fetched() for _ in range(4)] == [200] * 4
    assert len(first.seen) == before
    assert town.machine.process is process


def probed(server: Pod, run: str) -> RoutedPod:
    check = NetworkCheck("http", server.server_port, period_seconds=60)
    return pod("one", server, probes=(ContainerProbe("main", "readiness", check, run, 5.0),))


def test_a_new_probe_is_answered_in_the_pass_that_it_comes_with(
    town: Town, running: Callable[[], Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployer.loops.router_turn.TRIED_SECONDS", 20.0)  # as long as a busy machine takes
    web = running()
    found = town.take(frozenset(), probed(web, "read from the file")).probes
    assert [one.passing for one in found["one"]] == [True], "its first check was up to a minute away"
    found = town.take(frozenset(), probed(web, "added")).probes
    assert [one.passing for one in found["one"]] == [True]
    state, stat = town.access.ask_kept(["show servers state", "show stat -1 4 -1"])
    live = Live(read_servers(state), tuple(read_stats(stat)), 0.0)
    assert moves(router_config(town.cluster), live).commands == (), "it is made as it was asked for from now on"
    monkeypatch.delattr(RouterTurn, "_tried")
    assert town.take(frozenset(), probed(web, "added")).ready, "it is tried once, though its result is not on record"


def test_structure_comes_by_a_reload_and_what_is_refused_changes_nothing(
    town: Town, running: Callable[[], Pod], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployer.loops import router_turn

    first = running()
    assert town.take(frozenset(), pod("one", first)).ready
    both = (service("web", 1), service("api", 2))
    assert town.take(frozenset(), pod("one", first), services=both).ready
    assert fetched("127.192.24.3") == 200

    def broken(cluster: Cluster) -> Any:
        made = config(cluster)
        return replace(made, text=made.text.replace("global\n", "global\n    boom\n", 1), structure="broken")

    config = router_turn.router_config
    with monkeypatch.context() as patches:
        patches.setattr(router_turn, "router_config", broken)
        second = running()
        outcome = town.take(frozenset(), pod("two", second), services=both)
        assert (outcome.ready, outcome.reason) == (False, "RouterRefusedConfig")
        assert outcome.version == 3, "pods come and go in what runs, and their deletions are answered for"
        assert "unknown keyword 'boom'" in outcome.message
        assert fetched() == 200
        assert second.seen, "pods come and go in the configuration that runs"
    assert town.take(frozenset(), pod("two", second), services=both).ready
