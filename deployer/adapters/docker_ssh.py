"""One ssh process per host: its engine's socket, brought here.

`ssh -N -L local:remote` costs 1.7 ms a ping, where a connection per call costs a second. The process is started by
the first call, again by the next call after it has ended, and killed when the engine is closed or this process dies
(setpriv's parent-death signal; the thread that starts it lives as long as the process, because the signal is bound
to that thread). Only what is given is trusted: no agent, no ~/.ssh, no configuration files.

The folder of a tunnel (mode 0700) holds the key (0600), known_hosts and the socket, and goes away with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deployer.adapters.docker_address import EngineAddress, Location
from deployer.ports import EngineError, EngineUnreachable

_REMOTE_SOCKET = "/var/run/docker.sock"
_LONGEST_SOCKET_PATH = 100
_POLL_SECONDS = 0.01
_REST_SECONDS = 1.0
"""After a failure no new attempt for so long: callers that waited for it fail with it, instead of one by one."""
_MEANINGS = (  # what ssh says, the reason, what to do
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "HostKeyChanged", "its host key is not the one in known_hosts: find out "
     "why before registering the new one (somebody may sit in between)"),
    ("Host key verification failed", "HostKeyUnknown", "its host key is not in known_hosts: add the output of "
     "ssh-keyscan after checking its fingerprint on the host"),
    ("Permission denied (", "AuthenticationFailed", "it refuses our key: add the public key to authorized_keys of this "
     "user"),
    ("error in libcrypto", "AuthenticationFailed", "the private key cannot be read: give an OpenSSH key without a "
     "passphrase"),
    ("invalid format", "AuthenticationFailed", "the private key cannot be read: give an OpenSSH key without a "
     "passphrase"),
    ("Could not resolve hostname", "Unreachable", "the name is not known: check it, or use the IP address"),
    ("Connection refused", "Unreachable", "no ssh server listens on this port"),
    ("timed out", "Unreachable", "no answer from the ssh server"),
    ("No route to host", "Unreachable", "no route to the host"),
    ("Network is unreachable", "Unreachable", "no route to the host"),
)  # fmt: skip

_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ssh-starter")


class Tunnel:
    def __init__(self, address: EngineAddress, location: Location, run_dir: Path, timeout_seconds: float) -> None:
        self._location, self._timeout_seconds = location, timeout_seconds
        self._folder = _make_folder(run_dir)
        self._write("key", address.ssh_key)
        self._write("known_hosts", address.known_hosts)
        self.socket_path = str(self._folder / "s")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._failed: tuple[float, EngineError] | None = None
        self._closed = False
        self._finalizer = weakref.finalize(self, shutil.rmtree, self._folder, True)

    def ensure(self) -> None:
        """Return once connections to `socket_path` reach the host. Raises EngineUnreachable with ssh's reason."""
        if self._process is not None and self._process.poll() is None:
            return
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            if self._failed and time.monotonic() - self._failed[0] < _REST_SECONDS:
                raise self._failed[1]
            try:
                self._start()
            except EngineError as error:
                self._failed = (time.monotonic(), error)
                raise

    def explain(self, error: EngineUnreachable) -> EngineUnreachable:
        """A better word for a broken connection when the tunnel stands, but no engine listens at its other end."""
        if "open failed" not in self._said():
            return error
        target = f"{self._location.user}@{self._location.host}"
        sentence = (
            f"ssh://{target}: no engine answers at {_REMOTE_SOCKET}: is Docker running, and may this user use it?"
        )
        return EngineUnreachable("NotDocker", sentence)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            _end(self._process)
            self._finalizer()

    def _start(self) -> None:
        if self._closed:
            raise EngineUnreachable("Closed", f"{self._location.host}: the connection was closed")
        Path(self.socket_path).unlink(missing_ok=True)
        process = _starter.submit(self._spawn).result()
        until = time.monotonic() + self._timeout_seconds
        while not _accepts(self.socket_path):
            if process.poll() is not None or time.monotonic() > until:
                _end(process)
                raise self._failure()
            time.sleep(_POLL_SECONDS)
        self._process = process
        weakref.finalize(self, _end, process)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self._folder / "errors").open("wb") as errors:
            return subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=_environment()
            )

    def _command(self) -> list[str]:
        """`user` and `host` were checked by `locate`: neither can begin with a dash."""
        dies_with_us = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self._folder / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            "ExitOnForwardFailure": "yes",
            "StreamLocalBindUnlink": "yes",
            "StreamLocalBindMask": "0177",
            "ServerAliveInterval": 10,
            "ServerAliveCountMax": 3,
            "ConnectTimeout": max(1, round(self._timeout_seconds)),
        }
        arguments = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        location = self._location
        forward = ["-L", f"{self.socket_path}:{_REMOTE_SOCKET}", "-i", str(self._folder / "key")]
        target = ["-p", str(location.port), "-l", location.user, "--", location.host]
        return [*dies_with_us, "ssh", "-F", "/dev/null", "-nNT", *arguments, *forward, *target]

    def _failure(self) -> EngineUnreachable:
        said = self._said()
        host = f"ssh://{self._location.user}@{self._location.host}:{self._location.port}"
        for words, reason, meaning in _MEANINGS:
            if words in said:
                return EngineUnreachable(reason, f"{host}: cannot connect: {meaning}")
        last = " ".join(said.split())[-300:] or f"no connection within {self._timeout_seconds:g} s"
        return EngineUnreachable("Unreachable", f"{host}: cannot connect: {last}")

    def _said(self) -> str:
        try:
            return (self._folder / "errors").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def _write(self, name: str, text: str) -> None:
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text.strip() + "\n")


def _make_folder(run_dir: Path) -> Path:
    """A folder (0700) for one tunnel; elsewhere when its socket's path would be too long for the kernel."""
    run_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ssh-", dir=run_dir))
    if len(str(folder / "s")) <= _LONGEST_SOCKET_PATH:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="ph-ssh-"))


def _accepts(path: str) -> bool:
    """A socket's file may be there without a process behind it: only connecting tells."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
