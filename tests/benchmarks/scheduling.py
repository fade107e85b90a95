"""The pure scheduler's speed and how tightly it packs: `python -m tests.benchmarks.scheduling [--pods N] [--nodes N]`.

10,000 pods on 5,000 nodes in three zones and four sizes, every pod with a request. Each row is a workload; the best of
three runs counts. `machines` is how many nodes the workload ended on, `at least` a bound which nobody can beat: the
largest nodes first, filled to the last byte or millicore.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator

from deployer.core.objects.placement import Affinity, TopologySpreadConstraint
from deployer.core.scheduling.placement import place
from deployer.core.scheduling.values import Node, PendingPod, PlacedPod, Resources, Strategy, Taint

MI = 1024**2
SIZES = ((2000, 4096), (4000, 8192), (4000, 16384), (8000, 32768))
REQUESTS = ((100, 128), (250, 256), (500, 512), (500, 1024), (1000, 2048))
REPLICAS = (20, 60, 100, 40, 80, 30)
AIM = 10_000
AT_LEAST = 2_000
RUNS = 3

Workload = Callable[[int], list[PendingPod]]


def fleet(count: int) -> list[Node]:
    return [
        Node(
            name=f"node-{number:05}",
            labels={
                "kubernetes.io/hostname": f"node-{number:05}",
                "topology.kubernetes.io/zone": "abc"[number % 3],
                "disk": "ssd" if number % 2 else "hdd",
            },
            taints=(Taint("dedicated", "batch"),) if number % 50 == 0 else (),
            # Real machines of one size differ by some memory.
            allocatable=Resources(SIZES[number % 4][0], SIZES[number % 4][1] * MI - (number * 7919) % (64 * MI)),
        )
        for number in range(count)
    ]


def deployments(count: int, strategy: Strategy = "", spread: str = "", apart: bool = False) -> list[PendingPod]:
    pods: list[PendingPod] = []
    for number, replicas in enumerate(_sizes(count, REPLICAS)):
        name = f"app-{number:05}"
        cpu, memory = REQUESTS[number % len(REQUESTS)]
        labels = {"app": name, "pod-template-hash": "7d4b9"}
        pods.extend(
            PendingPod(
                uid=f"{name}-{replica}", namespace=f"team-{number % 10}", name=f"{name}-{replica}", labels=labels,
                owner=f"Deployment/team-{number % 10}/{name}", template_hash="7d4b9",
                requests=Resources(cpu, memory * MI), strategy=strategy, created_at=float(number),
                node_selector={"disk": "ssd"} if number % 10 == 3 else {},
                affinity=_apart(name) if apart else Affinity(), spread=_spread(name, spread),
            )
            for replica in range(replicas)
        )  # fmt: skip
    return pods


def singles(count: int) -> list[PendingPod]:
    """No two alike: the worst case for a scheduler that places groups."""
    return [
        PendingPod(
            uid=f"job-{number}", namespace="batch", name=f"job-{number:05}", labels={"job": f"job-{number}"},
            owner=f"Job/batch/job-{number}", requests=Resources(100 + number % 400, (128 + number % 900) * MI),
        )
        for number in range(count)
    ]  # fmt: skip


def _sizes(count: int, sizes: tuple[int, ...]) -> Iterator[int]:
    number = 0
    while count > 0:
        yield min(count, sizes[number % len(sizes)])
        count -= sizes[number % len(sizes)]
        number += 1


def _apart(name: str) -> Affinity:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": name}}}
    return Affinity.model_validate({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})


def _spread(name: str, key: str) -> tuple[TopologySpreadConstraint, ...]:
    if not key:
        return ()
    constraint = {
        "maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": name}},
    }  # fmt: skip
    return (TopologySpreadConstraint.model_validate(constraint),)


WORKLOADS: dict[str, Workload] = {
    "Deployments of 20 to 100": deployments,
    "  strategy pack": lambda count: deployments(count, strategy="pack"),
    "  strategy spread": lambda count: deployments(count, strategy="spread"),
    "  hard spread over zones": lambda count: deployments(count, spread="topology.kubernetes.io/zone"),
    "  hard spread over hosts": lambda count: deployments(count, spread="kubernetes.io/hostname"),
    "  anti-affinity per host": lambda count: deployments(count, apart=True),
    "pods, no two alike": singles,
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pods", type=int, default=10_000)
    arguments.add_argument("--nodes", type=int, default=5_000)
    options = arguments.parse_args()
    nodes = fleet(options.nodes)
    print(f"{options.pods} pods on {options.nodes} nodes; at least {AT_LEAST} pods/s, aim {AIM} pods/s")
    print(f"{'workload':<28}{'seconds':>9}{'pods/s':>9}{'bound':>8}{'machines':>10}{'at least':>10}")
    for name, workload in WORKLOADS.items():
        print(_row(name, workload(options.pods), nodes, []))
    first = deployments(options.pods)
    print(_row("  again, beside as many", _renamed(first), nodes, _placed(first, nodes)))
    print(_row("  no room for any of them", _huge(options.pods), nodes, []))


def _row(name: str, pods: list[PendingPod], nodes: list[Node], placed: list[PlacedPod]) -> str:
    seconds, bound = min((_timed(pods, nodes, placed) for _ in range(RUNS)), key=lambda run: run[0])
    machines, bound_below = len(set(bound.values())), _fewest(pods, nodes) if bound else 0
    speed = len(pods) / seconds
    return f"{name:<28}{seconds:>9.2f}{speed:>9.0f}{len(bound):>8}{machines:>10}{bound_below:>10}"


def _timed(pods: list[PendingPod], nodes: list[Node], placed: list[PlacedPod]) -> tuple[float, dict[str, str]]:
    gc.collect()
    started = time.perf_counter()
    placement = place(pods, nodes, placed)
    return time.perf_counter() - started, dict(placement.bound)


def _fewest(pods: list[PendingPod], nodes: list[Node]) -> int:
    """A lower bound: enough of the largest machines to hold the sums of CPU, memory and pods."""
    needs = (
        (sum(pod.requests.cpu_millicores for pod in pods), [node.allocatable.cpu_millicores for node in nodes]),
        (sum(pod.requests.memory_bytes for pod in pods), [node.allocatable.memory_bytes for node in nodes]),
        (len(pods), [node.max_pods for node in nodes]),
    )
    return max(_largest_first(need, sizes) for need, sizes in needs)


def _largest_first(need: int, sizes: list[int]) -> int:
    count = 0
    for size in sorted(sizes, reverse=True):
        if need <= 0:
            break
        need -= size
        count += 1
    return count


def _placed(pods: list[PendingPod], nodes: list[Node]) -> list[PlacedPod]:
    bound = place(pods, nodes, []).bound
    return [
        PlacedPod(
            uid=pod.uid, namespace=pod.namespace, name=pod.name, node=bound[pod.uid], labels=pod.labels,
            owner=pod.owner, requests=pod.requests,
        )
        for pod in pods if pod.uid in bound
    ]  # fmt: skip


def _renamed(pods: list[PendingPod]) -> list[PendingPod]:
    return [
        PendingPod(
            uid=f"new-{pod.uid}", namespace=pod.namespace, name=f"new-{pod.name}", labels=pod.labels, owner=pod.owner,
            template_hash="new", requests=pod.requests, created_at=pod.created_at, affinity=pod.affinity,
        )
        for pod in pods
    ]  # fmt: skip


def _huge(count: int) -> list[PendingPod]:
    return [
        PendingPod(
            uid=pod.uid, namespace=pod.namespace, name=pod.name, labels=pod.labels, owner=pod.owner,
            template_hash=pod.template_hash, requests=Resources(500, 65536 * MI),
        )
        for pod in deployments(count)
    ]  # fmt: skip


if __name__ == "__main__":
    main()
