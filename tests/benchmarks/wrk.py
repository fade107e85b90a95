"""wrk as a load generator: so many clients that each ask again as soon as they have their answer."""

from __future__ import annotations

import re
import subprocess

from tests.engines.net import Client

_LATENCY = re.compile(r"50%\s+([\d.]+)(us|ms|s)")
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_FAILED = re.compile(r"Socket errors: .*|Non-2xx or 3xx responses: .*")
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def wrk(url: str, clients: int, seconds: int, *, at: Client | None = None, new: bool = False) -> tuple[float, float]:
    """Median latency in ms, and requests a second; from this machine, or from the network of a container.

    `new`: a connection for each request. Raises AssertionError for a request that failed: refusals are fast, and no
    throughput.
    """
    where = [] if at is None else ["nsenter", "-t", _pid(at), "-n", "--"]
    how = ["-H", "Connection: close"] if new else []
    command = [*where, "wrk", "--latency", "-t", "1", "-c", str(clients), "-d", f"{seconds}s", *how, url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    return read(said)


def read(said: str) -> tuple[float, float]:
    median, rate = _LATENCY.search(said), _RATE.search(said)
    assert median is not None, said
    assert rate is not None, said
    assert not _FAILED.search(said), said
    return float(median[1]) * _MILLISECONDS[median[2]], float(rate[1])


def _pid(at: Client) -> str:
    return at.host.docker("inspect", "-f", "{{.State.Pid}}", at.container)
