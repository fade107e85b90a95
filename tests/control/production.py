"""docker-compose.yml without Docker: the same commands as processes of their own, beside real servers.

with installation(folder, database_url, redis_url) as shop:
    shop.manage("get", "pods", "-A")
"""

from __future__ import annotations

import collections
import contextlib
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import yaml

from deployer.adapters.simulated import SimulatedEngine
from deployer.core.container import LABEL_COMPONENT, LABEL_POD_UID, LABEL_REVISION, ContainerSeen
from tests.engines.control_plane import HOME, ControlPlane, eventually
from tests.ports import free_port

START_SECONDS = 120.0
END_SECONDS = 30.0  # as stop_grace_period
CLUSTER = "0123456789ab"
NODES = ("a", "b", "c")
_LEASES = """
import time
from control.models import Work
held = Work.objects.filter(owner__contains="-{pid}-", leased_until__gt=time.time())
print(*(f"{{loop}} {{key}}" for loop, key in held.values_list("loop", "key")), sep="\\n")
"""
_SERVICES = yaml.safe_load((HOME / "docker-compose.yml").read_text())["services"]
SECRETS = {
    "PIERHEAD_SECRET_KEY": "5" * 64,
    "PIERHEAD_ENCRYPTION_KEY": "cGllcmhlYWQtdGVzdHMtcGllcmhlYWQtdGVzdHMhISE=",
    "PIERHEAD_CLUSTER_ID": CLUSTER,
}


class Installation(ControlPlane):
    """web, workers, beat and watch on one data folder. A killed one stays dead until somebody starts it."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, workers: int = 2) -> None:
        super().__init__(folder)
        self._workers = [f"worker-{number + 1}" for number in range(workers)]
        self._servers = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *options: str) -> None:
        password = {"PIERHEAD_ADMIN_PASSWORD": "a password for the first user"}
        migrate = [sys.executable, "manage.py", *_SERVICES["migrate"]["command"], *options]
        done = subprocess.run(
            migrate, cwd=HOME, env={**self._environment(), **password}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "PIERHEAD_ADMIN_PASSWORD gave" in done.stdout, done.stdout
        for name in ("web", *self._workers, "beat", "watch"):
            self.start_one(name)
        eventually(self.healthy, START_SECONDS, self.said)
        for name in NODES:
            self.manage("node", "add", name, f"sim://{name}")

    def start_one(self, name: str) -> None:
        """`name` is a service of docker-compose.yml, with a number where there are several of it."""
        command = list(_SERVICES[name.partition("-")[0]]["command"])
        if name == "web":
            self.port = free_port()
            command[command.index("--host") + 1], command[command.index("--port") + 1] = "127.0.0.1", str(self.port)
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "manage.py", *command], cwd=HOME, stdout=log, stderr=log, env=self._environment()
            )

    def tend(self) -> None:
        """As `restart: unless-stopped` does."""
        for name in self.dead():
            self.start_one(name)

    def kill_one(self, name: str) -> None:
        self._running[name].kill()
        self._running[name].wait(timeout=END_SECONDS)

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Stopped (SIGSTOP) while it holds a lease, and let go on afterwards."""
        process = self._running[name]
        try:
            eventually(lambda: self._stopped_with_a_lease(process), START_SECONDS, self.said)
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def _stopped_with_a_lease(self, process: subprocess.Popen[bytes]) -> bool:
        process.send_signal(signal.SIGSTOP)
        if self.leases(process.pid) and all(map(self._answers, NODES)):
            return True
        process.send_signal(signal.SIGCONT)
        return False

    def _answers(self, node: str) -> bool:
        """A host is nobody's to stop, but a simulated one is a file, which whoever is stopped may hold locked."""
        with contextlib.closing(sqlite3.connect(self.folder / f"run/sim-{node}.sqlite3", timeout=0.5)) as state:
            try:
                state.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
        return True

    def leases(self, pid: int) -> list[str]:
        """The keys that a process holds now, as "loop key"."""
        said = self.manage("shell", "--verbosity", "0", "-c", _LEASES.format(pid=pid))
        return [line for line in said.splitlines() if line]

    def stop(self) -> None:
        """As `docker compose down` does: SIGTERM, and every process ends by itself (uvicorn: by that signal)."""
        try:
            self.close_shell()
        finally:
            self._end_all()

    def _end_all(self) -> None:
        alive = {name: process for name, process in self._running.items() if process.poll() is None}
        for process in alive.values():
            process.send_signal(signal.SIGTERM)
        try:
            codes = {name: process.wait(timeout=END_SECONDS) for name, process in alive.items()}
        finally:
            for process in alive.values():
                process.kill()
                process.wait()
        assert set(codes.values()) <= {0, -signal.SIGTERM}, f"{codes}\n{self.said()}"

    def healthy(self) -> bool:
        """The health checks of docker-compose.yml."""
        return all(map(self.is_healthy, ("web", "worker", "beat", "watch")))

    def is_healthy(self, service: str) -> bool:
        if service == "web":
            return self._serves_pages()
        _, _python, *check = _SERVICES[service]["healthcheck"]["test"]
        done = subprocess.run([sys.executable, *check], cwd=HOME, env=self._environment(), capture_output=True)
        return done.returncode == 0

    def _serves_pages(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=3) as answer:
                return bool(answer.read())
        except (urllib.error.URLError, OSError):
            return False

    def pids(self, service: str) -> list[int]:
        """Of the processes of a service that run."""
        named = {name: process for name, process in self._running.items() if name.partition("-")[0] == service}
        return [process.pid for process in named.values() if process.poll() is None]

    def dead(self) -> list[str]:
        return [name for name, process in self._running.items() if process.poll() is not None]

    def said(self) -> str:
        """The last lines of every process, for a failure's message."""
        tails = (
            (path.stem, path.read_text(errors="replace").splitlines()[-15:])
            for path in sorted(self.folder.glob("*.log"))
        )
        return "\n".join(f"{name:>8} | {line}" for name, lines in tails for line in lines)

    def containers(self) -> list[ContainerSeen]:
        """All pods' containers on the simulated hosts."""
        found = [one for name in NODES for one in self._engine(name).containers()]
        return [one for one in found if LABEL_COMPONENT not in one.labels]

    def revisions(self) -> list[int]:
        """Of every container there is, in any state."""
        return [int(one.labels[LABEL_REVISION]) for one in self.containers()]

    def happened(self, action: str, revision: int) -> int:
        """How many containers of a revision were ever created or started, those that are gone included."""
        events = (event for name in NODES for event in self._engine(name).events(0, time.time()))
        return sum(event.action == action and event.labels.get(LABEL_REVISION) == str(revision) for event in events)

    def doubled(self) -> list[str]:
        """Pods that have more than one running container: every pod here has one."""
        running = (one.labels[LABEL_POD_UID] for one in self.containers() if one.state == "running")
        return [uid for uid, count in collections.Counter(running).items() if count > 1]

    def _engine(self, name: str) -> SimulatedEngine:
        return SimulatedEngine(name, CLUSTER, run_dir=self.folder / "run")

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), **self._servers, **SECRETS, "PIERHEAD_NO_BOOTSTRAP": "1"}


@contextlib.contextmanager
def installation(folder: Path, database_url: str, redis_url: str, workers: int = 2) -> Iterator[Installation]:
    made = Installation(folder, database_url, redis_url, workers)
    try:
        made.start()
        yield made
    finally:
        made.stop()
