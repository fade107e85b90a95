"""What the engines themselves take for as many containers: their API alone, without anybody who decides anything.

On a network of the user's own, as a namespace's pods have one, and on the default bridge, where no name is resolved.
What keeps containers on such a network is hardly faster.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.engines.hosts import Host, Hosts

NETWORK = "bare"
AT_ONCE = 6
"""Two for each host; with 3 to 20 it takes as long, as far as tries differ anyway."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=60)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


def deploy(three: Hosts, image: str, size: int, network: str) -> float:
    """Seconds until the last of `size` containers, spread over the hosts, has started; they are removed again."""
    for host in three:
        if network == NETWORK and NETWORK not in host.docker("network", "ls", "--format", "{{.Name}}").split():
            host.docker("network", "create", NETWORK)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.time()
        made = list(pool.map(lambda number: _run(three[number % len(three)], image, network), range(size)))
        seconds = time.time() - began
        list(pool.map(lambda number: three[number % len(three)].docker("rm", "-f", made[number]), range(size)))
    return seconds


def _run(host: Host, image: str, network: str) -> str:
    connection = _Connection(host.socket)
    try:
        body = {"Image": image, "HostConfig": {"NetworkMode": network}}
        made = str(_post(connection, "/containers/create", body)["Id"])
        _post(connection, f"/containers/{made}/start", {})
        return made
    finally:
        connection.close()


def _post(connection: _Connection, path: str, body: dict[str, Any]) -> dict[str, Any]:
    connection.request("POST", f"/v1.41{path}", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{path}: {answer.status} {text.decode()}")
    found: dict[str, Any] = json.loads(text or b"{}")
    return found
