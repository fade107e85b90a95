"""Pods started per second with 1, 2 and 4 Celery workers, on PostgreSQL and Redis, and what they wait for.

    .venv/bin/python -m tests.benchmarks.throughput [--workers 1 2 4] [--deployments 100]

One commit asks for so many Deployments of three pods on three simulated hosts; what is timed begins when it is applied
and ends when all pods are ready. Web, beat, watch, both servers and this script share the machine with the workers.
"Waiting for a lock" is the mean number of the database's clients that do, looked at ten times a second.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.benchmarks.figures import show
from tests.benchmarks.processes import cpu_seconds, memory_mb, parent
from tests.control.production import Installation, installation
from tests.control.servers import PostgreSQL, Redis, postgresql, redis_server
from tests.engines.control_plane import Checkout, deployment

REPLICAS = 3
WITHIN_SECONDS = 600.0
LOOK_SECONDS = 0.1
_READY = "SELECT count(*) FROM control_pod WHERE ready"
_APPLIED = "SELECT count(*) FROM control_deployment"
_LOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@dataclass
class Run:
    """`locked`: clients of the database that waited for a lock, on average. CPU in seconds."""

    seconds: float
    locked: float
    workers: float
    database: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    arguments.add_argument("--deployments", type=int, default=100)
    options = arguments.parse_args()
    with postgresql() as database, redis_server() as broker:
        for count in options.workers:
            measure(database, broker, count, options.deployments)


def measure(database: PostgreSQL, broker: Redis, workers: int, deployments: int) -> None:
    url, pods = database.create(f"workers{workers}"), deployments * REPLICAS
    with tempfile.TemporaryDirectory(prefix="ph-workers-", dir="/tmp") as name:
        folder = Path(name)
        (folder / "git").mkdir()
        (folder / "data").mkdir()
        checkout = Checkout(folder / "git")
        checkout.push("nothing yet", {"k8s/README": "nothing\n"})
        with (
            installation(folder / "data", url, broker.url, workers) as shop,
            psycopg.connect(url, autocommit=True) as db,
        ):
            shop.follow(checkout.origin)
            checkout.push("all", {f"k8s/{one}.yaml": deployment(f"web-{one:03}") for one in range(deployments)})
            found = started(shop, db, pods)
            memory = {service: memory_mb(shop.pids(service)) for service in ("web", "worker", "beat", "watch")}
    what = f"{workers} {'worker' if workers == 1 else 'workers'}, {deployments} Deployments of {REPLICAS}"
    show(f"{what}: pods started", pods / found.seconds, "pods/s", more=True)
    show(f"{what}: CPU of the workers", found.workers / found.seconds, "cores")
    show(f"{what}: CPU of PostgreSQL", found.database / found.seconds, "cores")
    show(f"{what}: waiting for a lock", found.locked, "clients")
    for service, megabytes in memory.items():
        show(f"{what}: memory, {service}", megabytes, "MB")


def started(shop: Installation, db: Any, pods: int) -> Run:
    postmaster = parent(db.info.backend_pid)
    until = time.monotonic() + WITHIN_SECONDS
    while not _count(db, _APPLIED):
        assert time.monotonic() < until, f"it was not applied:\n{shop.said()}"
        time.sleep(0.02)
    before = cpu_seconds(shop.pids("worker")), cpu_seconds([postmaster])
    began, locked = time.monotonic(), list[int]()
    while (ready := _count(db, _READY)) < pods:
        assert time.monotonic() < until, f"{ready} of {pods} pods are ready:\n{shop.said()}"
        locked.append(_count(db, _LOCKED))
        time.sleep(LOOK_SECONDS)
    took = time.monotonic() - began
    after = cpu_seconds(shop.pids("worker")), cpu_seconds([postmaster])
    return Run(took, sum(locked) / max(len(locked), 1), after[0] - before[0], after[1] - before[1])


def _count(db: Any, question: str) -> int:
    return int(db.execute(question).fetchone()[0])


if __name__ == "__main__":
    main()
