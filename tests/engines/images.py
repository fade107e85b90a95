"""Images for tests, made without a build: Debian's static busybox on an empty root, as `docker load` archives.

Each version differs by one file (/version), so that a rollout has something to roll.
"""

from __future__ import annotations

import io
import platform
import shutil
import tarfile
from functools import cache
from pathlib import Path

from deployer.adapters.pause_image import image_archive
from tests.environment import require

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_APPLETS = ("cat", "date", "dd", "echo", "env", "false", "grep", "hostname", "httpd", "id", "ip", "kill", "ls", "mkdir")
_MORE_APPLETS = (
    "nc", "nslookup", "ping", "ps", "rm", "seq", "sh", "sleep", "stat", "stty", "test", "touch", "tr", "true", "wget",
)  # fmt: skip
_ACCOUNTS = {
    "etc/passwd": b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
}
SLEEP = ("/bin/sleep", "3600")


@cache
def busybox(reference: str = "test/busybox:1", *, user: str = "", command: tuple[str, ...] = SLEEP) -> bytes:
    """A `docker load` archive: busybox with its usual names in /bin, /version holding `reference`'s tag."""
    program = shutil.which("busybox")
    require(program, "busybox is missing: apt-get install busybox-static")
    assert program is not None
    config = {"Cmd": list(command), "Env": ["PATH=/bin"], "User": user, "WorkingDir": "/"}
    version = reference.rpartition(":")[2]
    return image_archive(reference, _layer(Path(program).read_bytes(), version), config, architecture=ARCHITECTURE)


def web(reference: str = "test/web:1") -> bytes:
    """An image that serves its /version over HTTP on port 8080 (busybox httpd, root folder /)."""
    return busybox(reference, command=("/bin/httpd", "-f", "-p", "8080", "-h", "/"))


def _layer(busybox_program: bytes, version: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as layer:
        _folder(layer, "tmp", 0o1777)
        _file(layer, "bin/busybox", busybox_program, 0o755)
        for applet in (*_APPLETS, *_MORE_APPLETS):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            layer.addfile(link)
        for path, data in (*_ACCOUNTS.items(), ("version", version.encode())):
            _file(layer, path, data, 0o644)
    return buffer.getvalue()


def _file(layer: tarfile.TarFile, path: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(data), mode
    layer.addfile(entry, io.BytesIO(data))


def _folder(layer: tarfile.TarFile, path: str, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    layer.addfile(entry)
