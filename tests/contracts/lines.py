"""The command lines that the contract is held against: a real HAProxy's behind its mesh port, and the simulated one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deployer.adapters.authority import Issued, issue, make_authority, revocation_list
from deployer.adapters.router_line import open_line
from deployer.adapters.simulated import SimulatedEngine
from deployer.adapters.simulated_router import open_simulated_line
from deployer.core.container import LABEL_COMPONENT, FileEntry, Mount, Subnet, VolumeSpec
from deployer.ports import RouterLine
from tests.contracts.bench import IMAGE, MovingClock, spec
from tests.environment import require
from tests.ports import free_port

LABEL = "n0123456789ab"
CLI = f"router-cli.{LABEL}.mesh"
BACKEND = "svc.shop.web.80"
_DEADLINE_SECONDS, _REPEAT_SECONDS = 30.0, 3.0

_MESH = """
global
    stats socket unix@{folder}/admin.sock mode 600 level admin
frontend mesh
    mode tcp
    timeout client 30s
    bind 127.0.0.1:{port} ssl crt {folder}/node.pem ca-file {folder}/ca.pem verify required crl-file {folder}/crl.pem
    tcp-request inspect-delay 1s
    tcp-request content reject unless {{ ssl_fc_sni {cli} }} {{ ssl_c_s_dn(CN) pierhead-control }}
    default_backend router.cli
backend router.cli
    mode tcp
    timeout connect 1s
    timeout server 30s
    server cli unix@{folder}/admin.sock
"""
_ROUTES = """
global
    set-var proc.structure str({structure})
backend {backend}
    mode tcp
    balance random(2)
    timeout connect 1s
    timeout server 30s
    tcp-request content set-var(txn.x) src,map_str({folder}/maps/x.map,none)
    server shop.first {up} check inter 100ms fall 1 rise 1
    server shop.plain {up}
backend table.latency
    stick-table type string len 128 size 5k store gpc(16)
