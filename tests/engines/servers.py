"""What stands beside the engines: an image registry on the bridge, and an ssh server on a host."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deployer.adapters.docker_address import EngineAddress
from tests.engines.hosts import Host, Hosts
from tests.environment import require

REGISTRY_PORT, PRIVATE_PORT = 5000, 5001
USER, PASSWORD = "pierhead", "secret"
_HTPASSWD = "pierhead:$2b$04$DnygLNGDLU6XySG118BIVOARrLpFryuBaBDQUmbdZXquLqylXmsuO\n"


class Registry:
    """A real registry at `address`, reachable from every host. A private one wants USER and PASSWORD."""

    def __init__(self, folder: Path, gateway: str, private: bool) -> None:
        self._port = PRIVATE_PORT if private else REGISTRY_PORT
        self.address = f"{gateway}:{self._port}"
        self._gateway, self._folder, self._private = gateway, folder, private
        self._process: subprocess.Popen[bytes] | None = None

    def push(self, host: Host, image: str, name: str) -> str:
        """Push `image`, which `host` has, as `name` ("team/web:1"); returns the reference to pull, untagged locally."""
        reference = f"{self.address}/{name}"
        host.docker("tag", image, reference)
        if self._private:
            host.docker("login", "-u", USER, "--password-stdin", self.address, data=PASSWORD.encode())
        host.docker("push", "-q", reference)
        host.docker("rmi", "--no-prune", reference)
        return reference

    def start(self) -> None:
        (self._folder / "config.yml").write_text(json.dumps(self._config()))
        (self._folder / "htpasswd").write_text(_HTPASSWD)
        with (self._folder / "log").open("ab") as log:
            command = ["docker-registry", "serve", str(self._folder / "config.yml")]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until_listening(self._gateway, self._port)

    def stop(self) -> None:
        """From now on nobody answers there; `start` brings it back with what it holds."""
        if self._process:
            self._process.kill()
            self._process.wait(timeout=10)

    def _config(self) -> dict[str, object]:
        config: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self._folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.address},
        }
        if self._private:
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self._folder / "htpasswd")}}
        return config


@contextlib.contextmanager
def registry(hosts: Hosts, *, private: bool = False) -> Iterator[Registry]:
    require(shutil.which("docker-registry"), "docker-registry is missing: apt-get install docker-registry")
    folder = hosts.folder / ("private-registry" if private else "registry")
    folder.mkdir(exist_ok=True)
    server = Registry(folder, hosts.gateway, private)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass(frozen=True)
class SshServer:
    address: EngineAddress
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def ssh_server(host: Host) -> Iterator[SshServer]:
    """An ssh server on the host, in front of its engine's /var/run/docker.sock, with a key that may use it."""
    program = shutil.which("sshd", path="/usr/sbin:/sbin:/usr/bin")
    require(program, "sshd is missing: apt-get install openssh-server")
    folder = host.folder / "ssh"
    folder.mkdir(exist_ok=True)
    host_private, host_public = ssh_key()
    private, public = ssh_key()
    (folder / "authorized_keys").write_text(public + "\n")
    (folder / "host_key").write_text(host_private)
    (folder / "host_key").chmod(0o600)
    (folder / "config").write_text(_sshd_config(folder, host.ip))
    process = host.spawn(program or "", "-D", "-e", "-f", str(folder / "config"))
    try:
        wait_until_listening(host.ip, 22)
        url, known_hosts = f"ssh://root@{host.ip}", f"{host.ip} {host_public}"
        yield SshServer(EngineAddress(url, ssh_key=private, known_hosts=known_hosts), process)
    finally:
        process.kill()
        process.wait(timeout=10)


def ssh_key() -> tuple[str, str]:
    """A private and a public key in OpenSSH's formats."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode()


def wait_until_listening(address: str, port: int, *, deadline_seconds: float = 10) -> None:
    until = time.monotonic() + deadline_seconds
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def _sshd_config(folder: Path, address: str) -> str:
    return f"""
ListenAddress {address}:22
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""
