"""Real Docker hosts on one machine: an engine each, in a network of its own, that can lose power or its cable.

    with hosts(3) as three:
        three[0].load(images.web())
        three[1].power_off()

Everything a run makes carries the pid of the test process ("ph4711a..."): control groups, network namespaces, bridge,
folder. It is taken down at the end, and by the next run if this one was killed. Needs root, Linux and docker.io,
iproute2, iptables; skips with a sentence without them, fails under CI.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deployer.adapters.docker_address import EngineAddress
from tests.engines import cgroups, disks, network
from tests.engines.certificates import Authority
from tests.environment import require

_BOOT = Path(__file__).with_name("boot.py")
_PORT = 2376
_SMALL_DISK_BYTES = 256 << 20
"""The images that tests load take a third of it."""
_PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_NAMED = re.compile(r"ph(\d+)[a-z]")
_runs = itertools.cycle("acdefgijklmnopqrstuvwxyz")
_NEEDS = {"dockerd": "docker.io", "docker": "docker.io", "ip": "iproute2", "iptables": "iptables"}


class Host:
    """One Docker host. `socket` answers even while the host is cut off; `address` only over its network."""

    def __init__(
        self, number: int, net: str, run: str, folder: Path, authority: Authority, *, small_disk: bool = False
    ) -> None:
        self.name, self.ip, self.gateway = f"host-{number}", f"{net}.{10 + number}", f"{net}.1"
        self.folder = folder / str(number)
        _furnish(self.folder, self.ip, authority)
        self.group = f"{run}/{number}"
        self.namespace = self.cable = f"{run}h{number}"
        self.bridge = f"{run}b"
        self.socket = self.folder / "docker.sock"
        self.log = self.folder / "log"
        self._engine: subprocess.Popen[bytes] | None = None
        self._disk = small_disk
        if small_disk:
            disks.make(self.folder / "data", _SMALL_DISK_BYTES)

    @property
    def address(self) -> str:
        return f"tcp://{self.ip}:{_PORT}"

    @property
    def engine_address(self) -> EngineAddress:
        """As an operator would register it: mutual TLS over the network."""
        client = self._pem("client-cert"), self._pem("client-key")
        return EngineAddress(self.address, ca=self._pem("ca"), cert=client[0], key=client[1])

    def docker(self, *arguments: str, check: bool = True, data: bytes | None = None) -> str:
        """Run the docker command on this host, past the network; returns its output, stripped."""
        command = ["docker", "-H", f"unix://{self.socket}", *arguments]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, env=self._environment())
        if check and done.returncode:
            raise RuntimeError(f"docker {' '.join(arguments)} on {self.name}: {done.stderr.decode().strip()}")
        return done.stdout.decode().strip()

    def load(self, archive: bytes) -> None:
        self.docker("load", "-q", data=archive)

    def clear(self) -> None:
        """Remove every container, network and volume of any cluster, as after `node remove`."""
        ours = ("--filter", "label=pierhead.io/cluster")
        for found, remove in (
            (("ps", "-aq"), ("rm", "-f", "-v")), (("network", "ls", "-q"), ("network", "rm")),
            (("volume", "ls", "-q"), ("volume", "rm", "-f")),
        ):  # fmt: skip
            if names := self.docker(*found, *ours, check=False).split():
                self.docker(*remove, *names, check=False)

    def fill_disk(self) -> None:
        """Not a block is left to the engine, if its disk is a small one. May be said again."""
        assert self._disk, f"{self.name} shares its disk with this machine"
        with (self.folder / "data" / "ballast").open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def free_disk(self) -> None:
        (self.folder / "data" / "ballast").unlink()

    def power_off(self) -> None:
        """As if the plug was pulled: silence on the network, then every process of the host is gone."""
        network.unplug(self.namespace, self.cable)
        self._kill()

    def power_on(self) -> None:
        """Boot again with the same disk; returns when the engine answers."""
        self.boot()
        self.wait_until_ready()

    def cut_off(self) -> None:
        """Pull the network cable: the host and its containers run on, unseen."""
        network.ip(f"link set {self.cable} down")

    def reconnect(self) -> None:
        network.ip(f"link set {self.cable} up")

    def hide(self) -> None:
        """It answers everybody but this machine, where the control plane is."""
        network.ip(f"route add blackhole {self.gateway}/32", inside=self.namespace)

    def show(self) -> None:
        network.ip(f"route del blackhole {self.gateway}/32", inside=self.namespace, check=False)

    def boot(self) -> None:
        """Start the engine without waiting for it."""
        network.plug_in(self.namespace, self.cable, self.bridge, self.ip)
        shutil.rmtree(self.folder / "exec", ignore_errors=True)
        (self.folder / "pid").unlink(missing_ok=True)
        identity = ["become", "3", self.name, self.namespace, str(self.folder / "etc")]
        self._engine = self._spawn(identity, self._engine_command())

    def signal_engine(self, number: int) -> None:
        """SIGSTOP makes an engine that accepts connections and answers nothing; SIGKILL one that crashed."""
        assert self._engine is not None, f"{self.name} is off"
        self._engine.send_signal(number)
        if number == signal.SIGKILL:
            self._engine.wait(timeout=10)

    def start_engine(self, *options: str) -> None:
        """After a crash, beside the containers that run on; returns when the engine answers."""
        keeper = min(cgroups.members(f"{self.group}/engine"))  # its containerd is there still
        self._engine = self._spawn(["join", "1", str(keeper)], [*self._engine_command(), *options])
        self.wait_until_ready()

    def spawn(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program on this host: in its network, its control group, its engine's view of the mounts."""
        assert self._engine is not None, f"{self.name} is off"
        return self._spawn(["join", "1", str(self._engine.pid)], command)

    def wait_until_ready(self, *, deadline_seconds: float = 60) -> None:
        until = time.monotonic() + deadline_seconds
        while not (_answers(self.socket) and _listens(self.ip, _PORT)):
            if (self._engine is not None and self._engine.poll() is not None) or time.monotonic() > until:
                raise RuntimeError(f"the engine of {self.name} did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def shut_down(self) -> None:
        """Remove every trace except the folder."""
        network.unplug(self.namespace, self.cable)
        self._kill()
        if self._disk:
            disks.remove(self.folder)

    def _kill(self) -> None:
        cgroups.end(self.group)
        if self._engine is not None:
            self._engine.wait(timeout=10)

    def _spawn(self, where: Sequence[str], command: Sequence[str]) -> subprocess.Popen[bytes]:
        members = str(cgroups.make(f"{self.group}/engine"))
        launcher = [sys.executable, "-I", "-S", str(_BOOT), members, *where]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*launcher, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment()
            )

    def _engine_command(self) -> list[str]:
        folder = self.folder
        return [
            shutil.which("dockerd", path=_PATH["PATH"]) or "",
            *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"),
            *("-H", f"unix://{self.socket}", "-H", "unix:///run/docker.sock", "-H", f"tcp://{self.ip}:{_PORT}"),
            *("--tlsverify", "--tlscacert", f"{folder}/ca", "--tlscert", f"{folder}/cert", "--tlskey", f"{folder}/key"),
            *("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{self.group}"),
            *("--insecure-registry", f"{self.gateway}/24", "--log-level", "warn", "--shutdown-timeout", "1"),
        ]

    def _environment(self) -> dict[str, str]:
        return {**_PATH, "HOME": str(self.folder), "DOCKER_CONFIG": str(self.folder)}

    def _pem(self, name: str) -> str:
        return (self.folder / name).read_text()