"""


@dataclass
class LineBench:
    """`up` and `down`: addresses at which something listens, and nothing. `push` writes a configuration of this
    structure and reloads."""

    line: RouterLine
    folder: str
    up: str
    down: str
    push: Callable[[str], None]
    sleep: Callable[[float], None]

    @property
    def map(self) -> str:
        return f"{self.folder}/maps/x.map"

    def one(self, command: str) -> str:
        (answer,) = self.line.ask([command])
        return answer

    def stat(self, server: str) -> dict[str, str]:
        header, *rows = self.one("show stat").splitlines()
        names = header.removeprefix("# ").split(",")
        found = [dict(zip(names, row.split(","), strict=True)) for row in rows]
        return next(row for row in found if (row["pxname"], row["svname"]) == (BACKEND, server))

    def eventually(self, condition: Callable[[], bool], again: Callable[[], None] | None = None) -> None:
        """`again` is done every few seconds until then."""
        waited, repeated_at = 0.0, 0.0
        while not condition():
            assert waited < _DEADLINE_SECONDS, "not true in time"
            self.sleep(0.05)
            waited += 0.05
            if again is not None and waited - repeated_at > _REPEAT_SECONDS:
                repeated_at = waited
                again()

    def reload(self, structure: str) -> None:
        """Push it, and wait until it runs. A master that is still busy with the reload before may miss a signal: it is
        given again."""
        self.push(structure)
        self.eventually(lambda: f"<{structure}>" in self.one("get var proc.structure"), lambda: self.push(structure))


@dataclass
class RealRouter:
    """A real HAProxy on loopback, with all that is needed to reach its command line."""

    folder: Path
    port: int
    authority: Issued
    revoked: Issued
    process: subprocess.Popen[bytes]

    def certificate(self, common_name: str) -> Issued:
        return issue(self.authority, common_name, [], time.time(), 3600)

    def line(self, issued: Issued, *, server_name: str = CLI, port: int = 0, authority: str = "") -> RouterLine:
        trusted = authority or self.authority.certificate
        address = ("127.0.0.1", port or self.port)
        return open_line(*address, server_name, issued.certificate, issued.key, trusted, 5.0)


@contextmanager
def real_router(folder: Path) -> Iterator[RealRouter]:
    require(shutil.which("haproxy"), "haproxy is missing: apt-get install haproxy")
    now, port = time.time(), free_port()
    authority = make_authority("pierhead cluster-1", now)
    node, revoked = (issue(authority, name, [f"*.{LABEL}.mesh"], now, 3600) for name in ("node-1", "pierhead-control"))
    (folder / "maps").mkdir()
    (folder / "node.pem").write_text(node.certificate + node.key)
    (folder / "ca.pem").write_text(authority.certificate)
    (folder / "crl.pem").write_text(revocation_list(authority, [(revoked.serial, now)], now))
    (folder / "mesh.cfg").write_text(_MESH.format(folder=folder, port=port, cli=CLI))
    _write(folder, "first", f"127.0.0.1:{port}")
    files = ["-f", str(folder / "mesh.cfg"), "-f", str(folder / "haproxy.cfg")]
    with (folder / "log").open("wb") as log, subprocess.Popen(["haproxy", "-W", "-db", *files], stderr=log) as process:
        try:
            yield RealRouter(folder, port, authority, revoked, process)
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def real_bench(router: RealRouter) -> Iterator[LineBench]:
    """Starts from a reload, so that what a former test has changed is gone."""
    line = router.line(router.certificate("pierhead-control"))
    up = f"127.0.0.1:{router.port}"

    def push(structure: str) -> None:
        _write(router.folder, structure, up)
        router.process.send_signal(signal.SIGUSR2)

    bench = LineBench(line, str(router.folder), up, f"127.0.0.1:{free_port()}", push, time.sleep)
    bench.eventually(lambda: (router.folder / "admin.sock").exists())
    with closing(line):
        bench.reload(f"new-{time.monotonic_ns()}")
        yield bench


@contextmanager
def simulated_bench(run_dir: Path) -> Iterator[LineBench]:
    clock = MovingClock()
    engine = SimulatedEngine("node-1", "c1", run_dir=run_dir, clock=clock, sleep=clock.sleep)
    engine.load_image(IMAGE)
    engine.ensure_network("pods", {}, Subnet("10.208.16.0/20", "10.208.16.0/21", "10.208.16.1"))
    engine.create(spec("web", network="pods", address="10.208.16.9"))
    engine.start("web")
    up, down = "10.208.16.9:8080", "10.208.16.10:8080"
    engine.ensure_volume(VolumeSpec("pierhead-router", {}))
    router = spec("pierhead-router", mounts=(Mount("pierhead-router", "/pierhead"),))
    router = type(router)(router.name, IMAGE, {LABEL_COMPONENT: "router"}, mounts=router.mounts, command=("haproxy",))
    engine.create(router)

    def put(structure: str) -> None:
        text = _ROUTES.format(structure=structure, backend=BACKEND, folder="/pierhead", up=up)
        files = [FileEntry("haproxy.cfg", text.encode()), FileEntry("maps/x.map", b"one 1\n")]
        engine.put_files("pierhead-router", "/pierhead", files)

    def push(structure: str) -> None:
        put(structure)
        assert engine.execute("pierhead-router", ["kill", "-USR2", "1"], 5).exit_code == 0

    put("first")
    engine.start("pierhead-router")
    yield LineBench(open_simulated_line(engine), "/pierhead", up, down, push, clock.sleep)


def _write(folder: Path, structure: str, up: str) -> None:
    text = _ROUTES.format(structure=structure, backend=BACKEND, folder=folder, up=up)
    (folder / "haproxy.cfg").write_text(text)
    (folder / "maps/x.map").write_text("one 1\n")
