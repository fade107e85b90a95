"""The embedded broker: a private Redis on a Unix socket, for installations that name no REDIS_URL.

A `redis-server` or `valkey-server` on PATH is started with nothing but that socket: no port, nothing on disk. Without
one, fakeredis serves the same socket: an in-memory Redis in Python, slower, complete enough for Celery and pub/sub.
What the broker holds may be lost at any time: a wake-up is a row in the database, a message only a hint.

fakeredis brings a TCP server that asks every connection a hundred times a second whether there is something to push.
Here a connection sleeps until its client, or another thread's push, wakes it. That reaches into a private module, so
the version is pinned exactly and tests/control/test_broker.py holds the behaviour.
"""

import argparse
import hashlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

from control import data, lifeline

SERVERS = ("redis-server", "valkey-server")
# sun_path holds 108 bytes on Linux and 104 on macOS, the final zero included.
LONGEST_SOCKET_PATH_BYTES = 100


def socket_path(data_dir: Path) -> Path:
    """Where the broker of `data_dir` listens: the same for every process, whoever asks first."""
    path = data_dir / "run" / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"pierhead-{os.getuid()}-{digest}" / "redis.sock"


def server() -> str | None:
    """The Redis or Valkey program on PATH. None where a kill of `up` could leave it behind: that needs Linux."""
    if not sys.platform.startswith("linux"):
        return None
    return next((found for name in SERVERS if (found := shutil.which(name))), None)


def listens(path: Path) -> bool:
    """Whether a broker takes connections on the socket `path`."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(os.fspath(path))
        except OSError:
            return False
    return True


def serve(path: Path, program: str | None, lifeline_descriptor: int | None) -> None:
    """Serves Redis on the socket `path` until this process ends. `program` None means fakeredis."""
    data.private_folder(path.parent)
    path.unlink(missing_ok=True)
    if program is None:
        _serve_fake(path, lifeline_descriptor)
    else:
        _become(program, path, lifeline_descriptor)


def _become(program: str, path: Path, lifeline_descriptor: int | None) -> None:
    if lifeline_descriptor is not None:
        _die_with_parent()
        os.set_inheritable(lifeline_descriptor, False)
    options = {
        "--port": "0",
        "--unixsocket": str(path),
        "--unixsocketperm": "600",
        "--save": "",
        "--appendonly": "no",
        "--daemonize": "no",
        "--databases": "1",
        "--hz": "1",  # ten times a second by default, which is most of its idle cost
        "--maxmemory-policy": "noeviction",
        "--dir": str(path.parent),
    }
    os.execv(program, [program, *(word for option in options.items() for word in option)])  # noqa: S606 - no shell


def _die_with_parent() -> None:
    """Asks the kernel to kill this process when its parent ends (prctl(2), PR_SET_PDEATHSIG); nothing to save."""
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)


def _serve_fake(path: Path, lifeline_descriptor: int | None) -> None:
    from control.fakebroker import FakeBroker

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # nothing to save, and threads that wait for clients
    if lifeline_descriptor is not None:
        lifeline.hold(lifeline_descriptor)
    os.umask(0o177)
    FakeBroker(path).serve_forever()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m control.broker", description="Serves Redis on a Unix socket.")
    parser.add_argument("socket", type=Path)
    parser.add_argument("--embedded", action="store_true", help="use fakeredis even where redis-server is installed")
    parser.add_argument("--lifeline", type=int, metavar="FD")
    options = parser.parse_args(arguments)
    serve(options.socket, None if options.embedded else server(), options.lifeline)


if __name__ == "__main__":
    main(sys.argv[1:])