class Hosts(Sequence[Host]):
    """The hosts of one run, and what they share: the bridge (`gateway` is this machine's address on it)."""

    def __init__(self, members: Sequence[Host], folder: Path, gateway: str, authority: Authority) -> None:
        self.members, self.folder, self.gateway, self.authority = members, folder, gateway, authority

    def __getitem__(self, index: int) -> Host:  # type: ignore[override]
        return self.members[index]

    def __len__(self) -> int:
        return len(self.members)

    def load(self, *archives: bytes) -> None:
        """On all of them at once."""
        with ThreadPoolExecutor(len(self.members) or 1) as pool:
            for archive in archives:
                list(pool.map(lambda host, one=archive: host.load(one), self.members))


@contextlib.contextmanager
def hosts(count: int, *, small_disks: int = 0) -> Iterator[Hosts]:
    """`count` hosts that answer, the last `small_disks` of them with a disk that can be filled; all of it is taken down
    at the end."""
    require_what_hosts_need()
    _sweep()
    run = f"ph{os.getpid()}{next(_runs)}"
    with network.subnet() as net, tempfile.TemporaryDirectory(prefix=f"{run}-", dir="/tmp") as name:
        folder, gateway, authority = Path(name), f"{net}.1", Authority()
        network.make_bridge(f"{run}b", gateway)
        members = [
            Host(number, net, run, folder, authority, small_disk=number > count - small_disks)
            for number in range(1, count + 1)
        ]
        try:
            for host in members:
                host.boot()
            for host in members:
                host.wait_until_ready()
            yield Hosts(members, folder, gateway, authority)
        finally:
            for host in members:
                host.shut_down()
            cgroups.end(run)
            network.remove_bridge(f"{run}b")


def require_what_hosts_need() -> None:
    require(sys.platform == "linux" and os.geteuid() == 0, "real engines need root on Linux: run the tests with sudo")
    for program, package in _NEEDS.items():
        require(shutil.which(program, path=_PATH["PATH"]), f"{program} is missing: apt-get install {package}")


def _furnish(folder: Path, address: str, authority: Authority) -> None:
    folder.mkdir(mode=0o700)
    (folder / "etc").mkdir()
    server, client = authority.server(address), authority.client("pierhead")
    texts = {"ca": authority.certificate, "cert": server.certificate, "key": server.key}
    texts |= {"client-cert": client.certificate, "client-key": client.key}
    for name, text in texts.items():
        (folder / name).write_text(text)


def _sweep() -> None:
    """Take down what killed test runs have left behind."""
    for path in _orphans(cgroups.trees()[0]):
        cgroups.end(path.name)
    for path in _orphans(Path("/run/netns")):
        network.unplug(path.name, path.name)
    for path in _orphans(Path("/sys/class/net")):
        network.remove_bridge(path.name)
    for path in _orphans(Path("/tmp")):
        disks.remove(path)
        shutil.rmtree(path, ignore_errors=True)


def _orphans(folder: Path) -> list[Path]:
    """What is named after a process that is no more."""
    named = ((path, _NAMED.match(path.name)) for path in folder.glob("ph[0-9]*"))
    return [path for path, name in named if name and not Path(f"/proc/{name[1]}").exists()]


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.settimeout(2)
            client.connect(str(path))
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b"200 OK" in client.recv(64)
        except OSError:
            return False


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False
