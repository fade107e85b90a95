"""Workers killed at random points of a rollout, over simulated hosts: pods doubled, pods lost.

    .venv/bin/python -m tests.benchmarks.kill_points [--points 500] [--seed 1]

Each story has three hosts, a rollout of four pods, up to three kills at random engine calls or commits, and one time in
three a host that loses power in the middle. Prints the seed of each failure, and ends with 1 when there was one.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.database import empty_database
from tests.benchmarks.figures import show


@dataclass
class Tally:
    points: int = 0
    doubled: int = 0
    lost: int = 0
    longest: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with empty_database() as folder:
        tally, began, seed = Tally(), time.monotonic(), options.seed
        while tally.points < options.points:
            _one_story(folder, seed, tally)
            seed += 1
    what = f"workers killed at {tally.points} points of rollouts:"
    show(f"{what} pods doubled", tally.doubled, "pods", at_least=0)
    show(f"{what} pods lost", tally.lost, "pods", at_least=0)
    show(f"{what} longest until all was well", tally.longest, "simulated s")
    print(f"{'seconds':44}{time.monotonic() - began:8.0f}")
    sys.exit(1 if tally.doubled or tally.lost else 0)


def _one_story(folder: Path, seed: int, tally: Tally) -> None:
    from django.db import transaction

    with transaction.atomic():
        doubled, lost = _killed(folder / str(seed), seed, tally)
        transaction.set_rollback(True)
    if doubled or lost:
        print(f"seed {seed}: {doubled} doubled, {lost} lost")
    tally.doubled, tally.lost = tally.doubled + doubled, tally.lost + lost


def _killed(folder: Path, seed: int, tally: Tally) -> tuple[int, int]:
    import pytest

    from control.store.work import LEASE_SECONDS
    from tests.scenarios.guillotine import Guillotine, Killed
    from tests.scenarios.test_crash import CALLS
    from tests.scenarios.world import World, web

    rolls = random.Random(seed)
    world, dies = World(folder), rolls.random() < 1 / 3
    go = world.watch if dies else world.pass_time  # a heartbeat is needed only where a host dies
    for name in "abc":
        world.add_node(name, reason="EngineReady")
    world.push(web(replicas=4))
    go(5)
    world.push(web(replicas=4, image="shop/web:2"))
    for _ in range(rolls.randint(1, 3)):
        with pytest.MonkeyPatch.context() as patches:
            guillotine = Guillotine(patches, rolls.randint(1, 60), CALLS, armed=False)
            guillotine.armed = True
            with contextlib.suppress(Killed):
                go(4)
            tally.points += not guillotine.armed
            guillotine.armed = False
        if dies:
            dies = False
            world.engines["c"].host.power_off()
        world.new_worker()
        go(LEASE_SECONDS)
    began = world.clock.now()
    while world.clock.now() - began < 120 and not _is_well(world):
        go(2)
    tally.longest = max(tally.longest, world.clock.now() - began)
    return _counted(world)


def _is_well(world: object) -> bool:
    return _counted(world) == (0, 0)


def _counted(world: object) -> tuple[int, int]:
    """Pods (or containers of one pod) too many, and pods too few, on the hosts that can be seen."""
    from tests.scenarios.world import World, pods_of

    assert isinstance(world, World)
    names = []
    for engine in world.engines.values():
        with contextlib.suppress(Exception):
            names += [one.labels["pierhead.io/pod"] for one in pods_of(engine) if one.state == "running"]
    wanted = {pod.name for pod in world.pods() if pod.revision == 2}
    running = [name for name in names if name in wanted]
    doubled = len(names) - len(running) + len(running) - len(set(running))
    return doubled, max(0, 4 - len(set(running))) + max(0, 4 - world.ready())


if __name__ == "__main__":
    main()
