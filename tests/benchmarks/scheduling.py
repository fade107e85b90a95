"""The pure scheduler's speed: kube-scheduler's own workloads at 5, 500 and 5,000 nodes.

    .venv/bin/python -m tests.benchmarks.scheduling [--nodes 5000]

Nodes in three zones and four sizes, every pod with a request; each figure is the median of three runs of `place`, which
is all that Pierhead decides about a pod's place (reading and writing the rows are in `scale`).
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

from deployer.core.objects.placement import Affinity, TopologySpreadConstraint
from deployer.core.scheduling.placement import place
from deployer.core.scheduling.values import Node, PendingPod, PlacedPod, Resources, Strategy, Taint
from tests.benchmarks.figures import show

MI = 1024**2
SIZES = ((2000, 4096), (4000, 8192), (4000, 16384), (8000, 32768))
REQUESTS = ((100, 128), (250, 256), (500, 512), (500, 1024), (1000, 2048))
REPLICAS = (20, 60, 100, 40, 80, 30)
RUNS = 3
CHURN_BATCHES = 10

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


def shape(count: int, name: str, **more: Any) -> list[PendingPod]:
    """Pods of one template, as kube-scheduler's own benchmark makes them: 100m and 500 MiB each."""
    labels = more.pop("labels", {"app": name})
    return [
        PendingPod(
            uid=f"{name}-{number}", namespace="bench", name=f"{name}-{number:05}", labels=labels,
            owner=f"ReplicaSet/bench/{name}", template_hash=name, requests=Resources(100, 500 * MI), **more,
        )
        for number in range(count)
    ]  # fmt: skip


def affine(count: int) -> list[PendingPod]:
    """All in one zone with each other."""
    term = {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"color": "blue"}}}
    affinity = Affinity.model_validate({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    return shape(count, "affine", labels={"color": "blue"}, affinity=affinity)


def apart(count: int) -> list[PendingPod]:
    """No two on a host."""
    return shape(count, "apart", labels={"app": "apart"}, affinity=_apart("apart"))


def spreading(count: int) -> list[PendingPod]:
    return shape(count, "spreading", spread=_spread("spreading", "topology.kubernetes.io/zone"))


BARS = {"basic": (2_000.0, 10_000.0), "anti-affinity": (500.0, 3_000.0)}
"""At 5,000 nodes, in pods/s. kube-scheduler on two cores, with its API server: 171 to 218."""
SHAPES: dict[str, Workload] = {
    "basic": lambda count: shape(count, "basic"),
    "affinity": affine,
    "anti-affinity": apart,
    "topology spreading": spreading,
    "Deployments of 20 to 100": deployments,
    "Deployments, no two of one on a host": lambda count: deployments(count, apart=True),
    "pods, no two alike": singles,
}
SIZES_OF_CLUSTERS = {5: 250, 500: 5_000, 5_000: 10_000}
"""Nodes -> pods."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--nodes", type=int, choices=tuple(SIZES_OF_CLUSTERS), help="this size of cluster alone")
    options = arguments.parse_args()
    for count, pods in SIZES_OF_CLUSTERS.items():
        if options.nodes in (None, count):
            of_size(count, pods)


def of_size(count: int, pods: int) -> None:
    nodes = fleet(count)
    for name, workload in SHAPES.items():
        wanted = workload(min(pods, count) if name == "anti-affinity" else pods)
        tell(name, count, [_timed(wanted, nodes, []) for _ in range(RUNS)], len(wanted))
    others = _placed([*affine(pods // 5), *apart(count // 5), *spreading(pods // 5)], nodes)
    mixed = shape(pods // 2, "basic")
    tell("mixed: basic beside all the others", count, [_timed(mixed, nodes, others) for _ in range(RUNS)], len(mixed))
    tell(
        "churn: batches of 100, as many leave", count, [_churned(nodes, pods) for _ in range(RUNS)], 100 * CHURN_BATCHES
    )


def tell(name: str, nodes: int, runs: list[tuple[float, int]], pods: int) -> None:
    at_least, aim = BARS.get(name, (None, None)) if nodes == max(SIZES_OF_CLUSTERS) else (None, None)
    speeds = [bound / seconds for seconds, bound in runs]
    show(f"scheduler, {nodes:,} nodes, {name}", speeds, "pods/s", at_least=at_least, aim=aim, more=True)
    if (bound := runs[0][1]) < pods:
        print(f"    {bound:,} of {pods:,} pods found a place")


def _timed(pods: list[PendingPod], nodes: list[Node], placed: list[PlacedPod]) -> tuple[float, int]:
    gc.collect()
    started = time.perf_counter()
    placement = place(pods, nodes, placed)
    return time.perf_counter() - started, len(placement.bound)


def _churned(nodes: list[Node], count: int) -> tuple[float, int]:
    """Batches that come while as many leave: each is a pass of its own over a cluster that is half full."""
    there, took, done = _placed(shape(count // 2, "there"), nodes), 0.0, 0
    for number in range(CHURN_BATCHES):
        batch = shape(100, f"batch{number}")
        seconds, bound = _timed(batch, nodes, there)
        took, done = took + seconds, done + bound
        there = [*there[100:], *_placed(batch, nodes)]
    return took, done


def _placed(pods: list[PendingPod], nodes: list[Node]) -> list[PlacedPod]:
    bound = place(pods, nodes, []).bound
    return [
        PlacedPod(
            uid=pod.uid, namespace=pod.namespace, name=pod.name, node=bound[pod.uid], labels=pod.labels,
            owner=pod.owner, requests=pod.requests,
        )
        for pod in pods if pod.uid in bound
    ]  # fmt: skip


if __name__ == "__main__":
    main()
