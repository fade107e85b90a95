"""How tightly the scheduler packs, as Borg judges it: the fewest machines that still hold a whole workload.

    .venv/bin/python -m tests.benchmarks.packing [--pods 2000] [--fleets 5]

A fleet is machines of four sizes in a random order (seeded). For each strategy the shortest beginning of it is looked
for that holds every pod; the lower bound is the shortest one whose CPU, memory and pods' slots add up to enough, which
nobody can beat. `first-fit` is the plain rule (each pod, the largest first, on the first machine with room).
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence

from deployer.core.scheduling.placement import place
from deployer.core.scheduling.values import Node, PendingPod
from tests.benchmarks.figures import OURS, show
from tests.benchmarks.scheduling import deployments, fleet

Holds = Callable[[Sequence[Node]], bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument("--fleets", type=int, default=5)
    options = parser.parse_args()
    over: dict[str, list[float]] = {}
    for seed in range(options.fleets):
        machines = [node for node in fleet(options.pods) if not node.taints]
        random.Random(seed).shuffle(machines)
        for name, holds in contenders(options.pods).items():
            bound = fewest(machines, lambda some: adds_up(some, deployments(options.pods)))
            over.setdefault(name, []).append(fewest(machines, holds) / bound)
    name = f"machines for {options.pods:,} pods, over the lower bound"
    show(name, over.pop(OURS), "times", at_least=1.10, aim=1.03)
    for of, values in over.items():
        show(name, values, "times", of=of)


def contenders(count: int) -> dict[str, Holds]:
    packed, spread = deployments(count, strategy="pack"), deployments(count, strategy="spread")
    return {
        OURS: lambda some: len(place(packed, some, []).bound) == count,
        "ours, spreading": lambda some: len(place(spread, some, []).bound) == count,
        "first-fit": lambda some: first_fit(packed, some),
    }


def fewest(machines: Sequence[Node], holds: Holds) -> int:
    """The shortest beginning that holds everything, by halving: one machine more never makes it worse."""
    low, high = 1, len(machines)
    if not holds(machines):
        raise ValueError(f"{high} machines are too few")
    while low < high:
        middle = (low + high) // 2
        if holds(machines[:middle]):
            high = middle
        else:
            low = middle + 1
    return low


def adds_up(machines: Sequence[Node], pods: Sequence[PendingPod]) -> bool:
    return (
        sum(one.allocatable.cpu_millicores for one in machines) >= sum(pod.requests.cpu_millicores for pod in pods)
        and sum(one.allocatable.memory_bytes for one in machines) >= sum(pod.requests.memory_bytes for pod in pods)
        and sum(one.max_pods for one in machines) >= len(pods)
    )


def first_fit(pods: Sequence[PendingPod], machines: Sequence[Node]) -> bool:
    rooms = [[one.allocatable.cpu_millicores, one.allocatable.memory_bytes, one.max_pods, one] for one in machines]
    for pod in sorted(pods, key=lambda one: (-one.requests.memory_bytes, -one.requests.cpu_millicores)):
        cpu, memory = pod.requests.cpu_millicores, pod.requests.memory_bytes
        selector = pod.node_selector.items()
        for room in rooms:
            if room[0] >= cpu and room[1] >= memory and room[2] and selector <= room[3].labels.items():
                room[0], room[1], room[2] = room[0] - cpu, room[1] - memory, room[2] - 1
                break
        else:
            return False
    return True


if __name__ == "__main__":
    main()
