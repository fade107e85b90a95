"""What the looks at CPU and memory cost this process: 60 pods on three hosts, looked at every 15 s.

    .venv/bin/python -m tests.benchmarks.usage [--hosts 3] [--pods 60] [--engines] [--table 5000]

`--engines` takes real engines (needs root and docker.io), spoken to by mutual TLS; engines' own CPU is not counted.
`--table` fills the tables as so many pods of a fifth as many Deployments do, read once a minute, and times what plots,
`top` and an hour's end cost.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.database import empty_database

PERIOD_SECONDS, LOOKS, LOOKS_AT_ENGINES = 15, 20, 4
LABELS = ("namespace", "pod", "owner", "revision", "container")
START = 1_800_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--pods", type=int, default=60)
    parser.add_argument("--engines", action="store_true")
    parser.add_argument("--table", type=int, metavar="PODS", default=0)
    options = parser.parse_args()
    with empty_database() as folder:
        if options.table:
            full_table(options.table, options.table // 5)
            return
        with real(options.hosts) if options.engines else simulated(options.hosts, folder) as engines:
            idle(engines, options.pods, real=options.engines)


@contextlib.contextmanager
def simulated(count: int, folder: Path) -> Iterator[list[Any]]:
    from deployer.adapters.simulated import SimulatedEngine

    engines = [SimulatedEngine(f"host-{number}", "bench", run_dir=folder) for number in range(count)]
    for engine in engines:
        engine.load_image("test/busybox:1")
    yield engines


@contextlib.contextmanager
def real(count: int) -> Iterator[list[Any]]:
    from deployer.adapters.docker import open_engine
    from tests.engines import images
    from tests.engines.hosts import hosts

    with hosts(count) as there:
        there.load(images.busybox("test/busybox:1"))
        engines = [open_engine(host.engine_address, "bench", run_dir=there.folder) for host in there]
        yield engines
        for engine in engines:
            engine.close()


def idle(engines: list[Any], pods: int, *, real: bool) -> None:
    from control.store import usage
    from deployer.loops.usage_watch import UsageLook

    for number in range(pods):
        _run(engines[number % len(engines)], number)
    clock = Steps()
    looks = [UsageLook(f"host-{number}", engine, usage.record, clock) for number, engine in enumerate(engines)]
    times = LOOKS_AT_ENGINES if real else LOOKS
    _look(looks, clock, 2)
    listed = _cpu(lambda: [engine.containers() for engine in engines], times)
    asked = {engine: [one.id for one in engine.containers()] for engine in engines}
    read = _cpu(lambda: [engine.usage(ids, 12) for engine, ids in asked.items()], times)
    whole, took = _look(looks, clock, times)
    kind = "real engines, TLS" if real else "simulated hosts"
    print(f"{pods} pods on {len(engines)} {kind}; a look at all: {whole * 1000:.1f} ms of CPU, {took * 1000:.0f} ms")
    print(f"  of these: listing {listed * 1000:.1f} ms, asking {read * 1000:.1f} ms")
    print(f"  every {PERIOD_SECONDS} s: {100 * whole / PERIOD_SECONDS:.2f} % of a core")


class Steps:
    """A clock that moves from look to look."""

    def __init__(self) -> None:
        self.at = float(START)

    def now(self) -> float:
        return self.at


def _look(looks: list[Any], clock: Steps, times: int) -> tuple[float, float]:
    """Seconds of CPU, and seconds, that one look at all hosts takes."""
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        clock.at += PERIOD_SECONDS
        for one in looks:
            one.look()
    return (time.process_time() - cpu) / times, (time.perf_counter() - began) / times


def _cpu(call: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times


def _run(engine: Any, number: int) -> None:
    from deployer.core.container import ContainerSpec

    given = ("shop", f"web-{number % 20}-5d8f7c-{number}", f"Deployment/web-{number % 20}", "2", "web")
    labels = {f"pierhead.io/{name}": value for name, value in zip(LABELS, given, strict=True)}
    spec = ContainerSpec(f"pierhead-{number}", "test/busybox:1", labels, command=("sleep", "3600"), restart="always")
    engine.create(spec)
    engine.start(spec.name)


def full_table(pods: int, deployments: int) -> None:
    """An hour's end: fine rows of 190 minutes, coarse ones of 8 days."""
    from django.db import connection

    from control.models import PodUsage, WorkloadUsage
    from control.selectors import usage as selectors
    from control.store import usage

    fine, now = 190, START - START % 300 + 8 * 86_400
    with connection.cursor() as cursor:
        cursor.execute(FINE, [fine - 1, pods - 1, deployments, now])
        cursor.execute(COARSE, [2303, deployments - 1, now])
    print(f"{PodUsage.objects.count():,} fine rows, {WorkloadUsage.objects.count():,} coarse ones")
    for name, call in (
        ("a pod, 1 h", lambda: selectors.pod_usage("shop", "pod-7", now - 3600, now)),
        ("a workload, 1 h", lambda: selectors.workload_usage("shop", "web-7", now - 3600, now)),
        ("a workload, 6 h", lambda: selectors.workload_usage("shop", "web-7", now - 6 * 3600, now)),
        ("a workload, 7 days", lambda: selectors.workload_usage("shop", "web-7", now - 7 * 86_400, now)),
        ("top pods -A", lambda: selectors.latest_pod_usage(None, now)),
        ("an hour's end", lambda: usage.roll_up(now)),
    ):
        began, cpu = time.perf_counter(), time.process_time()
        call()
        print(f"{name:20}{(time.perf_counter() - began) * 1000:9.1f} ms{(time.process_time() - cpu) * 1000:9.1f} CPU")
    print(f"{PodUsage.objects.count():,} fine rows are left")


_COUNTED = """WITH RECURSIVE
t(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM t WHERE n < %s),
p(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM p WHERE n < %s)
"""
FINE = f"""{_COUNTED}
INSERT INTO control_podusage (namespace, pod, owner, revision, at, seconds, cpu_millicores, memory_bytes)
SELECT 'shop', 'pod-' || p.n, 'Deployment/web-' || (p.n %% %s), 2, %s - 60 * (t.n + 1), 60, p.n %% 97, 67108864
FROM t, p
"""
COARSE = f"""{_COUNTED}
INSERT INTO control_workloadusage (namespace, owner, revision, at, seconds, pods, cpu_millicores, cpu_most_millicores,
                                   memory_bytes, memory_most_bytes)
SELECT 'shop', 'Deployment/web-' || p.n, 2, %s - 3600 - 300 * (t.n + 1), 300, 5, 100, 50, 67108864, 67108864 FROM t, p
"""


if __name__ == "__main__":
    main()
