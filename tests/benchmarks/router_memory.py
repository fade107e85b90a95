"""What a router's HAProxy takes with many remote pods: the real program, on loopback, with the real configuration.

    .venv/bin/python -m tests.benchmarks.router_memory [--pods 200] [--services 20]

Needs haproxy. Every remote pod is checked by TLS, against an address that refuses; 20 s after the start all have been.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from pathlib import Path

from tests.contracts.loopback import LOCAL_RANGE, Router, scratch
from tests.contracts.mesh_certificates import MeshAuthority
from tests.core.network.sketch import config, pods, service
from tests.ports import free_port

SETTLED_SECONDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=200)
    parser.add_argument("--services", type=int, default=20)
    options = parser.parse_args()
    each = options.pods // options.services
    things = [
        thing
        for number in range(options.services)
        for thing in (service(f"s{number}", 80, index=number + 1), pods(f"s{number}", f"b:{'R' * each}"))
    ]
    identity = MeshAuthority().identity("uid-a")
    made = config(*things, pod_range=LOCAL_RANGE, identity=identity, mesh_port=free_port())
    with scratch() as folder, Router(folder, made).running() as router:
        until = time.monotonic() + SETTLED_SECONDS
        while time.monotonic() < until:
            router.ask("show info")
            time.sleep(1)
        pids = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=True).stdout.split()
        total = sum(map(_megabytes, pids))
        print(f"{options.pods} remote pods, {options.services} services: {total:.0f} MB (master and worker)")


def _megabytes(pid: str) -> float:
    """Its own and its share of what it shares."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(row.split()[1]) for row in rows if row.startswith("Pss:")) / 1024


if __name__ == "__main__":
    main()
