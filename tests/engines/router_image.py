"""The router's image for tests: Debian's haproxy and dnsmasq with the libraries they need, and busybox's tools.

Made without a build and without a registry, as `images.py` makes its own. One image serves as router and as resolver.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from deployer.adapters.pause_image import image_archive
from tests.engines.images import ARCHITECTURE
from tests.environment import require

ROUTER = "test/router:1"
_PROGRAMS = {"haproxy": "haproxy", "dnsmasq": "dnsmasq-base"}
_TOOLS = ("ip", "kill", "cat", "ls", "sh", "sleep", "nslookup", "wget", "nc")
_CONFIG = {"Env": ["PATH=/usr/sbin:/bin"], "User": "", "WorkingDir": "/"}
_SERVER = """\
global
  maxconn 2000
defaults
  mode http
  timeout client 1h
  timeout http-keep-alive 1h
frontend web
  bind :8080
  http-request return status 200 content-type text/plain string "{version}"
"""
_DIAL = """\
global
  maxconn 2000
  lua-load /dial.lua
defaults
  mode http
  timeout client 1h
  timeout http-keep-alive 1h
frontend web
  bind :8080
  http-request return status 200 content-type text/plain string "well" if { path /healthz }
  http-request lua.delay if { rand(10000) lt "${SLOW}" }
  http-request return status 500 content-type text/plain string "failed" if { rand(10000) lt "${ERRORS}" }
  http-request return status 200 content-type text/plain string "${VERSION}"
"""
_DELAY = """\
local milliseconds = tonumber(os.getenv("DELAY"))
core.register_action("delay", { "http-req" }, function() core.msleep(milliseconds) end)
"""
_LIBRARY = re.compile(r"(/\S+) \(0x")
_ACCOUNTS = {
    "etc/passwd": b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
}


@cache
def router(reference: str = ROUTER) -> bytes:
    """A `docker load` archive with haproxy, dnsmasq, ip and kill on the PATH."""
    programs = [_program(name, package) for name, package in _PROGRAMS.items()]
    busybox = _program("busybox", "busybox-static")
    layer = _layer(programs, busybox, {})
    return image_archive(reference, layer, _CONFIG, architecture=ARCHITECTURE)


@cache
def server(reference: str = "test/server:1") -> bytes:
    """HAProxy as a web server on port 8080: answers every request with the tag of `reference`, keeps connections.

    SIGTERM ends it at once, with whatever is under way: the strictest of servers to lose no request with.
    """
    version = reference.rpartition(":")[2]
    config = _SERVER.format(version=version).encode()
    layer = _layer([_program("haproxy", "haproxy")], _program("busybox", "busybox-static"), {"web.cfg": config})
    command = {"Cmd": ["haproxy", "-db", "-f", "/web.cfg"]}
    return image_archive(reference, layer, {**_CONFIG, **command}, architecture=ARCHITECTURE)


def dial(reference: str = "test/dial:1") -> bytes:
    """A web server on port 8080 whose misbehaviour is dialled by its environment: it answers VERSION, to ERRORS of
    10,000 requests with 500, and to SLOW of 10,000 only after DELAY milliseconds. /healthz is always well."""
    files = {"web.cfg": _DIAL.encode(), "dial.lua": _DELAY.encode()}
    layer = _layer([_program("haproxy", "haproxy")], _program("busybox", "busybox-static"), files)
    dials = ["VERSION=1", "ERRORS=0", "SLOW=0", "DELAY=0"]
    config = {"Env": [*_CONFIG["Env"], *dials], "Cmd": ["haproxy", "-db", "-f", "/web.cfg"]}
    return image_archive(reference, layer, {**_CONFIG, **config}, architecture=ARCHITECTURE)


def _layer(programs: Sequence[Path], busybox: Path, files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as layer:
        for folder, mode in (("tmp", 0o1777), ("run", 0o755), ("pierhead", 0o755), ("var/lib/misc", 0o755)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            layer.addfile(entry)
        for program in programs:
            _put(layer, f"usr/sbin/{program.name}", program.read_bytes())
        for library in sorted({one for program in programs for one in _libraries(program)}):
            _put(layer, library.lstrip("/"), Path(library).read_bytes())
        _put(layer, "bin/busybox", busybox.read_bytes())
        for tool in _TOOLS:
            link = tarfile.TarInfo(f"bin/{tool}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            layer.addfile(link)
        for path, data in {**_ACCOUNTS, **files}.items():
            _put(layer, path, data, 0o644)
    return buffer.getvalue()


def _program(name: str, package: str) -> Path:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    require(found, f"{name} is missing: apt-get install {package}")
    assert found is not None
    return Path(found)


def _libraries(program: Path) -> list[str]:
    """The shared libraries of a program and its loader, under the names that it asks for."""
    said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True, timeout=10).stdout
    return _LIBRARY.findall(said)


def _put(layer: tarfile.TarFile, path: str, data: bytes, mode: int = 0o755) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(data), mode
    layer.addfile(entry, io.BytesIO(data))
