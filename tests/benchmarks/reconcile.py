"""One reconcile pass with nothing to do: 100 simulated nodes, 250 Deployments, 5,000 pods.

    .venv/bin/python -m tests.benchmarks.reconcile [--nodes 100] [--deployments 250] [--replicas 20]

Every Deployment is loaded and reconciled, every node listed and compared with what is placed there: what the safety net
does, without the wake-ups that spare most of it. Prints seconds of CPU.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from tests.benchmarks.database import empty_database
from tests.benchmarks.figures import show


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--deployments", type=int, default=250)
    parser.add_argument("--replicas", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with empty_database() as folder:
        measure(folder, options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    from control.models import Pod
    from tests.scenarios.world import World, web

    world = World(folder)
    for number in range(options.nodes):
        world.add_node(f"node-{number:03}", labels={})
    for engine in world.engines.values():
        engine._capacity = (64_000, 256 << 30)
    began = time.process_time()
    world.push(*(web(f"web-{number}", replicas=options.replicas) for number in range(options.deployments)))
    _settle(world)
    built = time.process_time() - began
    pods, ready = Pod.objects.count(), Pod.objects.filter(ready=True).count()
    size = f"{options.nodes} nodes, {options.deployments} Deployments, {pods} pods ({ready} ready)"
    print(f"{size}, built in {built:.0f} s of CPU")
    rows = [one_pass(world) for _ in range(options.rounds)]
    for index, name in enumerate(("workloads", "nodes", "together")):
        show(f"a pass without change, {pods:,} pods: CPU, {name}", [row[index] for row in rows], "s")


def _settle(world: object) -> None:
    from tests.scenarios import world as worlds

    worlds.STEPS = 1_000_000
    world.settle()  # type: ignore[attr-defined]


def one_pass(world: object) -> tuple[float, float, float]:
    from control.store import nodes
    from deployer.core.node import attention

    began = time.process_time()
    woken = world.resync()  # type: ignore[attr-defined]
    between = time.process_time()
    for uid, access in world.access.items():  # type: ignore[attr-defined]
        listed = access.engine.containers()
        found = attention(nodes.placed(uid), listed, frozenset(), world.clock.now())  # type: ignore[attr-defined]
        woken += len(found.pods) + len(found.unknown)
    ended = time.process_time()
    assert woken == 0, f"{woken} things wanted something"
    return between - began, ended - between, ended - began


if __name__ == "__main__":
    main()
