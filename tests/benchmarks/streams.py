"""The event stream: how soon a page is told of a write, and what open pages add to one web process."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import show

HOME = Path(__file__).parents[2]
WRITES = 20


def streams(folder: Path, count: int) -> None:
    """Needs the database of `empty_database`; starts a web process of its own on it."""
    from tests.benchmarks.pages import signed_in

    cookie = signed_in().cookies["pierhead_session"].value
    listener = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "manage.py", "run", "web", "--listener", str(listener.fileno())]
    environment = {**os.environ, "PIERHEAD_NO_BOOTSTRAP": "1"}
    web = subprocess.Popen(command, cwd=HOME, pass_fds=[listener.fileno()], env=environment)
    port = listener.getsockname()[1]
    listener.close()
    try:
        _get(port, "/", cookie).close()
        before = _memory(web.pid)
        opened = [_get(port, "/stream?kind=Node", cookie) for _ in range(count)]
        waits = [_wait(opened[0]) for _ in range(WRITES)]
        after = _memory(web.pid)
        show(f"a write -> told, {count} pages open", waits, "ms", at_least=1000, aim=300)
        bars = {"at_least": 100.0, "aim": 40.0} if count <= 200 else {}
        show(f"memory that {count} open pages add", after - before, "MB", **bars)
        for one in opened:
            one.close()
    finally:
        web.terminate()
        web.wait(timeout=10)


def _get(port: int, path: str, cookie: str) -> Any:
    deadline = time.monotonic() + 20
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", path, headers={"Cookie": f"pierhead_session={cookie}"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            if path.startswith("/stream"):
                answer.fp.readline()
            return answer
        except OSError:
            if time.monotonic() > deadline:
                raise


def _wait(stream: Any) -> float:
    """Milliseconds from a write to the message in this stream."""
    from control.store import objects

    objects.touch("Node", "", "node-001")
    began = time.perf_counter()
    while b"event: changed" not in stream.fp.readline():
        pass
    took = 1000 * (time.perf_counter() - began)
    time.sleep(0.6)  # the others have been told as well, and the next one is not held back
    return took


def _memory(pid: int) -> float:
    """Proportional set size in MB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("no Pss")
