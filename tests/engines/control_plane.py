"""A real control plane beside the real hosts: `manage.py up` in a folder of its own, and its commands in another shell.

with control_plane() as plane:
    plane.add(host)
    plane.manage("get", "pods", "-A")
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests import tables
from tests.engines.hosts import Host
from tests.engines.router_image import ROUTER
from tests.ports import free_port

HOME = Path(__file__).resolve().parents[2]
START_SECONDS = 120  # usually 5: several are started beside each other, and beside all other tests
LONGEST_REST_SECONDS = 0.8


class Refused(AssertionError):
    """A command that exited with something else than 0."""


class ControlPlane:
    """`manage.py up` on a data folder. Killed and started again, it goes on with the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._hosts: dict[str, Host] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._shell: subprocess.Popen[str] | None = None

    def start(self, *options: str) -> None:
        if not (self.folder / "db.sqlite3").exists():  # its first start, or the first after all rows were lost
            tables.copy(self.folder / "db.sqlite3")
        command = [sys.executable, "manage.py", "up", "--port", str(self.port), "--data", str(self.folder), *options]
        with (self.folder / "up.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=HOME, stdout=log, stderr=log, env=self._environment())
        ready = f"ready at http://127.0.0.1:{self.port}"
        eventually(lambda: ready in self.said() or not self.is_running(), START_SECONDS, self.said)
        assert ready in self.said(), self.said()

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        return (self.folder / "up.log").read_text(errors="replace").strip()

    def stop(self) -> None:
        """As Ctrl-C does."""
        self.close_shell()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=15)
        (self.folder / "up.log").write_text("")

    def kill(self) -> None:
        """`kill -9` of the whole control plane."""
        self.close_shell()
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=10)
        eventually(lambda: not self.processes(), 10, lambda: str(self.processes()))
        (self.folder / "up.log").write_text("")

    def processes(self, word: str = "") -> list[int]:
        """The pids of this control plane's processes whose command line holds `word`."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    environment = (entry / "environ").read_bytes()
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if f"PIERHEAD_DATA={self.folder}".encode() in environment and word in line and "manage.py" in line:
                        found.append(int(entry.name))
        return found

    def manage(self, *arguments: str) -> str:
        """Run a command; its output. Raises Refused with the sentence when it exits with anything but 0."""
        code, out, err = self.attempt(*arguments)
        if code:
            raise Refused(f"manage.py {' '.join(arguments)} exited {code}: {err}\n{out}")
        return out

    def attempt(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output, errors; in a warm process (see `shell`). A command's own timeout bounds it."""
        if self._shell is None or self._shell.poll() is not None:
            command = [sys.executable, "-m", "tests.engines.shell"]
            pipe = subprocess.PIPE
            self._shell = subprocess.Popen(
                command, cwd=HOME, stdin=pipe, stdout=pipe, text=True, env=self._environment()
            )
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(json.dumps(arguments) + "\n")
        self._shell.stdin.flush()
        answer = json.loads(self._shell.stdout.readline())
        return answer["code"], answer["out"], answer["err"]

    def command(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """The same as a person types it: a process of its own."""
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=HOME, capture_output=True, text=True, timeout=timeout, env=self._environment(), check=False
        )

    def close_shell(self) -> None:
        if self._shell is not None:
            assert self._shell.stdin is not None
            assert self._shell.stdout is not None
            self._shell.stdin.close()
            self._shell.kill()  # it has nothing under way; on a busy machine its own end takes many seconds
            self._shell.wait(timeout=10)
            self._shell.stdout.close()
            self._shell = None

    def leave_hosts(self) -> None:
        """A host belongs to one cluster at a time: nothing of this one's stays on those that are on."""
        with ThreadPoolExecutor(len(self._hosts) or 1) as pool:
            list(pool.map(Host.clear, self._hosts.values()))

    def add(self, host: Host) -> None:
        self._hosts[host.name] = host
        tls = self.folder / "tls" / host.name
        tls.mkdir(parents=True, exist_ok=True)
        address = host.engine_address
        for name, text in (("ca", address.ca), ("cert", address.cert), ("key", address.key)):
            (tls / f"{name}.pem").write_text(text)
        self.manage("node", "add", host.name, host.address, "--tls", str(tls))

    def follow(self, repository: Path, *, name: str = "shop", path: str = "k8s", namespace: str = "shop") -> None:
        self.manage("repository", "add", name, str(repository), "--allow-local", "--poll", "5")
        self.manage("application", "add", name, "--repository", name, "--path", path, "--namespace", namespace)

    def objects(self, kind: str, namespace: str = "shop") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.manage("get", kind, "-n", namespace, "-o", "json"))["items"]
        return found

    def ready_pods(self, namespace: str = "shop") -> list[dict[str, Any]]:
        return [pod for pod in self.objects("pods", namespace) if is_ready(pod)]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIERHEAD_", "DOCKER_"))}
        images = {"PIERHEAD_ROUTER_IMAGE": ROUTER, "PIERHEAD_DNS_IMAGE": ROUTER}
        return {**kept, **images, "PIERHEAD_DATA": str(self.folder), "DOCKER_HOST": ""}


class Checkout:
    """A Git repository with a working copy, as a developer has it; `origin` is what Pierhead follows."""

    def __init__(self, folder: Path) -> None:
        self.origin, self.work = folder / "origin.git", folder / "work"
        _git(folder, "init", "-q", "--bare", "-b", "main", str(self.origin))
        _git(folder, "clone", "-q", str(self.origin), str(self.work))

    def push(self, message: str, files: dict[str, str | None]) -> str:
        """Commit these files (None removes one) and push; the commit's id."""
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        _git(self.work, "add", "-A")
        _git(self.work, "commit", "-q", "--allow-empty", "-m", message)
        _git(self.work, "push", "-q", "origin", "HEAD:main")
        return _git(self.work, "rev-parse", "HEAD")


def deployment(
    name: str = "web", *, image: str = "test/web:1", replicas: int = 3, command: list[str] | None = None,
    more: str = "", container: str = "",
) -> str:  # fmt: skip
    """A plain Deployment; `more` goes into its spec, `container` into its container (both ready-made YAML lines)."""
    words = f"\n          command: {json.dumps(command)}" if command else ""
    return f"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: {replicas}
{_indented(more, 2)}  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
        - name: {name}
          image: {image}{words}
{_indented(container, 10)}"""


@contextlib.contextmanager
def control_plane(*options: str) -> Iterator[ControlPlane]:
    with tempfile.TemporaryDirectory(prefix="ph-plane-", dir="/tmp") as name:
        plane = ControlPlane(Path(name))
        try:
            plane.start(*options)
            yield plane
        finally:
            plane.stop()
            plane.leave_hosts()


def eventually(
    true: Callable[[], object], seconds: float, tell: Callable[[], str] = lambda: "", *, times: float = 10
) -> float:
    """Poll until `true()` holds; how long it took. Fails with what `tell()` says at the deadline.

    It rests so many `times` as long as a look takes: whoever waits on a busy machine must not be what keeps it busy.
    With three, what tests waited with took as much of the processors as what they waited for.
    """
    began = time.monotonic()
    while True:
        look = time.monotonic()
        if true():
            return time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds:g} s: {tell()}")
        time.sleep(min(LONGEST_REST_SECONDS, max(times / 50, times * (time.monotonic() - look))))


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = {one["type"]: one["status"] for one in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def _indented(text: str, width: int) -> str:
    return "".join(f"{' ' * width}{line}\n" for line in text.splitlines())


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
